"""The end of Snakemake's own scheduler in our hands, and a version of it that differs."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from schedulers import scheduler
from snakemake_executor_plugin_daskmpi.snakemake_internals import compatibility
from snakemake_executor_plugin_daskmpi.snakemake_internals.rounds import LIMITER, ROUNDS
from snakemake_executor_plugin_daskmpi.snakemake_internals.scheduler import END, Scheduler


@pytest.fixture(autouse=True)
def _handlers():
    """Snakemake's scheduler handles SIGTERM from its making on."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def scheduler_of() -> tuple[Scheduler, Any]:
    """Return ours and Snakemake's own."""
    theirs = scheduler()
    return Scheduler(theirs.workflow), theirs


# -- the end -------------------------------------------------------------------------------------


def test_the_end_lets_what_runs_end_and_forgets_what_was_set_aside():
    ours, theirs = scheduler_of()
    theirs.running.update({"runs", "aside"})
    ours.end({"aside"})
    assert ours.running == {"runs"}
    assert theirs._user_kill == "graceful"


def test_after_a_failure_it_ends_by_itself_without_what_was_set_aside():
    ours, theirs = scheduler_of()
    theirs.running.update({"runs", "aside"})
    assert not ours.stops(has_failed=False)
    assert ours.stops(has_failed=True)
    theirs.failed.add("failed")
    assert ours.stops(has_failed=False)
    ours.let_go({"aside"})
    assert ours.running == {"runs"}
    assert theirs._open_jobs.acquire(blocking=False)
    assert theirs._user_kill is None
    theirs.keepgoing = True
    assert not ours.stops(has_failed=True)


def test_a_job_that_ended_and_was_not_taken_in_may_let_others_start():
    ours, theirs = scheduler_of()
    theirs.running.add("aside")
    assert ours.has_nothing_but({"aside"})
    theirs._tofinish.append("ended")
    assert not ours.has_nothing_but({"aside"})


def test_a_job_that_runs_is_something_else():
    ours, theirs = scheduler_of()
    theirs.running.update({"runs", "aside"})
    assert not ours.has_nothing_but({"aside"})


@pytest.mark.parametrize(
    ("selects_none", "fails", "is_all"), [(True, False, True), (False, False, False), (False, True, True)]
)
def test_ready_jobs_are_something_else_unless_they_cannot_be_selected_or_a_failure_ends_the_run(
    selects_none, fails, is_all
):
    ours, theirs = scheduler_of()
    theirs.workflow.dag.ready_jobs.add("ready")
    theirs._last_job_selection_empty = selects_none
    theirs.failed.update({"failed"} if fails else ())
    assert ours.has_nothing_but(set()) == is_all


def test_a_job_that_is_taken_back_is_an_error_to_snakemake_which_cleans_up():
    ours, theirs = scheduler_of()
    ours.take_back("job")
    assert theirs._toerror == ["job"]


# -- another version -----------------------------------------------------------------------------


def test_the_installed_version_has_all_that_is_used():
    assert compatibility.lacks_of_scheduler(ROUNDS | END) == []
    assert compatibility.lacks_of_limit(LIMITER) == []


def test_what_a_version_lacks_is_named():
    assert compatibility.lacks_of_scheduler({"running", "no_such_thing"}) == [
        "JobScheduler has no no_such_thing any more"
    ]
