"""Rounds: Snakemake's default limit is lifted, what the user has set stays."""

from __future__ import annotations

import sys
from threading import Semaphore
from types import SimpleNamespace
from typing import Any

import pytest

from snakemake_executor_plugin_daskmpi.snakemake_internals.rounds import hold_another, lighten


def workflow(max_jobs: int = 100, timespan: int = 1, nodes: int = sys.maxsize, subsample: int | None = None) -> Any:
    """Return as much of a Snakemake workflow as the limits are read from."""
    limit = SimpleNamespace(max_jobs=max_jobs, timespan=timespan)
    scheduler = SimpleNamespace(job_rate_limiter=SimpleNamespace(_limit=limit), subsample=subsample)
    scheduler._open_jobs, scheduler.resources = Semaphore(0), {"_job_count": max_jobs}
    return SimpleNamespace(nodes=nodes, scheduler=scheduler)


def test_the_default_limit_is_lifted_and_the_user_is_told():
    ours = workflow()
    assert "--max-jobs-per-timespan" in lighten(ours)
    assert ours.scheduler.job_rate_limiter is None
    assert ours.scheduler.resources["_job_count"] == sys.maxsize


@pytest.mark.parametrize(("max_jobs", "timespan"), [(50, 1), (100, 60), (5000, 1)])
def test_a_limit_that_the_user_has_set_stays(max_jobs, timespan):
    ours = workflow(max_jobs, timespan)
    assert lighten(ours) == ""
    assert ours.scheduler.job_rate_limiter._limit.max_jobs == max_jobs


def test_a_second_look_changes_and_says_nothing():
    ours = workflow()
    lighten(ours)
    assert lighten(ours) == ""


def test_a_snakemake_that_has_no_such_limit_is_left_alone():
    assert lighten(SimpleNamespace(nodes=1, scheduler=SimpleNamespace())) == ""


@pytest.mark.parametrize(
    ("nodes", "subsample", "looked_at"),
    [(sys.maxsize, None, 1000), (sys.maxsize, 50, 50), (8, None, None)],
)
def test_a_round_looks_at_a_part_of_unlimited_jobs_unless_the_user_says_how_many(nodes, subsample, looked_at):
    ours = workflow(nodes=nodes, subsample=subsample)
    lighten(ours)
    assert ours.scheduler.subsample == looked_at


@pytest.mark.parametrize(("max_jobs", "at_once"), [(100, True), (50, False)])
def test_another_round_is_held_at_once_where_nothing_limits_it(max_jobs, at_once):
    ours = workflow(max_jobs)
    lighten(ours)
    hold_another(ours)
    assert ours.scheduler._open_jobs.acquire(blocking=False) == at_once
