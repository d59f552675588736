"""Workers that leave before the others, and those that are closed; the test is the clock."""

from __future__ import annotations

import pytest

from snakemake_executor_plugin_daskmpi.placement.deadline import Deadline
from snakemake_executor_plugin_daskmpi.placement.placement import Placement
from snakemake_executor_plugin_daskmpi.resources import JobResources, WorkerResources
from stories import Clock

FOUR_CORES = WorkerResources(cores=(0, 1, 2, 3), mem_mb=12000, disk_mb=50000)


class Fleet:
    """A placement whose workers stay for so many minutes, or for ever; named w0, w1 and so on."""

    def __init__(self, *stays: float | None, step_group: str = "", patience: int = 32) -> None:
        self.clock = Clock()
        self.placement = Placement(patience=patience)
        for number, stay in enumerate(stays):
            deadline = None if stay is None else Deadline(self.clock() + 60 * stay, 0.0, "Slurm", clock=self.clock)
            self.placement.add_worker(f"w{number}", FOUR_CORES, step_group, deadline)

    def started(self) -> dict[str, str]:
        """Return who starts where."""
        return {assignment.key: assignment.worker for assignment in self.placement.assignments()}

    def pass_by(self, minutes: float) -> None:
        """Let time go by."""
        self.clock.now += 60 * minutes


def job(cores: int = 1, minutes: int | None = None, **fields: int | bool) -> JobResources:
    return JobResources(cores=cores, runtime_min=minutes, **fields)


@pytest.mark.parametrize(("minutes", "starts"), [(None, True), (40, True), (41, False), (63, False)])
def test_a_job_starts_where_it_ends_in_time(minutes, starts):
    """Jobs of 40 to 63 minutes lie on one shelf."""
    fleet = Fleet(40)
    fleet.placement.enqueue("a", job(minutes=minutes))
    assert bool(fleet.started()) == starts


def test_of_a_shelf_those_start_that_end_in_time():
    fleet = Fleet(40)
    for key, minutes in (("long", 60), ("short", 33), ("longer", 63)):
        fleet.placement.enqueue(key, job(minutes=minutes))
    assert fleet.started() == {"short": "w0"}


def test_what_is_known_of_a_rule_counts_where_it_is_longer():
    fleet = Fleet(40)
    fleet.placement.may_take_min.update(slow=50.0, quick=1.0)
    for key, rule, minutes in (("a", "slow", None), ("b", "quick", 45), ("c", "quick", None), ("d", "", None)):
        fleet.placement.enqueue(key, job(minutes=minutes), rule=rule)
    assert fleet.started() == {"c": "w0", "d": "w0"}


def test_a_rule_that_takes_less_than_was_known_is_tried_again():
    fleet = Fleet(40)
    fleet.placement.may_take_min["slow"] = 50.0
    fleet.placement.enqueue("a", job(), rule="slow")
    assert fleet.started() == {}
    fleet.placement.may_take_min["slow"] = 30.0
    fleet.placement.try_again()
    assert fleet.started() == {"a": "w0"}


def test_a_closed_worker_takes_nothing_also_when_it_gets_something_back():
    fleet = Fleet(None, None)
    fleet.placement.enqueue("a", job(4))
    fleet.placement.enqueue("b", job(4))
    started = fleet.started()
    fleet.placement.enqueue("c", job(4))
    assert fleet.started() == {}
    fleet.placement.close_worker(started["a"])
    fleet.placement.release("a")
    assert fleet.started() == {}
    assert fleet.placement.fleet.is_done(started["a"])
    fleet.placement.release("b")
    assert fleet.started() == {"c": started["b"]}


def test_a_closed_worker_gets_no_successors():
    fleet = Fleet(None, None)
    fleet.placement.enqueue("a", job())
    where = fleet.started()["a"]
    fleet.placement.enqueue("b", job())
    fleet.placement.close_worker(where)
    assert fleet.placement.successor("a") is None


@pytest.mark.parametrize(("ahead_min", "is_sent"), [(0, True), (10, True), (11, False)])
def test_a_successor_ends_in_time_too(ahead_min, is_sent):
    fleet = Fleet(40)
    fleet.placement.enqueue("a", job(4, 30))
    fleet.started()
    fleet.placement.enqueue("b", job(4, 30))
    assert (fleet.placement.successor("a", ahead_min) is not None) == is_sent


