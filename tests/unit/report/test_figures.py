"""The figures of a report, on records with known answers."""

from __future__ import annotations

import pytest

from records import START, Record
from snakemake_executor_plugin_daskmpi.record.job_log import log_path
from snakemake_executor_plugin_daskmpi.report.figures import figures_of, history_of
from snakemake_executor_plugin_daskmpi.view.tally import tallies, total_of

RANK = "rank 2"


@pytest.fixture
def record(tmp_path):
    """A record with one worker of four cores from 0 to the end."""
    record = Record(tmp_path)
    record.note("jobs", by_rule={"r": 2})
    record.worker()
    return record


def figures(record, now=START + 10_000):
    return figures_of(history_of(record.folder, now))


def hours(core_seconds):
    return pytest.approx(core_seconds / 3600)


def test_cores_are_offered_given_computed_or_idle(record):
    record.job("r", 0, 10, cores=[0, 1], cpu_s=15.0)
    record.job("r", 10, 10, cores=[0, 1, 2, 3], cpu_s=5.0)
    record.end(20)
    key = figures(record).key
    assert (key.n_jobs, key.n_done, key.n_failed) == (2, 2, 0)
    assert key.makespan_s == 20
    assert key.offered_core_h == hours(80)
    assert key.granted_core_h == hours(60)
    assert key.idle_core_h == hours(20)
    assert key.cpu_core_h == hours(20)
    assert key.utilisation == pytest.approx(0.75)
    assert key.cpu_share == pytest.approx(1 / 3)


def test_a_series_has_the_means_of_its_bins(record):
    record.job("r", 0, 10, cores=[0, 1], asks={"cores": 2, "mem_mb": 500})
    record.submitted("waits", at=10)
    record.end(20)
    series = figures(record).series
    half = len(series.cores_granted) // 2
    assert series.bin_s == pytest.approx(20 / (2 * half))
    assert series.cores_granted == pytest.approx([2.0] * half + [0.0] * half)
    assert series.mem_granted_mb == pytest.approx([500.0] * half + [0.0] * half)
    assert series.cores_offered == pytest.approx([4.0] * 2 * half)
    assert series.jobs_running == pytest.approx([1.0] * half + [0.0] * half)
    assert series.jobs_waiting == pytest.approx([0.0] * half + [1.0] * half)


def test_a_worker_that_was_lost_offers_nothing_until_it_comes_back(record):
    record.note("worker-lost", 5, worker=RANK, comes_back=True, waits=[])
    record.worker(RANK, at=8)
    record.end(10)
    told = figures(record)
    assert told.key.offered_core_h == hours(4 * 5 + 4 * 2)
    assert told.key.n_workers == told.key.n_workers_lost == 1
    assert [worker.lost_at for worker in told.workers] == [START + 5, None]


def test_a_job_has_no_cores_any_more_once_its_worker_is_lost_though_its_loss_is_noted_later(record):
    record.submitted("lost")
    record.started("lost", cores=[0, 1, 2, 3])
    record.note("worker-lost", 5, worker=RANK, comes_back=True, waits=[])
    record.ended("lost", "lost", end=6)
    record.worker(RANK, at=8)
    record.job("r", 8, 2, cores=[0, 1, 2, 3], jobid=1, attempt=2)
    record.end(10)
    told = figures(record)
    assert told.key.granted_core_h == told.key.offered_core_h == hours(4 * 5 + 4 * 2)
    assert told.key.utilisation == pytest.approx(1)
    assert max(told.series.cores_granted) <= 4


def test_a_job_that_failed_and_was_done_later_is_no_failed_job_and_is_told_as_a_failure(record):
    record.job("r", 0, 5, outcome="lost", reason="the worker died")
    record.job("r", 6, 3, jobid=1, attempt=2)
    record.end(10)
    told = figures(record)
    assert (told.key.n_done, told.key.n_failed, told.key.n_lost, told.key.n_retries) == (1, 0, 1, 1)
    assert [(one.reason, one.done_later) for one in told.failures] == [("the worker died", True)]
    (rule,) = told.rules
    assert (rule.n_done, rule.n_failed, rule.n_lost, rule.n_retries) == (1, 0, 1, 1)


