"""A worker of a Slurm job is lost, with its rank or its node: the others do the rest, with every MPI."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from batch_runs import HEAD, batch_of, recorded, submit
from harness import require, wait_until
from mpis import MPIS
from required import at_night
from snakemake_executor_plugin_daskmpi.slurm.plan import Component, Plan
from snakemake_executor_plugin_daskmpi.slurm.script.srun import Step, srun_command

if TYPE_CHECKING:
    from harness import Workflow
    from runs import SlurmRun
    from slurm_cluster import SlurmCluster
    from snakemake_executor_plugin_daskmpi.slurm.script.batch import Batch

#: The types of ``srun --mpi`` with which the libraries meet.
TYPE_OF = {"mpich": "pmi2", "impi": "pmi2", "openmpi": "pmix"}

#: Ranks 0 and 1 on n1, two workers on a node each.
WORKERS = Component("workers", ("",), n_tasks=2, cpus_per_task=5, mem_per_cpu_mb=512)
PLAN = Plan((HEAD, WORKERS), walltime_min=10)

#: Jobs that end at once, and two for each worker that wait, which have a child in a session of its own.
SNAKEFILE = """
    rule all:
        input: expand("{n}.txt", n=range(4)), expand("early.{n}.txt", n=range(4))

    rule early:
        output: "early.{n}.txt"
        shell: "echo ran >> early.{wildcards.n}; touch {output}"

    rule slow:
        output: "{n}.txt"
        input: expand("early.{n}.txt", n=range(4))
        threads: 2
        shell:
            "hostname >> slow.{wildcards.n}; setsid sleep 1000 & "
            "while [ ! -e go ]; do sleep 0.05; done; hostname > {output}"
"""


def start(workflow: Workflow, mpi: str = "mpich", plan: Plan = PLAN) -> tuple[SlurmRun, Batch]:
    """Submit the workflow as the launcher does, and return when all four slow jobs run."""
    require(mpi)
    workflow.write("Snakefile", SNAKEFILE)
    step = Step(TYPE_OF[mpi], tuple(component.cpus_per_task for component in plan.components))
    batch = batch_of(workflow, "--retries", "1", "--keep-going", srun=tuple(srun_command(step)))
    batch = replace(batch, exports=(*batch.exports, *MPIS[mpi].environ.items()))
    run = submit(workflow, plan, batch)
    # A shell opens a file before it runs what writes to it.
    workflow.wait_for(*(f"slow.{n}" for n in range(4)), run=run, filled=True)
    return run, batch


def check_others_did_the_rest(workflow: Workflow, run: SlurmRun, batch: Batch, node: str) -> None:
    """Let the jobs go on, and check that those of the lost node ran again, on the other one."""
    lost = {n for n in range(4) if workflow.lines(f"slow.{n}") == [node]}
    (other,) = {workflow.lines(f"slow.{n}")[0] for n in range(4)} - {node}
    assert len(lost) == 2
    wait_until(
        lambda: run.text.count("was lost on worker") >= len(lost) or recorded(batch),
        on_timeout=lambda: run.text,
        timeout_s=100,
    )
    workflow.write("go", "")
    # Not the state of the job: Slurm also logs an end of it when it takes a node away.
    wait_until(lambda: recorded(batch), on_timeout=lambda: run.text)
    assert "9 of 9 steps (100%) done" in run.text, run.text
    assert run.text.count("was lost on worker") == 2
    assert "died while running it" in run.text
    for n in range(4):
        assert workflow.lines(f"early.{n}") == ["ran"], "a finished job never runs again"
        assert len(workflow.lines(f"slow.{n}")) == (2 if n in lost else 1)
        assert workflow.read(f"{n}.txt") == f"{other}\n"
    assert not workflow.locks()
    assert workflow.incomplete() == set()
    assert recorded(batch) == "0", run.text
    wait_until(lambda: not workflow.processes(), on_timeout=lambda: run.text)


@pytest.mark.parametrize(
    ("mpi", "who"),
    [
        ("mpich", "worker"),
        *at_night((mpi, who) for mpi in TYPE_OF for who in ("worker", "rank") if (mpi, who) != ("mpich", "worker")),
    ],
)
def test_after_a_worker_is_killed_the_workflow_completes(
    workflow: Workflow,
    slurm: SlurmCluster,  # noqa: ARG001
    mpi: str,
    who: str,
):
    run, batch = start(workflow, mpi)
    workflow.killed = True
    victim = workflow.server(3) if who == "worker" else workflow.rank(3)
    node = victim.environ()["SLURMD_NODENAME"]
    victim.kill()
    check_others_did_the_rest(workflow, run, batch, node)


def test_after_a_node_of_a_homogeneous_job_is_lost_the_workflow_completes(workflow: Workflow, slurm: SlurmCluster):
    # Of a heterogeneous job, Slurm ends all components when a node fails, --no-kill or not (22.05).
    plan = Plan((replace(WORKERS, n_tasks=4),), walltime_min=10)
    run, batch = start(workflow, plan=plan)
    workflow.killed = True
    node = workflow.lines("slow.0")[0]
    slurm.scontrol("update", f"nodename={node}", "state=down", "reason=test")
    check_others_did_the_rest(workflow, run, batch, node)


@pytest.mark.nightly
def test_a_node_whose_slurmd_is_killed_goes_on_with_its_jobs(workflow: Workflow, slurm: SlurmCluster):
    run, batch = start(workflow)
    node = workflow.lines("slow.0")[0]
    slurm.kill_daemon(node)
    try:
        workflow.write("go", "")
        wait_until(lambda: recorded(batch), on_timeout=lambda: run.text)
    finally:
        slurm.start_node(node)
    assert "9 of 9 steps (100%) done" in run.text, run.text
    assert recorded(batch) == "0", run.text
    assert "was lost" not in run.text
    assert all(len(workflow.lines(f"slow.{n}")) == 1 for n in range(4))
    wait_until(lambda: not workflow.processes(), on_timeout=lambda: run.text)
    run.wait()
