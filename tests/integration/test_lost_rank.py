"""A rank of an MPI world dies: the others go on where they can, and end in order where they cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness import require
from killing import WAITING, check_end, kill_and_check, slow_jobs_below, start, wait_for_end, wait_for_losses
from mpis import MPIS, SAMPLED
from required import at_night

if TYPE_CHECKING:
    from harness import Workflow


#: A job of rank 1 itself, beside those that wait on workers.
LOCAL = """
rule local:
    output: "local.txt"
    shell: "touch started.local; sleep 1000; touch {output}"
"""


@pytest.mark.parametrize("mpi", SAMPLED)
def test_a_killed_worker_loses_its_jobs_and_the_world_does_the_rest(workflow: Workflow, mpi: str):
    run = kill_and_check(workflow, lambda workflow: workflow.server(3), 1, launcher=mpi)
    assert run.text.count("was lost on worker rank 3") == 2
    log = next(workflow.folder.glob(".snakemake/daskmpi/*/rank-3.log")).relative_to(workflow.folder)
    assert run.text.count(f"Seen: the end of {log}:") == 2


@pytest.mark.parametrize(("mpi", "flag", "code"), at_night([("impi", "", 255), ("openmpi", "--continuous", 0)]))
def test_where_mpiexec_lets_the_others_go_on_a_killed_keeper_is_a_lost_worker(
    workflow: Workflow, mpi: str, flag: str, code: int
):
    require(mpi)
    mpiexec = f"{MPIS[mpi].mpiexec} {flag}"
    env = MPIS[mpi].environ
    run = start(workflow, "--retries", "1", "--daskmpi-mpiexec", mpiexec, launcher="mpiexec", env=env)
    workflow.killed = True
    rank = workflow.rank(2)
    lost = slow_jobs_below(workflow, workflow.server(2))
    rank.kill()
    wait_for_end(workflow, rank, run)
    wait_for_losses(run, lost)
    # Intel's mpiexec holds the killed rank against the run, however that ends.
    check_end(workflow, run, lost, retries=1, code=code)
    assert "17 of 17 steps (100%) done" in run.text


@pytest.mark.parametrize("mpi", SAMPLED)
def test_a_killed_scheduler_ends_the_run_with_an_error_that_names_it(workflow: Workflow, mpi: str):
    workflow.write("Snakefile", WAITING)
    run = workflow.start(launcher=mpi)
    workflow.wait_for("started.0", "started.1", run=run)
    workflow.server(0).kill()
    run.ends_with(1, timeout_s=90)
    workflow.killed = True
    assert "The Dask scheduler is gone" in run.text
    assert "Next: " in run.text
    workflow.assert_nothing_left()
    assert not workflow.locks()
    assert not workflow.has("out/0.txt")


@pytest.mark.parametrize("mpi", SAMPLED)
def test_a_killed_snakemake_ends_the_world_and_its_jobs(workflow: Workflow, mpi: str):
    workflow.write("Snakefile", WAITING)
    run = workflow.start(launcher=mpi)
    workflow.wait_for("started.0", "started.1", run=run)
    workflow.server(1).kill()
    workflow.killed = True
    run.ends_with(137, timeout_s=90)
    workflow.assert_nothing_left()
    workflow.run("--unlock", launcher="auto")


@pytest.mark.parametrize(("rank", "what"), at_night([(0, "scheduler"), (1, "client"), (2, "worker")]))
def test_a_killed_keeper_leaves_nothing_running(workflow: Workflow, rank: int, what: str):  # noqa: ARG001 - for its name
    # MPICH's mpiexec ends all ranks then, unless told otherwise.
    workflow.write("Snakefile", WAITING)
    run = workflow.start(launcher="mpich")
    workflow.wait_for("started.0", "started.1", run=run)
    workflow.rank(rank).kill()
    workflow.killed = True
    assert run.wait(90) != 0
    workflow.assert_nothing_left()
    workflow.run("--unlock", launcher="auto")


@pytest.mark.parametrize("mpi", SAMPLED)
def test_a_part_of_the_launcher_that_is_killed_takes_its_ranks_along(workflow: Workflow, mpi: str):
    workflow.write("Snakefile", WAITING)
    workflow.write("Snakefile", f"localrules: local\n{workflow.read('Snakefile')}{LOCAL}")
    run = workflow.start("all", "local.txt", launcher=mpi)
    workflow.wait_for("started.0", "started.1", "started.local", run=run)
    workflow.rank(1).parent().kill()
    workflow.killed = True
    run.wait(90)
    workflow.assert_nothing_left()
    assert not workflow.has("out/0.txt")
    assert not workflow.locks(), "rank 1 ends in order"
