"""Jobs whose runtime is all that the walltime, or the partition's limit, allows: it is an upper bound, and they run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from growing import joined, nothing_is_left
from harness import require

if TYPE_CHECKING:
    from harness import Workflow
    from slurm_cluster import SlurmCluster

SNAKEFILE = """
    rule all:
        input: expand("out/{n}", n=range(3))

    rule one:
        output: "out/{n}"
        resources: mem_mb=100, runtime=15
        shell: "touch {output}"
"""
#: Each rule has its runtime from a default for all.
CHAIN = """
    rule all:
        input: expand("two/{n}", n=range(3))

    rule one:
        output: "one/{n}"
        shell: "touch {output}"

    rule two:
        input: "one/{n}"
        output: "two/{n}"
        shell: "touch {output}"
"""


@pytest.mark.parametrize("limit", [("--daskmpi-walltime", "15m"), ("--daskmpi-partition", "short")], ids=" ".join)
def test_of_a_planned_job(workflow: Workflow, slurm: SlurmCluster, limit: tuple[str, str]):  # noqa: ARG001
    require("mpich")
    workflow.write("Snakefile", SNAKEFILE)
    plan = workflow.start(*limit, launcher="plan")
    plan.ends_with(0)
    said = "Jobs of one may take all of the walltime, 15 min, of which start and end need about a minute"
    assert said in " ".join(plan.text.split()), "before it is submitted"
    run = workflow.start(*limit, launcher="sbatch")
    run.ends_with(0)
    assert "4 of 4 steps (100%) done" in run.text


def test_of_a_chain_of_which_each_job_may_take_all_of_it(workflow: Workflow, slurm: SlurmCluster):  # noqa: ARG001
    require("mpich")
    workflow.write("Snakefile", CHAIN)
    arguments = ("--default-resources", "mem_mb=100", "runtime='15m'", "slurm_partition='short'")
    plan = workflow.start(*arguments, launcher="plan")
    plan.ends_with(0)
    said = " ".join(plan.text.split())
    assert "The walltime of 15 min ends before the workflow, which needs about" in said
    assert "Jobs of one, two may take all of the walltime, 15 min" in said
    run = workflow.start(*arguments, launcher="sbatch")
    run.ends_with(0)
    assert "7 of 7 steps (100%) done" in run.text


def test_of_further_workers(workflow: Workflow, slurm: SlurmCluster):
    workflow.write("Snakefile", SNAKEFILE.replace("runtime=15", 'runtime=1440, gpu=1, slurm_partition="gpu"'))
    run = workflow.start("--daskmpi-cores", "1", "--daskmpi-gpus", "", "--daskmpi-grow", "1")
    run.ends_with(0, timeout_s=100)
    assert len(joined(workflow)) == 1
    nothing_is_left(slurm)
