"""Snakemake's own scheduler in our hands: fewer rounds, its end, and a version of it that differs."""

from __future__ import annotations

import signal
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from snakemake.resources import Resources
from snakemake.scheduling.greedy import SchedulerSettings
from snakemake.scheduling.job_scheduler import JobScheduler
from snakemake.settings.types import MaxJobsPerTimespan

from snakemake_executor_plugin_daskmpi.snakemake_internals import compatibility
from snakemake_executor_plugin_daskmpi.snakemake_internals.scheduler import END, ROUNDS, Scheduler


@pytest.fixture(autouse=True)
def _handlers():
    """Snakemake's scheduler handles SIGTERM from its making on."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def scheduler_of(
    limit: str = "100/1s", nodes: int = sys.maxsize, subsample: int | None = None
) -> tuple[Scheduler, Any]:
    """Return ours and Snakemake's own, of as much of a workflow as that looks at."""
    workflow: Any = SimpleNamespace(
        dryrun=False,
        touch=False,
        local_exec=True,
        nodes=nodes,
        output_settings=SimpleNamespace(quiet=None),
        execution_settings=SimpleNamespace(keep_going=False),
        remote_execution_settings=SimpleNamespace(immediate_submit=False),
        scheduling_settings=SimpleNamespace(
            greediness=1.0, subsample=subsample, max_jobs_per_timespan=MaxJobsPerTimespan.parse_choice(limit)
        ),
        global_resources=Resources.from_mapping({"_cores": 1, "_nodes": nodes}),
        dag=SimpleNamespace(ready_jobs=set()),
    )
    plugin = SimpleNamespace(executor=lambda *_: None)
    theirs = JobScheduler(workflow, plugin, SimpleNamespace(select_jobs=None), SchedulerSettings())
    workflow.scheduler = theirs
    return Scheduler(workflow), theirs


# -- rounds --------------------------------------------------------------------------------------


def test_the_default_limit_is_lifted_once():
    ours, theirs = scheduler_of()
    assert ours.lift_default_limit()
    assert theirs.job_rate_limiter is None
    assert theirs.resources["_job_count"] == sys.maxsize
    assert not ours.lift_default_limit()


@pytest.mark.parametrize("limit", ["50/1s", "100/60s", "5000/1s"])
def test_a_limit_that_the_user_has_set_stays(limit):
    ours, theirs = scheduler_of(limit)
    assert not ours.lift_default_limit()
    assert theirs.job_rate_limiter.max_jobs == int(limit.partition("/")[0])


@pytest.mark.parametrize(
    ("nodes", "subsample", "looked_at"),
    [(sys.maxsize, None, 1000), (sys.maxsize, 50, 50), (8, None, None)],
)
def test_a_round_looks_at_a_part_of_unlimited_jobs_unless_the_user_says_how_many(nodes, subsample, looked_at):
    ours, theirs = scheduler_of(nodes=nodes, subsample=subsample)
    ours.lift_default_limit()
    assert theirs.subsample == looked_at


@pytest.mark.parametrize(("limit", "at_once"), [("100/1s", True), ("50/1s", False)])
def test_another_round_is_held_at_once_where_nothing_limits_it(limit, at_once):
    ours, theirs = scheduler_of(limit)
    theirs._open_jobs.acquire()
    ours.lift_default_limit()
    ours.hold_another_round()
    assert theirs._open_jobs.acquire(blocking=False) == at_once


# -- the end -------------------------------------------------------------------------------------


def test_the_end_lets_what_runs_end_and_forgets_what_was_set_aside():
    ours, theirs = scheduler_of()
    theirs.running.update({"runs", "aside"})
    ours.end({"aside"})
    assert ours.running == {"runs"}
    assert theirs._user_kill == "graceful"


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
    assert compatibility.lacks_of_limit() == []


def test_what_a_version_lacks_is_named():
    assert compatibility.lacks_of_scheduler({"running", "no_such_thing"}) == [
        "JobScheduler has no no_such_thing any more"
    ]


def test_a_version_that_lacks_something_keeps_its_limit():
    ours, theirs = scheduler_of()
    ours.has_rounds = False
    assert not ours.lift_default_limit()
    ours.hold_another_round()
    assert theirs.job_rate_limiter is not None
