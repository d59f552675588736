"""An allocation ends while jobs run: nothing of ours stays, and what the user reads says why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from batch_runs import HEAD, batch_of, recorded, submit
from harness import REFERENCE, describe, require, wait_until
from snakemake_executor_plugin_daskmpi.slurm.plan import Component, Plan
from snakemake_executor_plugin_daskmpi.slurm.script.srun import Step, srun_command

if TYPE_CHECKING:
    from harness import Workflow
    from runs import SlurmRun
    from slurm_cluster import SlurmCluster
    from snakemake_executor_plugin_daskmpi.slurm.script.batch import Batch

#: Ranks 0 and 1 on n1, two workers on a node each.
WORKERS = Component("workers", ("",), n_tasks=2, cpus_per_task=5, mem_per_cpu_mb=512)
PLAN = Plan((HEAD, WORKERS), walltime_min=10)

#: Two jobs for each worker, which do not end, with a child in a session of its own that is deaf to SIGTERM. None of it
#: forks when it is ended: without cgroups Slurm misses a process that begins while it kills the others.
SNAKEFILE = """
    rule all:
        input: expand("{n}.txt", n=range(4))

    rule one:
        output: "{n}.txt"
        threads: 2
        shell:
            "echo half > {output}; setsid bash -c 'trap \\"\\" TERM; exec sleep 1000' & "
            "hostname > started.{wildcards.n}; exec sleep 1000"
"""
OUTPUTS = {f"{n}.txt" for n in range(4)}

#: Seconds within which nothing of ours may run any more.
SOON = 60


def start(workflow: Workflow) -> tuple[SlurmRun, Batch]:
    """Submit the workflow as the launcher does, and return when all four jobs run."""
    require("mpich")
    workflow.write("Snakefile", SNAKEFILE)
    batch = batch_of(workflow, srun=tuple(srun_command(Step("pmi2", (1, 5)))))
    run = submit(workflow, PLAN, batch)
    workflow.wait_for(*(f"started.{n}" for n in range(4)), run=run, filled=True)
    return run, batch


def wait_for_end(workflow: Workflow, run: SlurmRun) -> None:
    """Wait until Slurm holds the job for ended and no process of it lives."""
    wait_until(
        lambda: run.has_ended and not workflow.processes(),
        on_timeout=lambda: f"{run.state}, still there: {describe(workflow.processes())}\n{run.text}",
        timeout_s=SOON,
    )


def check_ended_in_order(workflow: Workflow, run: SlurmRun) -> None:
    """Check that Snakemake had the time for all that it does at its end, and said why it ends."""
    assert "daskmpi: SIGTERM: Slurm ends this run" in run.text, run.text
    assert "Next: run the same command again, with --rerun-incomplete if Snakemake asks for it." in run.text
    assert "Traceback" not in run.text, run.text
    assert "Error in rule" not in run.text, "Slurm's SIGTERM reaches jobs as well, which is no fault of theirs"
    assert not workflow.locks()
    assert workflow.incomplete() == OUTPUTS


def test_after_scancel_the_run_ends_in_order(workflow: Workflow, slurm: SlurmCluster):
    run, batch = start(workflow)
    slurm.ask("scancel", str(run.job_id))
    wait_for_end(workflow, run)
    assert run.state == "CANCELLED"
    assert recorded(batch) not in ("", "0")
    assert "CANCELLED" in run.text
    check_ended_in_order(workflow, run)


def test_at_the_end_of_the_walltime_the_run_ends_in_order(workflow: Workflow, slurm: SlurmCluster):
    run, batch = start(workflow)
    # Slurm looks at limits every 30 s, and the shortest one is a minute.
    for component in range(2):
        slurm.scontrol("update", f"JobId={run.job_id}+{component}", "EndTime=now+1")
    wait_for_end(workflow, run)
    assert run.state == "TIMEOUT"
    assert recorded(batch) not in ("", "0")
    assert "DUE TO TIME LIMIT" in run.text
    check_ended_in_order(workflow, run)


def test_when_a_workers_node_is_lost_the_run_ends_and_the_node_is_named(workflow: Workflow, slurm: SlurmCluster):
    run, batch = start(workflow)
    # Slurm ends all components of a heterogeneous job then, and kills the node's ranks, which leave their scratch.
    workflow.killed = True
    node = workflow.read("started.0").strip()
    slurm.scontrol("update", f"nodename={node}", "state=down", "reason=test")
    wait_for_end(workflow, run)
    assert recorded(batch) not in ("", "0")
    assert node in run.text
    check_ended_in_order(workflow, run)


@pytest.mark.nightly
def test_when_snakemake_is_killed_the_run_ends_and_can_be_unlocked(workflow: Workflow, slurm: SlurmCluster):  # noqa: ARG001
    run, batch = start(workflow)
    [snakemake] = workflow.rank(1).children()
    snakemake.kill()
    wait_for_end(workflow, run)
    assert recorded(batch) == "137"
    assert "task 1: Exited with exit code 137" in run.text, run.text
    assert workflow.incomplete() == OUTPUTS
    assert workflow.locks()
    workflow.run("--unlock", launcher=REFERENCE).ends_with(0)
