"""A run grows by further Slurm jobs while jobs wait, each job runs once, and nothing is left in the queue."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from batch_runs import batch_of, recorded, submit
from growing import events, joined, nothing_is_left, phases, wait_for_joined
from harness import require, wait_until
from mpis import MPIS
from required import at_night
from snakemake_executor_plugin_daskmpi.slurm.plan import Component, Plan
from snakemake_executor_plugin_daskmpi.slurm.script.srun import Step, srun_command

if TYPE_CHECKING:
    from harness import Workflow
    from slurm_cluster import SlurmCluster

TYPE_OF = {"mpich": "pmi2", "impi": "pmi2", "openmpi": "pmix"}

#: Jobs of a second, which name the node that they run on, each once.
SNAKEFILE = """
    rule all:
        input: expand("out/{n}", n=range(60))

    rule one:
        output: "out/{n}"
        resources: mem_mb=100
        shell: "echo ${{SLURMD_NODENAME:-here}} >> ran.{wildcards.n}; sleep 1; touch {output}"
"""
#: Ranks 0 and 1, and a worker with a core.
SMALL = Plan((Component("workers", ("",), n_tasks=3, cpus_per_task=1, mem_per_cpu_mb=512),), walltime_min=10)


def started(workflow: Workflow, plan: Plan, *arguments: str, mpi: str = "mpich"):
    """Submit the workflow as a Slurm job that may grow."""
    require(mpi)
    step = Step(TYPE_OF[mpi], tuple(component.cpus_per_task for component in plan.components))
    batch = batch_of(workflow, *arguments, srun=tuple(srun_command(step)))
    batch = replace(batch, exports=(*batch.exports, *MPIS[mpi].environ.items()))
    return submit(workflow, plan, batch), batch


@pytest.mark.long
@pytest.mark.parametrize("mpi", ["mpich", *at_night(["impi", "openmpi"])])
def test_while_jobs_wait_further_slurm_jobs_join_and_they_go_with_the_run(
    workflow: Workflow, slurm: SlurmCluster, mpi: str
):
    workflow.write("Snakefile", SNAKEFILE)
    run, batch = started(workflow, SMALL, "--daskmpi-grow", "2", mpi=mpi)
    wait_for_joined(workflow, run)
    wait_until(lambda: recorded(batch), on_timeout=lambda: run.text)
    assert recorded(batch) == "0", run.text
    nothing_is_left(slurm)
    assert "61 of 61 steps (100%) done" in run.text
    ran = [workflow.lines(f"ran.{n}") for n in range(60)]
    assert all(len(nodes) == 1 for nodes in ran), "no job runs twice"
    assert all(of_it[-1] == "ended" for of_it in phases(workflow).values())
    by_worker = Counter(event["worker"] for event in events(workflow, "ended"))
    joined_with = {event["worker"]: event.get("allocation", "") for event in events(workflow, "worker")}
    assert {joined_with[worker] for worker in by_worker} == {"", *joined(workflow)}, "all of them had jobs"
    assert not events(workflow, "worker-lost"), "to go is no loss"
    assert {slurm.ended(int(job)) for job in joined(workflow)} == {("COMPLETED", 0)}


def test_a_run_that_starts_without_a_worker_gets_all_by_growing(workflow: Workflow, slurm: SlurmCluster):
    workflow.write("Snakefile", SNAKEFILE.replace("60", "4"))
    head = replace(SMALL, components=(replace(SMALL.components[0], n_tasks=2),))
    run, batch = started(workflow, head, "--daskmpi-grow", "1")
    wait_until(lambda: recorded(batch), on_timeout=lambda: run.text)
    assert recorded(batch) == "0", run.text
    assert "no worker yet" in run.text
    assert len(joined(workflow)) == 1
    nothing_is_left(slurm)


def test_without_the_flag_nothing_is_submitted(workflow: Workflow, slurm: SlurmCluster):
    workflow.write("Snakefile", SNAKEFILE.replace("60", "8"))
    run = workflow.run("--daskmpi-cores", "1")
    run.ends_with(0)
    assert not events(workflow, "allocation")
    assert not list(workflow.folder.glob(".snakemake/daskmpi/*/further"))
    assert not slurm.squeue()


def test_what_is_done_before_a_worker_had_started_calls_for_none(workflow: Workflow, slurm: SlurmCluster):
    workflow.write("Snakefile", SNAKEFILE.replace("60", "8"))
    run = workflow.run("--daskmpi-cores", "1", "--daskmpi-grow", "4")
    run.ends_with(0)
    assert not events(workflow, "allocation")
    assert not slurm.squeue()


def test_an_idle_allocation_is_given_back_while_the_run_goes_on(workflow: Workflow, slurm: SlurmCluster):
    # The last job waits for the allocation's end: it ends only if that does.
    workflow.write(
        "Snakefile",
        """
        rule all:
            input: "last"

        rule many:
            output: "out/{n}"
            resources: mem_mb=100
            shell: "sleep 1; touch {output}"

        rule last:
            output: "last"
            input: expand("out/{n}", n=range(50))
            resources: mem_mb=100
            shell: "while [ ! -e go ]; do sleep 0.1; done; touch {output}"
        """,
    )
    run = workflow.start("--daskmpi-cores", "1", "--daskmpi-grow", "1", "--daskmpi-shrink", "1s")
    (job,) = wait_for_joined(workflow, run)
    wait_until(lambda: slurm.ended(int(job)) or run.has_ended, on_timeout=lambda: run.text)
    assert slurm.ended(int(job)) == ("COMPLETED", 0), run.text
    assert not run.has_ended
    workflow.write("go", "")
    run.ends_with(0)
    assert "have had nothing to do for" in run.text
    assert not events(workflow, "worker-lost")


def test_the_python_of_the_run_is_that_of_its_further_jobs(workflow: Workflow, slurm: SlurmCluster):  # noqa: ARG001
    workflow.write("Snakefile", SNAKEFILE)
    run = workflow.start("--daskmpi-cores", "1", "--daskmpi-grow", "1")
    wait_for_joined(workflow, run)
    (script,) = workflow.folder.glob(".snakemake/daskmpi/*/further/1/job.sh")
    assert sys.executable in script.read_text()
    run.interrupt()
    assert run.wait() == 1


def test_where_a_planned_worker_would_wait_for_a_node_a_smaller_one_joins(workflow: Workflow, slurm: SlurmCluster):
    workflow.write("Snakefile", SNAKEFILE.replace("range(60)", "range(160)"))
    for node in ("n1", "n2", "n3", "n4"):
        taken = ("--cpus-per-task=6", "--mem=100", f"--nodelist={node}", "--time=60")
        slurm.ask("sbatch", "--job-name=other", "--output=/dev/null", *taken, "--wrap", "sleep 1000")
    wait_until(lambda: slurm.squeue("--states=RUNNING").count("other") == 4, on_timeout=slurm.squeue)
    # One worker for all: the plan is as many cores as a node has.
    run = workflow.start("--daskmpi-grow", "1", "--daskmpi-max-workers", "1", "--daskmpi-workers", "1")
    wait_for_joined(workflow, run)
    asked = [event["cores"] for event in events(workflow, "allocation") if event["phase"] == "queued"]
    assert asked == [2], "two cores are free on each node"
    run.interrupt()
    run.wait()
    slurm.ask("scancel", "--name=other")
    nothing_is_left(slurm)