def test_a_rule_is_told_with_what_its_jobs_asked_for_and_what_they_used(record):
    asks = {"cores": 2, "mem_mb": 300, "runtime_min": 1}
    for number, seconds in enumerate([10, 20, 30, 40, 100], start=1):
        record.job("a", 0, seconds, asks=asks, cpu_s=1.5 * seconds, peak_rss_mb=100 * number)
    record.end(200)
    rule = next(rule for rule in figures(record).rules if rule.rule == "a")
    assert rule.n_jobs == rule.n_done == 5
    assert (rule.cores_asked, rule.mem_asked_mb, rule.runtime_asked_s) == (2, 300, 60)
    assert rule.cores_used == pytest.approx(1.5)
    assert (rule.mem_median_mb, rule.mem_max_mb) == (300, 500)
    # Between the fourth and the fifth of five values, at four fifths of the way.
    assert (rule.runtime_median_s, rule.runtime_p95_s, rule.runtime_max_s) == (30, pytest.approx(88), 100)
    assert rule.core_h == hours(2 * 200)


def test_a_rule_is_told_with_what_it_was_granted_where_that_is_less_than_it_asked_for(record):
    wish = {"cores": 64, "mem_mb": 9000}
    for number, mem_mb in enumerate([500, 400], start=1):
        asks = {"cores": 4, "mem_mb": mem_mb}
        record.job("a", jobid=number, asks=asks, wish=wish, peak_pss_mb=450)
    record.job("b", asks={"mem_mb": 500}, peak_pss_mb=450)
    record.end(20)
    a, b = (next(rule for rule in figures(record).rules if rule.rule == name) for name in "ab")
    assert (a.cores_asked, a.cores_granted, a.mem_asked_mb, a.mem_granted_mb) == (64, 4, 9000, 400)
    assert (b.cores_asked, b.cores_granted, b.mem_asked_mb, b.mem_granted_mb) == (1, None, 500, None)
    assert (a.mem_is_over, b.mem_is_over) == (True, False)
    assert a.core_h == hours(2 * 4 * 10)


def grouped(record):
    """A group of two jobs of a and one of b, lost and then done, a job of a beside it, and one of b not yet ready."""
    record.note("jobs", 0, by_rule={"a": 3, "b": 2})
    group = {"rule": "a", "members": {"a": 2, "b": 1}, "member_ids": [1, 2, 3], "name": "group a"}
    record.job(begin=0, seconds=10, jobid="g", outcome="lost", **group)
    record.job(begin=10, seconds=20, jobid="g", attempt=2, cpu_s=5.0, peak_pss_mb=300, **group)
    record.job("a", 0, 5, cores=[1], jobid=4, peak_pss_mb=40)


def test_jobs_of_a_group_count_as_jobs_of_their_rules_once_and_everywhere(record):
    grouped(record)
    record.end(40)
    history = history_of(record.folder, START + 10_000)
    told = figures_of(history)
    numbers = {
        rule.label: (rule.n_jobs, rule.n_done, rule.n_failed, rule.n_retries, rule.n_lost) for rule in told.rules
    }
    assert numbers == {"a": (3, 3, 0, 2, 2), "b": (2, 1, 0, 1, 1), "a (group)": (0, 0, 0, 0, 0)}
    key = told.key
    assert (key.n_jobs, key.n_done, key.n_failed, key.n_retries, key.n_lost) == (5, 4, 0, 3, 3)
    in_status = total_of(tallies(history, goes_on=False))
    assert (key.n_jobs, key.n_done) == (in_status.total, in_status.done)
    assert max(told.series.jobs_running) == 4


def test_what_a_group_used_is_in_a_row_of_its_own(record):
    grouped(record)
    record.end(40)
    rows = {(rule.rule, rule.is_group): rule for rule in figures(record).rules}
    assert rows["a", True].core_h == hours(30)
    assert (rows["a", True].mem_max_mb, rows["a", True].runtime_max_s) == (300, 20)
    assert rows["a", True].cores_used == pytest.approx(0.25)
    assert (rows["a", False].mem_max_mb, rows["a", False].runtime_max_s) == (40, 5)
    assert rows["b", False].core_h == 0
    assert rows["b", False].mem_max_mb is None


