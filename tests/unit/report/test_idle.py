"""Why cores idled, on records with known answers."""

from __future__ import annotations

import pytest

from records import START, Record
from snakemake_executor_plugin_daskmpi.report.figures import figures_of, history_of
from snakemake_executor_plugin_daskmpi.report.idle import Idle, Lack
from snakemake_executor_plugin_daskmpi.report.summaries import summaries_of


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


def lacks(record):
    """Return core-seconds for which jobs were too large, by what they lacked."""
    told = figures_of(history_of(record.folder, START + 10_000))
    by_lack = {Lack(lack): hours * 3600 for lack, hours in told.too_large_core_h.items() if hours}
    assert sum(by_lack.values()) == pytest.approx(told.idle_core_h[Idle.TOO_LARGE] * 3600)
    return pytest.approx(by_lack)


def waiting(record, at, *reasons):
    """Note why jobs wait: causes, with what these ask for."""
    rest = {"priority": 0, "n_jobs": 1, "text": "", "example": ""}
    record.note("waiting", at, reasons=[{"cause": cause, "asks": asks, **rest} for cause, asks in reasons])


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


@pytest.mark.parametrize(
    ("cause", "lack"),
    [
        ("cores", Lack.CORES),
        ("memory", Lack.MEMORY),
        ("gpus", Lack.GPUS),
        ("disk", Lack.DISK),
        ("together", Lack.TOGETHER),
        ("awaited", Lack.WORKER),
        ("turn", Lack.UNKNOWN),
        ("the weather", Lack.UNKNOWN),
    ],
)
def test_what_jobs_lacked_is_what_the_record_said_of_jobs_that_ask_for_the_same(record, cause, lack):
    asks = {"cores": 2, "mem_mb": 1001, "runtime_min": 5}
    record.submitted("1", asks=asks)
    waiting(record, 0, (cause, asks), ("turn", {"cores": 2}))
    record.end(10)
    assert lacks(record) == {lack: 2 * 10}


def test_what_jobs_lacked_is_what_was_said_last_or_else_next_and_is_not_known_without_either(record):
    asks = {"cores": 4, "mem_mb": 900}
    record.job("r", 0, 20, asks={"mem_mb": 200})
    record.submitted("2", asks=asks)
    waiting(record, 2, ("memory", asks))
    waiting(record, 8, ("cores", asks))
    waiting(record, 15, ("memory", {"mem_mb": 5000}))
    record.end(20)
    assert lacks(record) == {Lack.MEMORY: 3 * (2 + 6), Lack.CORES: 3 * 7, Lack.UNKNOWN: 3 * 5}


def test_what_idles_is_parted_by_what_jobs_lack_in_proportion_to_the_cores_that_they_ask_for(record):
    large, wide = {"cores": 1, "mem_mb": 2000}, {"cores": 5}
    for number in range(3):
        record.submitted(str(number), asks=large)
    record.submitted("9", asks=wide)
    waiting(record, 0, ("memory", large), ("cores", wide))
    record.end(10)
    assert lacks(record) == {Lack.MEMORY: 10 * 4 * 3 / 8, Lack.CORES: 10 * 4 * 5 / 8}


def test_of_several_reasons_for_the_same_need_the_first_one_counts(record):
    asks = {"cores": 4, "mem_mb": 2000}
    record.submitted("1", asks=asks, priority=1)
    waiting(record, 0, ("memory", asks), ("cores", {**asks, "runtime_min": 3}))
    record.end(10)
    assert lacks(record) == {Lack.MEMORY: 4 * 10}


def test_a_job_can_be_too_large_by_its_scratch_space(tmp_path):
    record = Record(tmp_path)
    record.worker(disk_mb=100)
    record.job("r", 0, 10, asks={"disk_mb": 60})
    record.job("r", 10, 10, asks={"disk_mb": 60}, submitted_at=0)
    waiting(record, 0, ("disk", {"disk_mb": 60}))
    record.end(20)
    assert idle(record) == {Idle.TOO_LARGE: 1 * 10, Idle.NO_JOB: 2 * 10 + 3 * 10}
    assert lacks(record) == {Lack.DISK: 1 * 10}
    told = figures_of(history_of(record.folder, START + 10_000))
    assert "ready jobs too large for what was free (for want of: 10 core-s scratch space)" in summaries_of(told)["idle"]


def test_reasons_whose_time_is_missing_are_passed_over(record):
    record.submitted("1", asks={"cores": 5})
    waiting(record, 0, ("cores", {"cores": 5}))
    record.write('{"event": "waiting", "time": null, "reasons": []}\n')
    record.end(10)
    told = figures_of(history_of(record.folder, START + 10_000))
    assert told.n_skipped == 1
    assert {lack for lack, hours in told.too_large_core_h.items() if hours} == {Lack.CORES}
