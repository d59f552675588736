"""Why cores idled, on records with known answers."""

from __future__ import annotations

import pytest

from simulated_records import BEGIN, Record
from snakemake_executor_plugin_daskmpi.report.figures import figures_of, history_of
from snakemake_executor_plugin_daskmpi.report.idle import Idle

RANK = "rank 2"


@pytest.fixture
def record(tmp_path):
    record = Record(tmp_path / "run")
    record.run()
    record.worker(RANK, 4)
    return record


def idle(record):
    """Return core-seconds by reason, those that are not zero."""
    told = figures_of(history_of(record.write(), BEGIN + 10_000))
    by_reason = {Idle(reason): hours * 3600 for reason, hours in told.idle_core_h.items() if hours}
    assert sum(by_reason.values()) == pytest.approx(told.key.idle_core_h * 3600)
    return pytest.approx(by_reason)


def test_cores_idle_for_want_of_jobs(record):
    record.job(1, 0, 10, RANK, [0])
    record.end(20)
    assert idle(record) == {Idle.NO_JOB: 3 * 10 + 4 * 10}


def test_cores_idle_beside_a_job_that_is_too_large_for_them(record):
    record.job(1, 0, 10, RANK, [0])
    record.job(2, 10, 20, RANK, [0, 1, 2, 3], submitted_at=0)
    record.end(20)
    assert idle(record) == {Idle.TOO_LARGE: 3 * 10}


def test_a_job_can_be_too_large_by_its_memory_and_accounts_for_no_more_cores_than_it_asks_for(record):
    record.job(1, 0, 10, RANK, [0], asks={"mem_mb": 800})
    record.job(2, 10, 20, RANK, [0, 1], asks={"cores": 2, "mem_mb": 300}, submitted_at=0)
    record.end(20)
    assert idle(record) == {Idle.TOO_LARGE: 2 * 10, Idle.NO_JOB: 1 * 10 + 2 * 10}


def test_free_cores_on_two_workers_are_no_room_for_one_job(record):
    record.worker("rank 3", 4)
    record.job(1, 0, 10, RANK, [0, 1])
    record.job(2, 0, 10, "rank 3", [0, 1])
    record.job(3, 10, 20, RANK, [0, 1, 2, 3], submitted_at=0)
    record.end(20)
    assert idle(record) == {Idle.TOO_LARGE: 4 * 10, Idle.NO_JOB: 4 * 10}


def test_cores_idle_while_a_job_that_fits_is_on_its_way(record):
    record.job(1, 2, 10, RANK, [0, 1, 2, 3], submitted_at=0)
    record.end(10)
    assert idle(record) == {Idle.STARTING: 4 * 2}


def test_once_the_run_drains_all_cores_idle_for_that_whatever_waits(record):
    record.job(1, 0, 10, RANK, [0, 1])
    record.submitted(2, 0)
    record.note("drain", 5, why="the allocation ends")
    record.end(10)
    assert idle(record) == {Idle.STARTING: 5, Idle.NO_JOB: 5, Idle.DRAIN: 2 * 5}


def test_jobs_that_were_set_aside_wait_no_more(record):
    key = record.submitted(1, 0, asks={"cores": 8})
    record.note("set-aside", 5, jobs=[key], why="too long")
    record.end(10)
    assert idle(record) == {Idle.TOO_LARGE: 4 * 5, Idle.NO_JOB: 4 * 5}


def test_a_job_does_not_fit_a_worker_of_another_component(record):
    record.note(
        *("worker", 0), worker="rank 3", host="h", cores=[0], mem_mb=1000, disk_mb=0, gpus=[], components=["gpu"]
    )
    record.job(1, 0, 10, RANK, [0, 1, 2, 3])
    record.submitted(2, 0, asks={"cores": 1, "component": "other"})
    record.submitted(3, 5, asks={"cores": 1, "component": "gpu"})
    record.end(10)
    assert idle(record) == {Idle.TOO_LARGE: 5, Idle.STARTING: 5}
