"""A limit of cores holds over all workers, and keeps no job waiting for ever."""

from __future__ import annotations

import pytest

from snakemake_executor_plugin_daskmpi.placement.placement import Placement
from snakemake_executor_plugin_daskmpi.resources import JobResources, WorkerResources

FOUR_CORES = WorkerResources(cores=(0, 1, 2, 3), mem_mb=12000, disk_mb=50000)


def limited(max_cores: int | None, patience: int = 32) -> Placement:
    placement = Placement(patience=patience, max_cores=max_cores)
    for name in ("w0", "w1"):
        placement.add_worker(name, FOUR_CORES)
    return placement


def started(placement: Placement) -> list[str]:
    return [assignment.key for assignment in placement.assignments()]


def test_without_a_limit_all_cores_are_used():
    placement = limited(None)
    for n in range(10):
        placement.enqueue(f"j{n}", JobResources(cores=1))
    assert len(started(placement)) == 8


def test_a_job_that_ends_on_one_worker_lets_one_start_on_another():
    placement = limited(4)
    for key in ("a", "b"):
        placement.enqueue(key, JobResources(cores=2, mem_mb=10))
    assert {assignment.worker for assignment in placement.assignments()} == {"w0"}, "best fit"
    placement.enqueue("all of the memory", JobResources(cores=2, mem_mb=12000))
    assert started(placement) == []
    placement.release("a")
    assert [assignment.worker for assignment in placement.assignments()] == ["w1"]


def test_a_large_job_gets_its_turn_in_a_stream_of_small_ones():
    placement = limited(4, patience=2)
    for n in range(4):
        placement.enqueue(f"first{n}", JobResources(cores=1), priority=5)
    running = started(placement)
    placement.enqueue("large", JobResources(cores=4), priority=5)
    for n in range(30):
        placement.enqueue(f"small{n}", JobResources(cores=1))
        placement.release(running.pop(0))
        running += started(placement)
        if "large" in running:
            return
    pytest.fail("the large job never ran")


def test_two_jobs_that_aged_and_one_worker_to_reserve_do_not_make_it_think_for_ever():
    placement = Placement(patience=1, max_cores=4)
    placement.add_worker("w0", FOUR_CORES)
    placement.enqueue("first", JobResources(cores=1))
    assert started(placement) == ["first"]
    for mem_mb in (1000, 2000):
        placement.enqueue(f"large{mem_mb}", JobResources(cores=4, mem_mb=mem_mb, runtime_min=mem_mb))
    placement.enqueue("larger", JobResources(cores=4), priority=1)
    for n in range(3):
        placement.enqueue(f"small{n}", JobResources(cores=1))
    assert set(started(placement)) <= {"small0", "small1", "small2"}


def test_a_lost_worker_gives_its_cores_back():
    placement = limited(4)
    for n in range(6):
        placement.enqueue(f"j{n}", JobResources(cores=1))
    assert {assignment.worker for assignment in placement.assignments()} == {"w0"}, "best fit"
    assert len(placement.remove_worker("w0")) == 4
    assert len(started(placement)) == 2


def test_a_job_larger_than_the_limit_runs_alone():
    placement = limited(2)
    placement.enqueue("large", JobResources(cores=4))
    placement.enqueue("small", JobResources(cores=1))
    assert started(placement) == ["large"]
    placement.release("large")
    assert started(placement) == ["small"]


def test_a_job_that_asks_for_more_than_was_found_counts_as_what_it_asks_for():
    placement = limited(90)
    for key in ("a", "b"):
        placement.enqueue(key, JobResources(cores=4, counted_cores=89))
    assert len(started(placement)) == 1
