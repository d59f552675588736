"""Snakemake's rounds in our hands: no limit that nobody has set, no selection among jobs that all fit."""

from __future__ import annotations

import signal
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from schedulers import scheduler
from snakemake_executor_plugin_daskmpi.snakemake_internals.rounds import Rounds

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(autouse=True)
def _handlers():
    """Snakemake's scheduler handles SIGTERM from its making on."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@dataclass(eq=False)
class Ready:
    """A ready job, as far as a selection looks at it."""

    priority: int = 0
    needs: dict[str, int] = field(default_factory=dict)
    input: tuple[str, ...] = ()

    @property
    def scheduler_resources(self) -> dict[str, int]:
        """Return what it needs."""
        return {"_cores": 1, "_nodes": 1, "_job_count": 1, **self.needs}


@dataclass
class Selection:
    """A scheduler plugin of somebody else's, which takes one job at a time."""

    asked: list[int] = field(default_factory=list)

    def select_jobs(self, jobs: Any, *_: Any) -> list[Any]:
        """Select the first one."""
        self.asked.append(len(jobs))
        return list(jobs)[:1]


def rounds_of(
    *,
    in_parts: bool = True,
    before_each: Callable[[], None] = lambda: None,
    are_known: bool = True,
    **arguments: Any,
) -> tuple[Rounds, Any]:
    """Return ours and Snakemake's scheduler, which has made our executor in its own making."""
    made: list[Rounds] = []

    def make_executor(*_: Any) -> None:
        made.append(Rounds.in_the_making(in_parts=in_parts, before_each=before_each, are_known=are_known))

    theirs = scheduler(make_executor=make_executor, **arguments)
    return made[0], theirs


# -- the limit -----------------------------------------------------------------------------------


def test_the_default_limit_is_lifted_before_the_first_round():
    ours, theirs = rounds_of()
    assert ours.is_limit_lifted
    assert theirs.job_rate_limiter is None
    assert theirs.resources["_job_count"] == sys.maxsize


@pytest.mark.parametrize("limit", ["50/1s", "100/60s", "5000/1s"])
def test_a_limit_that_the_user_has_set_stays(limit):
    ours, theirs = rounds_of(limit=limit)
    assert not ours.is_limit_lifted
    assert theirs.job_rate_limiter.max_jobs == int(limit.partition("/")[0])


def test_no_more_jobs_than_a_limit_allows_are_selected_in_its_time():
    _, theirs = rounds_of(limit="50/60s")
    jobs = {Ready() for _ in range(80)}
    first = set(theirs.job_selector(jobs))
    assert len(first) == 50
    assert not theirs.job_selector(jobs - first)


def test_jobs_that_all_fit_count_for_the_limit():
    _, theirs = rounds_of(limit="50/60s")
    assert len(theirs.job_selector({Ready() for _ in range(30)})) == 30
    assert len(theirs.job_selector({Ready() for _ in range(30)})) == 20


@pytest.mark.parametrize(
    ("limit", "n_taken", "at_once"), [("100/1s", 1, True), ("50/60s", 1, True), ("50/60s", 50, False)]
)
def test_another_round_is_held_at_once_unless_a_limit_is_reached(limit, n_taken, at_once):
    ours, theirs = rounds_of(limit=limit)
    theirs._open_jobs.acquire()
    theirs.job_selector({Ready() for _ in range(n_taken)})
    ours.hold_another()
    assert theirs._open_jobs.acquire(blocking=False) == at_once


# -- jobs that end together ----------------------------------------------------------------------


@pytest.mark.parametrize(("n_others", "n_left"), [(0, 1), (3, 4)])
def test_one_round_is_held_for_jobs_that_were_told_together_and_those_for_others_stay(n_others, n_left):
    ours, theirs = rounds_of()
    theirs._open_jobs.acquire()
    for _ in range(n_others + 5):
        theirs._proceed(Ready())
    ours.hold_one_for(5)
    rounds = 0
    while theirs._open_jobs.acquire(blocking=False):
        rounds += 1
    assert rounds == n_left


def test_a_round_is_held_for_what_others_told_though_snakemake_was_quicker_than_we():
    ours, theirs = rounds_of()
    theirs._open_jobs.acquire()
    theirs._proceed(Ready())
    ours.hold_one_for(5)
    assert theirs._open_jobs.acquire(blocking=False)
    ours.hold_one_for(5)
    assert not theirs._open_jobs.acquire(blocking=False)


# -- the selection -------------------------------------------------------------------------------


def test_jobs_that_all_fit_are_all_taken_and_what_they_need_counts():
    _, theirs = rounds_of(resources={"licences": 10})
    jobs = {Ready(needs={"licences": 2}) for _ in range(4)}
    assert set(theirs.job_selector(jobs)) == jobs
    assert theirs.resources["licences"] == 2


def test_of_jobs_that_do_not_all_fit_snakemake_selects():
    _, theirs = rounds_of(resources={"licences": 5})
    selected = theirs.job_selector([*(Ready(needs={"licences": 2}) for _ in range(4)), Ready(priority=9), Ready()])
    assert sorted(job.needs.get("licences", 0) for job in selected) == [0, 0, 2, 2]
    assert theirs.resources["licences"] == 1


def test_a_job_that_needs_more_than_there_is_is_an_error_as_ever():
    from snakemake.exceptions import WorkflowError

    _, theirs = rounds_of(resources={"licences": 5})
    with pytest.raises(WorkflowError, match="licences=6"):
        theirs.job_selector([Ready(needs={"licences": 6})])


def test_of_very_many_the_first_by_priority_are_taken():
    _, theirs = rounds_of()
    jobs = [Ready(priority=number % 3) for number in range(2400)]
    taken = theirs.job_selector(set(jobs))
    assert len(taken) == 1000
    assert {job.priority for job in taken} == {1, 2}
    assert set(taken) > {job for job in jobs if job.priority == 2}


def test_of_very_many_others_go_while_the_first_wait_for_the_same_thing():
    _, theirs = rounds_of(resources={"licences": 1})
    scarce = [Ready(priority=1, needs={"licences": 1}) for _ in range(1500)]
    selected = theirs.job_selector({*scarce, *(Ready() for _ in range(1500))})
    assert {job.priority for job in selected} == {0, 1}


def test_where_snakemake_counts_running_jobs_a_round_looks_at_all():
    _, theirs = rounds_of(in_parts=False)
    assert len(theirs.job_selector({Ready() for _ in range(1500)})) == 1500


def test_what_the_user_says_of_parts_holds():
    _, theirs = rounds_of(subsample=1200)
    assert len(theirs.job_selector({Ready() for _ in range(1200)})) == 1200


def test_a_scheduler_of_somebody_elses_selects_itself():
    selection = Selection()
    _, theirs = rounds_of(selection=selection)
    assert len(theirs.job_selector([Ready(), Ready()])) == 1
    assert selection.asked == [2]


def test_a_signal_is_ours_to_handle_before_snakemake_takes_its_lock():
    seen: list[bool] = []
    _, theirs = rounds_of(before_each=lambda: seen.append(theirs._lock.locked()))
    theirs.job_selector([Ready()])
    assert seen == [False]


# -- another version -----------------------------------------------------------------------------


def test_a_version_that_differs_keeps_its_rounds():
    ours, theirs = rounds_of(are_known=False)
    ours.hold_another()
    assert not ours.is_limit_lifted
    assert theirs.job_rate_limiter is not None
    assert "job_selector" not in vars(theirs)
