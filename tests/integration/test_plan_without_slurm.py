"""``plan`` where no Slurm is, although its programs may be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from harness import Workflow

SNAKEFILE = """
    rule all:
        input: expand("{n}.txt", n=range(6))

    rule one:
        output: "{n}.txt"
        resources: runtime=10, mem_mb=100
        shell: "touch {output}"
"""
#: What Slurm's programs say on a machine that has them, and no cluster.
SLURM = """#!/bin/sh
for n in 1 2 3 4; do echo "$0: error: resolve_ctls_from_dns_srv: res_nsearch error: Unknown host" >&2; done
echo "$0: fatal: Could not establish a configuration source" >&2
exit 1
"""


@pytest.mark.parametrize(("cores", "forecast"), [(2, "30 min"), (6, "10 min")])
def test_it_shows_what_would_come_of_a_size_that_one_names(workflow: Workflow, cores: int, forecast: str):
    workflow.write("Snakefile", SNAKEFILE)
    path = workflow.write("bin/scontrol", SLURM)
    path.chmod(0o700)
    named = ("--daskmpi-cores", str(cores), "--daskmpi-mem-mb", "2000")
    env = {"PATH": f"{path.parent}:{workflow.environ()['PATH']}"}
    run = workflow.start(*named, launcher="plan", env=env)
    run.ends_with(0)
    assert f"Forecast: {forecast} with 100% of the workers' cores busy" in run.text
    assert "res_nsearch" not in run.text
    assert not workflow.has("0.txt")


def test_what_submits_says_that_there_is_no_slurm(workflow: Workflow):
    workflow.write("Snakefile", SNAKEFILE)
    run = workflow.start(launcher="sbatch", env={"SLURM_CONF": str(workflow.folder / "nowhere")})
    assert run.wait(60) == 1
    assert run.text.count("There is no Slurm here.") == 1
    assert "Traceback" not in run.text
