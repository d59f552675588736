"""Placement of MPI programs whose tasks share several workers: all at once, never for ever, and all given back."""

from __future__ import annotations

import pytest

from snakemake_executor_plugin_daskmpi.messages import WorkerInfo
from snakemake_executor_plugin_daskmpi.placement.assignment import Assignment
from snakemake_executor_plugin_daskmpi.placement.grants import grant_of
from snakemake_executor_plugin_daskmpi.placement.placement import Placement
from snakemake_executor_plugin_daskmpi.resources import JobResources, WorkerResources

TWO_CORES = WorkerResources(cores=(0, 1), mem_mb=1000, disk_mb=0)
#: Four tasks of a core each: more than one worker has.
WIDE = JobResources(cores=4, mem_mb=400, tasks=4, spans=True)


def placement_of(*groups: str, patience: int = 32) -> Placement:
    """Return a placement of workers w0, w1, ... of two cores, each in a step group."""
    placement = Placement(patience=patience)
    for number, group in enumerate(groups):
        placement.add_worker(f"w{number}", TWO_CORES, group)
    return placement


def test_tasks_that_fit_no_worker_are_shared_by_several() -> None:
    placement = placement_of("c1", "c1")
    placement.enqueue("wide", WIDE)
    (assignment,) = placement.assignments()
    assert assignment == Assignment("wide", "w0", (0, 1), (), (("w0", 2), ("w1", 2)))
    placement.enqueue("next", JobResources())
    assert placement.assignments() == [], "all cores are taken"
    placement.release("wide")
    assert len(placement.assignments()) == 1


def test_tasks_that_fit_one_worker_stay_together_and_wait_for_it() -> None:
    placement = placement_of("c1", "c1")
    for n in range(2):
        placement.enqueue(f"{n}", JobResources())
    placement.enqueue("pair", JobResources(cores=2, tasks=2, spans=True), priority=-1)
    started = placement.assignments()
    assert [a.shared for a in started] == [(), (), ()]


@pytest.mark.parametrize("groups", [("c1", "c2"), ("", "")], ids=["two components", "no step"])
def test_workers_that_one_step_cannot_span_share_no_job(groups: tuple[str, ...]) -> None:
    placement = placement_of(*groups)
    refusal = placement.refusal(WIDE)
    assert refusal is not None
    assert "4" in refusal.happened


def test_too_many_tasks_are_refused_with_the_number_that_there_is_room_for() -> None:
    refusal = placement_of("c1", "c1").refusal(JobResources(cores=6, tasks=6, spans=True))
    assert refusal is not None
    assert refusal.happened == "No workers can ever hold a job with tasks=6 of 1 cores and 0 MB each."
    assert "room for 4 such tasks" in refusal.seen
    assert "--ntasks" in refusal.next_step


def test_tasks_of_mpiexec_are_refused_if_one_worker_cannot_hold_them_and_told_of_srun() -> None:
    refusal = placement_of("c1", "c1").refusal(JobResources(cores=4, tasks=4))
    assert refusal is not None
    assert refusal.seen == "threads=4, but the largest worker offers 2."
    assert 'mpi="srun"' in refusal.next_step


def test_memory_is_split_among_the_tasks() -> None:
    placement = placement_of("c1", "c1")
    assert placement.refusal(JobResources(cores=4, mem_mb=2000, tasks=4, spans=True)) is None
    assert placement.refusal(JobResources(cores=4, mem_mb=2004, tasks=4, spans=True)) is not None
    # Wide for its memory alone.
    placement.enqueue("wide", JobResources(cores=2, mem_mb=1500, tasks=2, spans=True))
    assert [a.shared for a in placement.assignments()] == [(("w0", 1), ("w1", 1))]


def test_a_wide_job_does_not_starve_behind_a_stream_of_small_ones() -> None:
    placement = placement_of("c1", "c1", patience=5)
    running = []
    for n in range(4):
        placement.enqueue(f"first{n}", JobResources())
    running += [a.key for a in placement.assignments()]
    placement.enqueue("wide", WIDE)
    for n in range(40):
        placement.enqueue(f"{n}", JobResources())
        placement.release(running.pop(0))
        running += [a.key for a in placement.assignments()]
        if "wide" in running:
            break
    assert "wide" in running
    assert n < 15


def test_a_worker_that_runs_its_body_takes_the_job_along_and_the_others_are_free() -> None:
    placement = placement_of("c1", "c1", "c1")
    placement.enqueue("wide", WIDE)
    placement.assignments()
    assert placement.remove_worker("w0") == ["wide"]
    placement.enqueue("again", WIDE)
    assert [a.shared for a in placement.assignments()] == [(("w1", 2), ("w2", 2))]


def test_a_job_that_loses_a_worker_with_tasks_keeps_the_others_until_it_is_released() -> None:
    placement = placement_of("c1", "c1")
    placement.enqueue("wide", WIDE)
    placement.assignments()
    assert placement.remove_worker("w1") == []
    placement.enqueue("small", JobResources())
    assert placement.assignments() == []
    placement.release("wide")
    assert [a.worker for a in placement.assignments()] == ["w0"]


INFOS = {
    "w0": WorkerInfo("w0", "rank 2", "host2", node="n2", het_group=1),
    "w1": WorkerInfo("w1", "rank 3", "host3", node="n3", het_group=1),
}


def test_a_grant_names_the_node_of_each_task_and_the_component_of_the_step() -> None:
    grant = grant_of(Assignment("wide", "w0", (0, 1), (), (("w0", 2), ("w1", 2))), WIDE, "srun --mpi=pmi2", INFOS)
    assert grant.nodes == ("n2", "n2", "n3", "n3")
    assert (grant.tasks, grant.cores_per_task, grant.cores) == (4, 1, (0, 1))
    assert grant.mpi == "srun --het-group=1 --mpi=pmi2"


@pytest.mark.parametrize("mpi", ["", "mpiexec --oversubscribe", "srun --het-group=0"])
def test_a_launcher_that_needs_nothing_stays_as_the_rule_has_it(mpi: str) -> None:
    assert grant_of(Assignment("job", "w0", (0,), ()), JobResources(), mpi, INFOS).mpi == mpi


def test_outside_a_slurm_step_srun_is_used_as_it_is() -> None:
    infos = {"w0": WorkerInfo("w0", "rank 2", "host")}
    grant = grant_of(Assignment("job", "w0", (0,), ()), JobResources(), "srun", infos)
    assert (grant.mpi, grant.nodes) == ("srun", ())
