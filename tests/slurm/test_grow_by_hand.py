"""``snakemake-daskmpi grow`` and ``shrink``: a run that goes on is joined, however it was started."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from growing import events, joined, nothing_is_left, wait_for_joined
from harness import wait_until
from required import at_night

if TYPE_CHECKING:
    from harness import Workflow
    from slurm_cluster import SlurmCluster

#: Two jobs that both need all cores of a worker, and wait for each other.
SNAKEFILE = """
    rule all:
        input: "a", "b"

    rule one:
        output: "{n,[ab]}"
        threads: 2
        resources: mem_mb=100
        shell:
            "echo ${{SLURM_JOB_ID:-here}} > on.{wildcards.n}; "
            "while [ ! -e on.a ] || [ ! -e on.b ]; do sleep 0.1; done; touch {output}"
"""


def daskmpi(workflow: Workflow, *words: str) -> subprocess.CompletedProcess[str]:
    """Run one of our verbs in the workflow's folder."""
    command = [sys.executable, "-m", "snakemake_executor_plugin_daskmpi", *words]
    return subprocess.run(
        command, cwd=workflow.folder, env=workflow.environ(), capture_output=True, text=True, check=False, timeout=200
    )


@pytest.mark.parametrize(("launcher", "ranks"), [("local", 3), ("mpich", 3), *at_night([("openmpi", 3), ("impi", 3)])])
def test_a_run_that_does_not_grow_by_itself_is_joined_by_hand(
    workflow: Workflow, slurm: SlurmCluster, launcher: str, ranks: int
):
    workflow.write("Snakefile", SNAKEFILE)
    run = workflow.start("--daskmpi-cores", "2", launcher=launcher, ranks=ranks)
    wait_until(lambda: list(workflow.folder.glob("on.*")) or run.has_ended, on_timeout=lambda: run.text)
    done = daskmpi(workflow, "grow", "--workers", "1", "--cores", "2", "--mem-mb", "1000", "--walltime", "10m")
    assert done.returncode == 0, done.stderr
    said = re.fullmatch(r"Slurm job (\d+) was submitted: 1 worker with 2 cores, 1000 MB, for 10 min.*\n", done.stdout)
    assert said, done.stdout
    run.ends_with(0)
    nodes = {workflow.read(f"on.{n}").strip() for n in "ab"}
    assert nodes == {"here", said[1]}, "one ran on each"
    assert joined(workflow) == [said[1]]
    nothing_is_left(slurm)


def test_what_was_joined_by_hand_is_ended_by_hand_when_its_jobs_have_ended(workflow: Workflow, slurm: SlurmCluster):
    workflow.write(
        "Snakefile",
        SNAKEFILE.replace('input: "a", "b"', 'input: "a", "b", "c"')
        + """
    rule c:
        output: "c"
        threads: 2
        resources: mem_mb=100
        input: "a", "b"
        shell: "while [ ! -e go ]; do sleep 0.1; done; touch {output}"
    """,
    )
    run = workflow.start("--daskmpi-cores", "2")
    wait_until(lambda: list(workflow.folder.glob("on.*")) or run.has_ended, on_timeout=lambda: run.text)
    assert daskmpi(workflow, "grow", "--workers", "1", "--cores", "2").returncode == 0
    (job,) = wait_for_joined(workflow, run)
    workflow.wait_for("a", "b", run=run)
    done = daskmpi(workflow, "shrink", job)
    assert (done.returncode, job in done.stdout) == (0, True), done.stderr
    wait_until(lambda: slurm.ended(int(job)) or run.has_ended, on_timeout=lambda: run.text)
    assert slurm.ended(int(job)) == ("COMPLETED", 0)
    other = daskmpi(workflow, "shrink", "999")
    assert (other.returncode, "no further job of this run" in other.stderr) == (1, True)
    workflow.write("go", "")
    run.ends_with(0)
    assert not events(workflow, "worker-lost")


def test_what_cannot_join_is_said(workflow: Workflow, slurm: SlurmCluster):  # noqa: ARG001
    workflow.write("Snakefile", SNAKEFILE)
    none = daskmpi(workflow, "grow")
    assert (none.returncode, "There is no run to look at" in none.stderr) == (1, True)
    run = workflow.start("--daskmpi-cores", "4")
    run.ends_with(0)
    over = daskmpi(workflow, "grow")
    assert over.returncode == 1
    assert "has ended: nothing can join it" in over.stderr


def test_a_size_that_no_node_has_is_refused_and_the_run_goes_on(workflow: Workflow, slurm: SlurmCluster):
    workflow.write("Snakefile", SNAKEFILE)
    run = workflow.start("--daskmpi-cores", "2")
    wait_until(lambda: list(workflow.folder.glob("on.*")) or run.has_ended, on_timeout=lambda: run.text)
    done = daskmpi(workflow, "grow", "--cores", "999")
    assert (done.returncode, "No node of partition main is so large" in done.stderr) == (1, True)
    assert daskmpi(workflow, "grow").returncode == 0, "as what waits calls for"
    run.ends_with(0)
    nothing_is_left(slurm)
