"""What a rule should ask for: margins, tails, and what is left as it is."""

from __future__ import annotations

import pytest

from records import Record
from snakemake_executor_plugin_daskmpi.advise.advice import Advice, advice_for
from snakemake_executor_plugin_daskmpi.advise.usage import usages_of
from snakemake_executor_plugin_daskmpi.resources import JobResources

EIGHT = {"cores": 8, "mem_mb": 8000, "runtime_min": 120}


def advice(run: Record, *others: Record) -> Advice:
    """Return the advice for the one rule of some runs."""
    (usage,) = usages_of([run.view(), *(other.view() for other in others)])
    return advice_for(usage)


@pytest.fixture
def run(tmp_path) -> Record:
    return Record(tmp_path)


def test_memory_is_the_largest_peak_and_a_fifth_rounded_up(run):
    for peak in (612, 815, 700):
        run.job("align", asks=EIGHT, peak_pss_mb=peak, peak_rss_mb=3 * peak)
    value = advice(run).mem_mb
    assert (value.amount, value.written) == (980, 980)
    assert value.why == "asked 8000 MB; largest of 3 peaks 815 MB (PSS), + 20%"


def test_memory_is_that_of_rss_where_no_other_was_read(run):
    for _ in range(3):
        run.job("align", asks=EIGHT, peak_rss_mb=1000)
    value = advice(run).mem_mb
    assert value.amount == 1200
    assert "(RSS)" in value.why


def test_of_jobs_that_were_not_weighed_what_all_share_is_taken_off_their_rss(run):
    for peak in (500, 520, 540):
        run.job("align", asks=EIGHT, peak_pss_mb=peak, peak_rss_mb=peak + 80)
    run.job("align", asks=EIGHT, peak_rss_mb=780)
    value = advice(run).mem_mb
    assert value.amount == 840
    assert value.why == "asked 8000 MB; largest of 4 peaks 700 MB (PSS, 1 estimated from RSS), + 20%"


def test_memory_is_raised_where_a_job_used_more_than_it_asked_for(run):
    for peak in (100, 900, 100):
        run.job("align", asks={"mem_mb": 500}, peak_rss_mb=peak)
    value = advice(run).mem_mb
    assert value.amount == 1100
    assert "more than asked" in value.why


def test_memory_of_a_job_that_was_ended_for_it_counts_as_a_peak(run):
    for _ in range(3):
        run.job("align", asks={"mem_mb": 500}, peak_rss_mb=100)
    run.job("align", outcome="out-of-memory", asks={"mem_mb": 500}, peak_rss_mb=2000)
    value = advice(run).mem_mb
    assert value.amount == 2400
    assert "1 job ended for it" in value.why


def test_memory_that_was_asked_for_rightly_stays(run):
    for _ in range(3):
        run.job("align", asks={"mem_mb": 1100}, peak_rss_mb=1000)
    said = advice(run)
    assert said.is_empty
    assert said.remarks == ("memory: asked 1100 MB, largest of 3 peaks 1000 MB (RSS): as it should be",)


def test_a_tail_of_large_jobs_gets_its_memory_by_retries(run):
    for _ in range(39):
        run.job("align", asks=EIGHT, peak_rss_mb=500)
    run.job("align", asks=EIGHT, peak_rss_mb=2000)
    said = advice(run)
    assert said.mem_mb.written == "600 * 2 ** (attempt - 1)"
    # 600, 1200, 2400 MB: the third attempt has 20 % more than the largest.
    assert said.retries == 2
    attempts = [eval(said.mem_mb.expression, {"attempt": attempt}) for attempt in (1, 2, 3)]  # noqa: S307 - our own
    assert attempts == [600, 1200, 2400]
    assert said.applied(JobResources(mem_mb=8000)).mem_mb == 600


def test_a_tail_among_few_jobs_is_no_tail(run):
    for peak in (500, 500, 500, 2000):
        run.job("align", asks=EIGHT, peak_rss_mb=peak)
    said = advice(run)
    assert (said.mem_mb.written, said.retries) == (2400, 0)


def test_memory_that_differs_from_job_to_job_is_left_to_the_rule(run):
    for asked in (1000, 2000, 3000):
        run.job("align", asks={"mem_mb": asked}, peak_rss_mb=100)
    said = advice(run)
    assert said.mem_mb is None
    assert said.remarks == ("memory: asked for differs from job to job (1000 to 3000 MB); largest peak 100 MB",)


def test_jobs_too_short_for_the_memory_watch_teach_nothing_of_memory(run):
    for _ in range(50):
        run.job("touch", seconds=0.05, asks={"mem_mb": 1000})
    said = advice(run)
    assert said.is_empty
    assert said.remarks == ("memory: its jobs were too short to be measured (0.1 s)",)


