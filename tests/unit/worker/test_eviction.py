"""Eviction: which jobs are to be ended for their memory, given figures."""

from __future__ import annotations

import pytest

from snakemake_executor_plugin_daskmpi.worker.memory.eviction import Room, Use, condemned

HOG, HONEST, MODEST = Use(200, 1200), Use(400, 390), Use(300, 350)
JOBS = {"honest": HONEST, "hog": HOG, "modest": MODEST}
ROOMY, FULL = Room("the worker", 1800, 2000), Room("the worker", 1901, 2000)


def test_while_the_worker_has_room_a_job_may_exceed_its_request():
    assert condemned("evict", JOBS, [ROOMY]) == {}


def test_when_the_worker_is_nearly_full_the_job_furthest_over_its_request_is_ended_and_no_other():
    assert condemned("evict", JOBS, [FULL]) == {
        "hog": "it took 1200 MB and had asked for mem_mb=200, more over its request than any other job, "
        "when 1901 of the worker's 2000 MB were used"
    }


def test_the_largest_job_is_not_ended_if_it_asked_for_that_much():
    jobs = {"large": Use(1500, 1400), "small": Use(100, 110)}
    assert [*condemned("evict", jobs, [FULL])] == ["small"]


@pytest.mark.parametrize("use", [HONEST, Use(400, 400)])
def test_if_no_job_is_over_its_request_none_is_ended(use):
    assert condemned("evict", {"honest": use}, [Room("the worker", 5000, 2000)]) == {}
    assert condemned("strict", {"honest": use}, [Room("the worker", 5000, 2000)]) == {}


def test_a_job_that_asked_for_nothing_is_over_by_all_that_it_has():
    jobs = {"silent": Use(0, 700), "modest": Use(300, 900)}
    (reason,) = condemned("evict", jobs, [FULL]).values()
    assert reason.startswith("it took 700 MB and had not said how much (mem_mb), more over")


def test_any_limit_that_is_reached_counts_and_is_named():
    rooms = [ROOMY, Room("the control group", 1199, 1200)]
    assert condemned("evict", JOBS, rooms)["hog"].endswith("when 1199 of the control group's 1200 MB were used")


def test_without_jobs_nobody_is_ended():
    assert condemned("evict", {}, [FULL]) == {}


def test_strict_ends_all_that_exceed_their_requests_whatever_room_there_is():
    ended = condemned("strict", JOBS, [ROOMY])
    assert ended == {
        "hog": "it took 1200 MB and had asked for mem_mb=200 (--daskmpi-memory strict)",
        "modest": "it took 350 MB and had asked for mem_mb=300 (--daskmpi-memory strict)",
    }


def test_strict_holds_a_job_that_asked_for_nothing_to_nothing_but_the_workers_limit():
    jobs = {"silent": Use(0, 700)}
    assert condemned("strict", jobs, [ROOMY]) == {}
    assert [*condemned("strict", jobs, [FULL])] == ["silent"]


def test_strict_ends_no_job_for_room_that_others_make_by_their_end():
    jobs = {"silent": Use(0, 700), "hog": HOG}
    assert [*condemned("strict", jobs, [FULL])] == ["hog"]


@pytest.mark.parametrize("room", [ROOMY, FULL])
def test_ignore_ends_nobody(room):
    assert condemned("ignore", JOBS, [room]) == {}
