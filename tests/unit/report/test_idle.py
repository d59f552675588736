"""Why cores idled, on records with known answers."""

from __future__ import annotations

import pytest

from records import START, Record
from snakemake_executor_plugin_daskmpi.report.figures import figures_of, history_of
from snakemake_executor_plugin_daskmpi.report.idle import Idle


@pytest.fixture
def record(tmp_path):
    record = Record(tmp_path)
    record.worker(mem_mb=1000)
    return record


def idle(record):
    """Return core-seconds by reason, those that are not zero."""
    told = figures_of(history_of(record.folder, START + 10_000))
    by_reason = {Idle(reason): hours * 3600 for reason, hours in told.idle_core_h.items() if hours}
    assert sum(by_reason.values()) == pytest.approx(told.key.idle_core_h * 3600)
    return pytest.approx(by_reason)


def test_cores_idle_for_want_of_jobs(record):
    record.job("r", 0, 10)
    record.end(20)
    assert idle(record) == {Idle.NO_JOB: 3 * 10 + 4 * 10}


def test_cores_idle_beside_a_job_that_is_too_large_for_them(record):
    record.job("r", 0, 10)
    record.job("r", 10, 10, cores=[0, 1, 2, 3], submitted_at=0)
    record.end(20)
    assert idle(record) == {Idle.TOO_LARGE: 3 * 10}


def test_a_job_can_be_too_large_by_its_memory_and_accounts_for_no_more_cores_than_it_asks_for(record):
    record.job("r", 0, 10, asks={"mem_mb": 800})
    record.job("r", 10, 10, cores=[0, 1], asks={"cores": 2, "mem_mb": 300}, submitted_at=0)
    record.end(20)
    assert idle(record) == {Idle.TOO_LARGE: 2 * 10, Idle.NO_JOB: 1 * 10 + 2 * 10}


def test_free_cores_on_two_workers_are_no_room_for_one_job(record):
    record.worker()
    record.job("r", 0, 10, cores=[0, 1])
    record.job("r", 0, 10, worker="rank 3", cores=[0, 1])
    record.job("r", 10, 10, cores=[0, 1, 2, 3], submitted_at=0)
    record.end(20)
    assert idle(record) == {Idle.TOO_LARGE: 4 * 10, Idle.NO_JOB: 4 * 10}


def test_cores_idle_while_a_job_that_fits_is_on_its_way(record):
    record.job("r", 2, 8, cores=[0, 1, 2, 3], submitted_at=0)
    record.end(10)
    assert idle(record) == {Idle.STARTING: 4 * 2}


def test_once_the_run_drains_all_cores_idle_for_that_whatever_waits(record):
    record.job("r", 0, 10, cores=[0, 1])
    record.submitted("waits")
    record.note("drain", 5, why="the allocation ends")
    record.end(10)
    assert idle(record) == {Idle.STARTING: 5, Idle.NO_JOB: 5, Idle.DRAIN: 2 * 5}


def test_jobs_that_were_set_aside_wait_no_more(record):
    record.submitted("large", asks={"cores": 8})
    record.note("set-aside", 5, jobs=["large"], why="too long")
    record.end(10)
    assert idle(record) == {Idle.TOO_LARGE: 4 * 5, Idle.NO_JOB: 4 * 5}


def test_a_job_does_not_fit_a_worker_of_another_component(record):
    record.worker(cores=1, components=["gpu"])
    record.job("r", 0, 10, cores=[0, 1, 2, 3])
    record.submitted("a", asks={"cores": 1, "component": "other"})
    record.submitted("b", at=5, asks={"cores": 1, "component": "gpu"})
    record.end(10)
    assert idle(record) == {Idle.TOO_LARGE: 5, Idle.STARTING: 5}
