"""A submitted job is cancelled: by Ctrl-C while it waits or runs, and by somebody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness import wait_until
from submissions import assert_no_trace, id_of, is_pending, occupy, queued, submit

if TYPE_CHECKING:
    from harness import Workflow
    from slurm_cluster import SlurmCluster

SNAKEFILE = """\
    rule all:
        output: "done"
        resources: mem_mb=100, runtime=1
        shell: "touch started; sleep 300"
    """


def assert_gone(workflow: Workflow, slurm: SlurmCluster, *others: str) -> None:
    """Check that nothing of a job is left but jobs of others."""
    wait_until(lambda: queued(slurm) == set(others), on_timeout=slurm.squeue, timeout_s=60)
    assert_no_trace(workflow)
    assert not workflow.has("done")


def test_ctrl_c_while_it_runs_ends_the_job_in_order(workflow: Workflow, slurm: SlurmCluster):
    workflow.write("Snakefile", SNAKEFILE)
    run = submit(workflow)
    workflow.wait_for("started", run=run)
    run.interrupt()
    run.ends_with(130)
    assert f"Slurm job {id_of(run.text)} is cancelled." in run.text
    assert_gone(workflow, slurm)


def test_ctrl_c_while_it_waits_takes_the_job_out_of_the_queue(workflow: Workflow, slurm: SlurmCluster):
    other = occupy(workflow, slurm, "big")
    workflow.write("Snakefile", SNAKEFILE)
    run = submit(workflow, "--daskmpi-partition", "big")
    is_pending(run)
    run.interrupt()
    run.ends_with(130)
    assert f"Slurm job {id_of(run.text)} is cancelled." in run.text
    assert not workflow.has("started")
    assert_gone(workflow, slurm, other)
    slurm.ask("scancel", other)


@pytest.mark.nightly
def test_a_job_that_somebody_else_cancels_is_said_to_be_so(workflow: Workflow, slurm: SlurmCluster):
    workflow.write("Snakefile", SNAKEFILE)
    run = submit(workflow)
    workflow.wait_for("started", run=run)
    job_id = id_of(run.text)
    slurm.ask("scancel", job_id)
    assert run.wait() != 0
    assert f"Slurm job {job_id} ended early: it was cancelled" in run.text, run.text
    assert "Next: run the same command again" in run.text
    assert_gone(workflow, slurm)
