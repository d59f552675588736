"""Successors: jobs that are sent to a worker before the one ahead of them has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from snakemake_executor_plugin_daskmpi.placement.placement import Placement
from snakemake_executor_plugin_daskmpi.resources import JobResources, WorkerResources

if TYPE_CHECKING:
    from snakemake_executor_plugin_daskmpi.placement.assignment import Assignment

ONE = JobResources(cores=1, mem_mb=100)
WORKER = WorkerResources(cores=(0, 1), mem_mb=1000, disk_mb=0, gpus=("a", "b"))


def placement_with(*keys: str, request: JobResources = ONE) -> Placement:
    """Return a placement of one worker with jobs in its queue."""
    placement = Placement()
    placement.add_worker("w", WORKER)
    for key in keys:
        placement.enqueue(key, request)
    return placement


def successor_of(placement: Placement, key: str) -> Assignment:
    successor = placement.successor(key)
    assert successor is not None
    return successor


def test_a_successor_gets_the_very_cores_and_gpus_of_the_job_ahead() -> None:
    placement = placement_with("a", "b", "c", request=JobResources(cores=1, gpus=1))
    first, second = placement.assignments()
    successor = successor_of(placement, second.key)
    assert (successor.cores, successor.gpus) == (second.cores, second.gpus)
    assert (successor.key, first.key) == ("c", "a")


def test_a_successor_frees_nothing_until_it_ends_itself() -> None:
    placement = placement_with("a", "b", "c", "d")
    assert len(placement.assignments()) == 2
    successor_of(placement, "a")
    placement.release("a")
    assert placement.assignments() == []
    placement.release("c")
    assert [a.key for a in placement.assignments()] == ["d"]


def test_successors_queue_up_behind_each_other() -> None:
    placement = placement_with(*"abcde")
    placement.assignments()
    assert [successor_of(placement, ahead).key for ahead in "acd"] == ["c", "d", "e"]
    assert placement.successor("a") is None
    for key in "acde":
        placement.release(key)
    placement.release("b")
    assert (placement.queued, placement.running) == (0, 0)


@pytest.mark.parametrize(
    ("request_", "priority"), [(JobResources(cores=2), 0), (ONE, 1)], ids=["larger", "of higher priority"]
)
def test_there_is_no_successor_while_a_job_of_higher_rank_waits(request_: JobResources, priority: int) -> None:
    placement = placement_with("a", "b", "c")
    placement.assignments()
    placement.enqueue("first", request_, priority)
    assert placement.successor("a") is None


def test_a_job_that_asks_for_something_else_is_no_successor() -> None:
    placement = placement_with("a", "b")
    placement.assignments()
    placement.enqueue("other", JobResources(cores=1, mem_mb=50))
    assert placement.successor("a") is None


def test_a_successor_that_ends_before_its_turn_leaves_the_others_in_order() -> None:
    placement = placement_with(*"abcd")
    placement.assignments()
    successor_of(placement, "a")
    successor_of(placement, "c")
    placement.release("c")
    placement.release("a")
    placement.enqueue("e", ONE)
    assert placement.assignments() == []
    placement.release("d")
    assert [a.key for a in placement.assignments()] == ["e"]


def test_a_removed_worker_gives_back_running_jobs_and_successors() -> None:
    placement = placement_with("a", "b", "c")
    placement.assignments()
    successor_of(placement, "a")
    assert sorted(placement.remove_worker("w")) == ["a", "b", "c"]
    placement.add_worker("v", WORKER)
    placement.enqueue("c", ONE)
    assert [a.key for a in placement.assignments()] == ["c"]