@pytest.mark.parametrize(
    ("peaks", "kind", "most_mb", "is_over"),
    [
        ([{"peak_pss_mb": 90, "peak_rss_mb": 160}], "pss", 90, False),
        ([{"peak_pss_mb": 110, "peak_rss_mb": 180}], "pss", 110, True),
        ([{"peak_rss_mb": 160}], "rss", 160, False),
        ([{"peak_pss_mb": 90, "peak_rss_mb": 160}, {"peak_rss_mb": 150}], "mixed", 150, False),
        ([{}], None, None, False),
    ],
)
def test_peaks_are_pss_where_known_and_over_the_request_only_if_pss_says_so(record, peaks, kind, most_mb, is_over):
    for peak in peaks:
        record.job("r", asks={"mem_mb": 100}, **peak)
    record.end(20)
    (rule,) = figures(record).rules
    assert (rule.mem_kind, rule.mem_max_mb, rule.mem_is_over) == (kind, most_mb, is_over)


def test_a_failed_job_is_told_with_its_log_if_there_is_one(record):
    for jobid in (1, 2):
        record.job("r", 0, 5, jobid=jobid, outcome="failed")
    record.job("r", 0, 5, jobid=3, outcome="failed", log="/elsewhere/3.log")
    record.end(10)
    log = log_path(record.folder, "r", 1, 1)
    log.parent.mkdir(parents=True)
    log.touch()
    assert [one.log for one in figures(record).failures] == [str(log), "", "/elsewhere/3.log"]


def test_a_run_that_goes_on_is_told_up_to_now(tmp_path):
    record = Record(tmp_path, host="another host")
    record.worker()
    record.submitted("runs")
    record.started("runs", at=2)
    folder = record.folder
    now = (folder / "events.jsonl").stat().st_mtime
    told = figures_of(history_of(folder, now))
    assert told.end == "goes_on"
    assert told.until == now
    assert told.key.granted_core_h == hours(now - START - 2)


def test_a_run_that_broke_off_is_told_up_to_its_last_event(tmp_path):
    record = Record(tmp_path, host="another host")
    record.worker()
    record.submitted("runs")
    record.started("runs", at=2)
    record.job("r", 3, 6, cores=[1], jobid=2)
    folder = record.silent_for(3600).folder
    told = figures_of(history_of(folder))
    assert told.end == "broke_off"
    assert told.key.makespan_s == 9
    assert told.key.granted_core_h == hours(7 + 6)


def test_lines_about_what_the_record_does_not_know_are_skipped_and_counted(record):
    record.ended("gone")
    record.note("submitted", 1, job="half")
    record.job("r", 0, 10)
    record.end(10)
    told = figures(record)
    assert told.n_skipped == 2
    assert told.key.n_done == 1


def test_an_mpi_program_that_lies_on_several_workers_has_the_cores_that_it_asked_for(record):
    record.worker()
    record.job("r", 0, 10, cores=[0, 1, 2, 3], asks={"cores": 8, "tasks": 8, "spans": True})
    record.end(10)
    assert figures(record).key.utilisation == pytest.approx(1)


def test_a_record_of_nothing_but_its_first_line_has_figures(tmp_path):
    record = Record(tmp_path)
    told = figures(record)
    assert told.key.utilisation is None
    assert told.chain == told.rules == told.workers == []


def test_a_worker_that_has_left_offers_nothing_from_then_on_and_was_not_lost(record):
    record.worker("rank 45.0", 4, at=2, allocation="45")
    record.job("r", 2, 4, worker="rank 45.0", cores=[0, 1, 2, 3])
    record.note("worker-left", 6, worker="rank 45.0", why="nothing is left for it")
    record.end(10)
    told = figures(record)
    assert told.key.offered_core_h == hours(4 * 10 + 4 * 4)
    assert told.key.idle_core_h == hours(4 * 10)
    assert (told.key.n_workers, told.key.n_workers_lost) == (2, 0)
    worker = told.workers[-1]
    assert (worker.name, worker.allocation, worker.left_at, worker.lost_at) == ("rank 45.0", "45", START + 6, None)
    assert worker.utilisation == pytest.approx(1.0)


def test_a_job_that_was_ended_with_its_worker_is_no_retry_and_asked_for_no_time(record):
    record.worker("rank 45.0", 4, at=0, allocation="45")
    record.job("r", 0, 5, worker="rank 45.0", outcome="timed-out")
    record.job("r", 6, 3, jobid=1, key="1.1-again", again_of="1.1", asks={"runtime_min": 1})
    record.end(10)
    told = figures(record)
    assert (told.key.n_done, told.key.n_failed, told.key.n_retries, told.key.n_lost) == (1, 0, 0, 0)
    (rule,) = told.rules
    assert rule.runtime_asked_s is None
    assert told.key.granted_core_h == hours(5 + 3)
