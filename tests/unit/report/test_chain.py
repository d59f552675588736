"""The longest chain of jobs."""

from __future__ import annotations

from records import START, Record
from snakemake_executor_plugin_daskmpi.report.chain import longest_chain
from snakemake_executor_plugin_daskmpi.report.history import RunHistory


def chain(record):
    return longest_chain(RunHistory(record.folder, START + 10_000))


def record_of(tmp_path):
    record = Record(tmp_path)
    record.worker()
    return record


def test_it_is_the_longest_in_time_not_in_jobs(tmp_path):
    record = record_of(tmp_path)
    record.job("r", 0, 1)
    record.job("r", 1, 1, needs=[1])
    record.job("r", 0, 10, cores=[1])
    record.job("r", 12, 3, needs=[2, 3], submitted_at=10)
    record.end(15)
    assert [(link.jobid, link.seconds, link.waited_s) for link in chain(record)] == [(3, 10, 0), (4, 3, 2)]


def test_all_attempts_of_a_job_count(tmp_path):
    record = record_of(tmp_path)
    record.job("r", 0, 6)
    record.job("r", 0, 4, cores=[1], outcome="failed")
    record.job("r", 4, 4, cores=[1], jobid=2, attempt=2)
    record.end(10)
    (link,) = chain(record)
    assert (link.jobid, link.n_attempts, link.seconds, link.keys) == (2, 2, 8, ("2.1", "2.2"))


def test_jobs_that_need_each_other_or_what_is_not_recorded_are_no_trap(tmp_path):
    record = record_of(tmp_path)
    record.job("r", 0, 1, needs=[2, 1, 99])
    record.job("r", 1, 1, needs=[1])
    record.end(2)
    assert [link.jobid for link in chain(record)] == [1, 2]


def test_a_chain_can_be_long(tmp_path):
    record = record_of(tmp_path)
    for jobid in range(1, 5001):
        record.job("r", jobid, 1, needs=[jobid - 1])
    record.end(5001)
    assert len(chain(record)) == 5000
