"""Advice for rules whose jobs were granted less than they ask for: what they kept busy is a part of that."""

from __future__ import annotations

import pytest

from records import Record
from snakemake_executor_plugin_daskmpi.advise.advice import advice_for
from snakemake_executor_plugin_daskmpi.advise.replay import replay_of
from snakemake_executor_plugin_daskmpi.advise.usage import usages_of


@pytest.fixture
def record(tmp_path):
    record = Record(tmp_path)
    record.worker(cores=4)
    return record


def jobs(  # noqa: PLR0913 - each of them is what some test is about
    record, *, busy, granted=4, number=3, outcome="ok", mem_mb=None, **used
):
    """Let jobs of ten seconds that ask for 64 cores keep some busy."""
    asks, wish = {"cores": granted}, {"cores": 64}
    if mem_mb:
        asks["mem_mb"], wish["mem_mb"] = mem_mb
    for _ in range(number):
        record.job(asks=asks, wish=wish if granted < 64 else {}, outcome=outcome, cpu_s=10 * busy, **used)


def advice(record):
    (usage,) = usages_of([record.view()])
    return advice_for(usage)


def test_threads_stay_where_all_that_was_granted_is_in_use(record):
    jobs(record, busy=3.9)
    assert advice(record).threads is None
    assert "threads: asked 64, was granted 4, all of which are in use; more may make its jobs shorter" in (
        advice(record).remarks
    )


def test_threads_are_lowered_where_part_of_what_was_granted_idled(record):
    jobs(record, busy=1.1)
    value = advice(record).threads
    assert value.amount == 1
    assert value.why.startswith("asked 64, was granted 4; 3 jobs kept 1.1 cores busy")


def test_threads_stay_where_one_core_was_granted_which_tells_nothing(record):
    jobs(record, busy=0.5, granted=1)
    assert advice(record).threads is None


def test_threads_stay_where_jobs_were_granted_different_numbers(record):
    jobs(record, busy=1.1)
    jobs(record, busy=30, granted=64)
    assert advice(record).threads is None
    assert "threads: what its jobs were granted of the 64 asked for differs from job to job" in advice(record).remarks


def test_others_cores_are_not_said_to_be_the_rules_fault(record):
    jobs(record, busy=5)
    assert "threads: asked 64, was granted 4, and kept 5.0 cores busy, some of them others'" in advice(record).remarks


def test_memory_is_compared_with_what_was_asked_for(record):
    jobs(record, busy=4, mem_mb=(1000, 8000), peak_pss_mb=900)
    value = advice(record).mem_mb
    assert value.amount == 1100
    assert value.why.startswith("asked 8000 MB; largest of 3 peaks 900 MB")


def test_memory_is_not_lowered_where_jobs_were_ended_at_what_they_were_granted(record):
    jobs(record, busy=4, mem_mb=(1000, 8000), peak_pss_mb=900)
    jobs(record, busy=4, mem_mb=(1000, 8000), outcome="out-of-memory", number=1, peak_pss_mb=1010)
    assert advice(record).mem_mb is None
    assert [remark for remark in advice(record).remarks if "1 job ended for it: no less is advised" in remark]


def test_a_run_is_played_again_with_what_was_granted(record):
    jobs(record, busy=4, number=1)
    replay = replay_of(record.view())
    assert [job.need.cores for job in replay.demand.jobs] == [4]
    assert replay.predicted_min() == pytest.approx(10 / 60)
