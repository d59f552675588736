"""However a run that has grown ends, none of its Slurm jobs stays in the queue, or goes on."""

from __future__ import annotations

import signal
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from batch_runs import batch_of, submit
from growing import nothing_is_left, phases, wait_for_joined
from harness import require, wait_until
from mpis import MPIS
from snakemake_executor_plugin_daskmpi.slurm.plan import Component, Plan
from snakemake_executor_plugin_daskmpi.slurm.script.srun import Step, srun_command

if TYPE_CHECKING:
    from harness import Workflow
    from runs import Run, SlurmRun
    from slurm_cluster import SlurmCluster

#: Jobs that wait for as long as they may, one to a node: the third further one has to wait in the queue.
SNAKEFILE = """
    rule all:
        input: expand("out/{n}", n=range(40))

    rule one:
        output: "out/{n}"
        threads: 8
        resources: mem_mb=100, runtime=30
        shell: "touch started.{wildcards.n}; sleep 1000; touch {output}"
"""
SMALL = Plan((Component("workers", ("",), n_tasks=2, cpus_per_task=1, mem_per_cpu_mb=512),), walltime_min=60)


def queued_and_joined(workflow: Workflow, run: Run | SlurmRun, slurm: SlurmCluster) -> None:
    """Wait until a further job is at work, and another one waits in the queue."""
    wait_for_joined(workflow, run)
    wait_until(
        lambda: run.has_ended or (list(workflow.folder.glob("started.*")) and slurm.squeue("--states=PENDING")),
        on_timeout=lambda: f"{slurm.squeue()}\n{phases(workflow)}\n{run.text}",
    )
    assert not run.has_ended, run.text


def start_local(workflow: Workflow, slurm: SlurmCluster) -> Run:
    workflow.write("Snakefile", SNAKEFILE)
    # Two nodes are taken, two are free: three further jobs cannot all start.
    slurm.ask("sbatch", "--output=/dev/null", "-N2", "--exclusive", "--wrap", "sleep 1000")
    run = workflow.start("--daskmpi-cores", "1", "--daskmpi-grow", "3")
    queued_and_joined(workflow, run, slurm)
    slurm.ask("scancel", "--name=wrap")
    return run


@pytest.mark.parametrize("how", ["ctrl-c", "killed"])
def test_after_a_run_on_this_machine_nothing_is_left(workflow: Workflow, slurm: SlurmCluster, how: str):
    run = start_local(workflow, slurm)
    if how == "ctrl-c":
        run.interrupt()
    else:
        workflow.killed = True
        run.process.send_signal(signal.SIGKILL)
    run.wait()
    nothing_is_left(slurm)
    wait_until(lambda: not workflow.processes(), on_timeout=lambda: str(workflow.processes()))


@pytest.mark.parametrize("how", ["scancel", "rank 1 killed"])
def test_after_a_run_in_a_slurm_job_nothing_is_left(workflow: Workflow, slurm: SlurmCluster, how: str):
    require("mpich")
    workflow.write("Snakefile", SNAKEFILE)
    batch = batch_of(workflow, "--daskmpi-grow", "4", srun=tuple(srun_command(Step("pmi2", (1,)))))
    batch = replace(batch, exports=(*batch.exports, *MPIS["mpich"].environ.items()))
    run = submit(workflow, SMALL, batch)
    queued_and_joined(workflow, run, slurm)
    if how == "scancel":
        slurm.ask("scancel", str(run.job_id))
    else:
        workflow.killed = True
        workflow.server(1).kill()
    nothing_is_left(slurm)
    wait_until(lambda: not workflow.processes(), on_timeout=lambda: str(workflow.processes()))


def test_a_further_job_that_is_cancelled_is_a_loss_that_the_run_gets_over(workflow: Workflow, slurm: SlurmCluster):
    workflow.write(
        "Snakefile",
        """
        rule all:
            input: expand("out/{n}", n=range(60))

        rule one:
            output: "out/{n}"
            resources: mem_mb=100
            shell: "echo x >> ran.{wildcards.n}; sleep 1; touch {output}"
        """,
    )
    run = workflow.start("--daskmpi-cores", "1", "--daskmpi-grow", "1", "--retries", "2")
    (job,) = wait_for_joined(workflow, run)
    slurm.ask("scancel", job)
    run.ends_with(0)
    nothing_is_left(slurm)