def aged(*stays: float | None) -> Fleet:
    """Return a fleet in which a job of four cores and 30 minutes waits, and was passed over once by a small one."""
    fleet = Fleet(*stays, patience=1)
    for number in range(len(stays)):
        fleet.placement.enqueue(f"fills {number}", job(3))
    fleet.started()
    fleet.placement.enqueue("large", job(4, 30))
    fleet.placement.enqueue("small", job())
    fleet.started()
    return fleet


def test_no_worker_is_held_back_for_a_job_that_can_not_end_there():
    fleet = Fleet(20, None, patience=1)
    fleet.placement.enqueue("three", job(3, 60))
    fleet.placement.enqueue("two", job(2))
    assert fleet.started() == {"three": "w1", "two": "w0"}
    fleet.placement.enqueue("large", job(4, 30))
    fleet.placement.enqueue("small", job())
    assert fleet.started() == {"small": "w1"}
    fleet.placement.enqueue("next", job(2))
    assert fleet.started() == {"next": "w0"}, "where more is free, and too little time"
    fleet.placement.enqueue("tiny", job())
    fleet.placement.release("small")
    assert fleet.started() == {}, "the other one is held back"
    fleet.placement.release("three")
    assert fleet.started() == {"large": "w1"}


def test_a_reservation_is_given_up_when_it_is_too_late():
    fleet = aged(40)
    fleet.placement.enqueue("next", job())
    fleet.placement.release("small")
    assert fleet.started() == {}, "it is held back"
    fleet.pass_by(11)
    assert fleet.started() == {"next": "w0"}


def test_a_closed_worker_is_held_back_for_nobody():
    fleet = aged(None, None)
    (held_back,) = {worker.name for pile in fleet.placement._reservations.piles for worker in pile.reserved}
    fleet.placement.close_worker(held_back)
    fleet.placement.enqueue("next", job(4))
    fleet.started()
    (other,) = {worker.name for pile in fleet.placement._reservations.piles for worker in pile.reserved}
    assert other != held_back


def test_what_none_has_time_for_is_unplaceable():
    fleet = Fleet(40, 20)
    for key, minutes in (("a", 30), ("b", 15), ("c", None)):
        fleet.placement.enqueue(key, job(4, minutes))
    assert fleet.placement.unplaceable() == []
    fleet.pass_by(15)
    assert fleet.placement.unplaceable() == ["a"]
    fleet.placement.close_worker("w0")
    assert fleet.placement.unplaceable() == ["b"]
    fleet.placement.close_worker("w1")
    assert fleet.placement.unplaceable() == ["c"]


def test_is_refused_with_the_time_that_is_left():
    fleet = Fleet(40, 20)
    fleet.pass_by(5)
    assert fleet.placement.refusal(job(), 35) is None
    refusal = fleet.placement.refusal(job(), 36)
    assert refusal.happened == "No worker is there for long enough for a job that takes 36 minutes."
    assert "in 35.0 minutes" in refusal.seen
    assert fleet.placement.refusal(job(8), 36).happened.startswith("No worker can ever hold")


def test_a_job_over_several_workers_needs_them_all_until_its_end():
    fleet = Fleet(40, 20, 40, step_group="c1")
    fleet.placement.enqueue("wide", job(8, 30, tasks=8, spans=True))
    (assignment,) = fleet.placement.assignments()
    assert {worker for worker, _ in assignment.shared} == {"w0", "w2"}


def test_a_job_shares_workers_where_the_only_one_that_holds_it_leaves_too_soon():
    fleet = Fleet(20, 40, 40, step_group="c1")
    large = WorkerResources(cores=tuple(range(8)), mem_mb=12000, disk_mb=50000)
    soon = Deadline(fleet.clock() + 600, 0.0, "Slurm", clock=fleet.clock)
    fleet.placement.add_worker("large", large, "c1", soon)
    fleet.placement.enqueue("wide", job(8, 30, tasks=8, spans=True))
    (assignment,) = fleet.placement.assignments()
    assert {worker for worker, _ in assignment.shared} == {"w1", "w2"}


def test_a_worker_of_the_same_name_may_come_when_the_closed_one_has_gone():
    fleet = Fleet(None)
    fleet.placement.close_worker("w0")
    with pytest.raises(ValueError, match="already there"):
        fleet.placement.add_worker("w0", FOUR_CORES)
    fleet.placement.remove_worker("w0")
    fleet.placement.add_worker("w0", FOUR_CORES)


def test_a_job_goes_to_a_worker_that_stays_if_it_can_so_that_others_can_be_given_back():
    fleet = Fleet(600, None)
    for key in "abcde":
        fleet.placement.enqueue(key, job())
    assert fleet.started() == {**dict.fromkeys("abcd", "w1"), "e": "w0"}