def test_one_job_of_one_run_teaches_nothing_and_one_each_of_two_runs_does(tmp_path):
    runs = [Record(tmp_path, run_id=f"2027-01-1{day}T090000.000000-1") for day in range(3)]
    for one in runs:
        one.job("sum", asks=EIGHT, seconds=300, peak_rss_mb=1000, cpu_s=300)
    alone = advice(runs[0])
    assert alone.is_empty
    assert len(alone.remarks) == 3
    both = advice(*runs[1:])
    assert (both.mem_mb.amount, both.threads.amount, both.runtime_min.amount) == (1200, 1, 6)


def test_of_two_runs_one_of_which_measured_nothing_one_is_still_too_few(tmp_path):
    runs = [Record(tmp_path, run_id=f"2027-01-1{day}T090000.000000-1") for day in range(2)]
    runs[0].job("sum", asks=EIGHT, seconds=0.05)
    runs[1].job("sum", asks=EIGHT, seconds=300, peak_rss_mb=1000, cpu_s=300)
    said = advice(*runs)
    assert (said.mem_mb, said.threads) == (None, None)


def test_a_rule_whose_jobs_failed_is_left_as_it_is(run):
    run.job("align", outcome="failed", asks=EIGHT, peak_rss_mb=10, cpu_s=1)
    run.job("align", outcome="lost", asks=EIGHT)
    said = advice(run)
    assert said.is_empty
    assert said.remarks == ("none of its jobs is done; 2 failed",)


@pytest.mark.parametrize(
    ("asked", "busy", "threads"),
    [
        (8, 1.1, 1),
        (8, 1.3, 2),
        (8, 0.02, 1),
        (8, 3.9, 4),
        (8, 7.5, None),
        (2, 1.9, None),
        (1, 0.5, None),
        (4, 3.5, None),
    ],
)
def test_threads_are_the_cores_that_jobs_kept_busy_and_never_more(run, asked, busy, threads):
    for _ in range(3):
        run.job("align", seconds=10, asks={"cores": asked}, cpu_s=10 * busy)
    value = advice(run).threads
    assert (value and value.amount) == threads


def test_threads_that_are_all_in_use_are_remarked(run):
    for _ in range(3):
        run.job("align", seconds=10, asks={"cores": 4}, cpu_s=39)
    assert "threads: all 4 are in use; more may make its jobs shorter" in advice(run).remarks


def test_cores_that_were_not_asked_for_are_remarked(run):
    for _ in range(3):
        run.job("align", seconds=10, cpu_s=39)
    (remark,) = (text for text in advice(run).remarks if text.startswith("threads"))
    assert remark == "threads: asked 1, and kept 3.9 cores busy, some of them others'; the rule should say so"


def test_threads_of_jobs_shorter_than_a_second_stay(run):
    for _ in range(30):
        run.job("align", seconds=0.5, asks={"cores": 8}, cpu_s=0.1)
    said = advice(run)
    assert said.threads is None
    assert "threads: its jobs took less than 1 s, too short to tell" in said.remarks


@pytest.mark.parametrize(
    ("asked", "seconds", "minutes"),
    [(120, 600, 12), (0, 600, 12), (60, 2, 1), (0, 2, None), (12, 600, None), (5, 600, 12)],
)
def test_runtime_is_the_longest_job_and_a_fifth_in_minutes(run, asked, seconds, minutes):
    for _ in range(3):
        run.job("align", seconds=seconds, asks={"runtime_min": asked} if asked else {})
    value = advice(run).runtime_min
    assert (value and value.amount) == minutes


def test_a_job_that_was_ended_for_the_time_would_have_taken_longer(run):
    for _ in range(3):
        run.job("align", seconds=600, asks={"runtime_min": 300})
    run.job("align", seconds=6000, asks={"runtime_min": 300}, outcome="timed-out")
    assert advice(run).runtime_min.amount == 120


def test_groups_and_programs_of_many_tasks_are_left_as_they_are(run):
    for _ in range(3):
        run.job("pair", asks=EIGHT, peak_rss_mb=10, members={"a": 1, "b": 1})
        run.job("mpi", asks={"cores": 8, "tasks": 8, "spans": True}, peak_rss_mb=10, cpu_s=1)
    said = [advice_for(usage) for usage in usages_of([run.view()])]
    assert [each.is_empty for each in said] == [True, True]
    assert [each.remarks for each in said] == [
        ("MPI programs of several tasks, which are measured on one node only",),
        ("a group of jobs: what each of its members used is not known",),
    ]
