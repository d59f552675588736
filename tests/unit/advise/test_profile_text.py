"""The profile that a run teaches: whole, and valid YAML whatever rules are called."""

from __future__ import annotations

import yaml

from records import Record
from snakemake_executor_plugin_daskmpi.advise.advise import profile_of

WRITTEN = """\
# What the next run should ask for, written by 'snakemake-daskmpi advise'.
# From the run 2027-01-15T090000.000000-1: 41 jobs done.
# It is taken by snakemake --profile FOLDER, beside the workflow's own profiles/default, or copied
#   into that.
# What a rule says by mem_mb_per_cpu, cpus_per_task or slurm_extra goes before what stands here.

# The run 2027-01-15T090000.000000-1 took 10.6 min from its first job to the end of its last one;
#   played again with the same workers, requests and times it takes 10.2 min (-4%).
# Left out: what Snakemake took to hand jobs over once they could start, 24.00 s in the mean, and
#   what sending them takes.
#
#  the next one      workers                  takes  core-hours  cores busy
#  as it was         4 x 4 cores, 8000 MB  10.2 min        2.72         98%
#  a quarter         1 x 4 cores, 8000 MB  20.2 min        1.35         99%
#  half              2 x 4 cores, 1300 MB  10.2 min        1.36         98%  <- as soon with fewest cores
#  the same workers  4 x 4 cores, 8000 MB   6.2 min        1.65         81%
#  double            8 x 4 cores, 8000 MB   4.2 min        2.24         60%
#
# For the next Slurm job, 2 x 4 cores, 1300 MB; 'snakemake-daskmpi plan' makes its own:
#daskmpi-max-workers: 2
#daskmpi-walltime: "00:20:00"

# Left as they are:
# - sum: memory: only 1 job of one run measured, largest RSS 30 MB; a second run would do; runtime:
#   only 1 job of one run, 12.0 s; a second run would do.

# The largest jobs of align need more memory than a first attempt gets: without this, they would
#   fail. Rules that state their own 'retries' keep them.
retries: 2

set-resources:
  align:
    # asked 4000 MB; largest of 40 peaks 200 MB (PSS), but 95 % of them below 80 MB, + 20%; doubled
    #   by each retry.
    mem_mb: "96 * 2 ** (attempt - 1)"
    # asked 1 h; the longest of 40 jobs took 2 min, + 20%.
    runtime: 3

set-threads:
  # asked 2; 40 jobs kept 1.0 cores busy in the mean of their time, 95 % of them no more than 1.0.
  align: 1
"""


def test_a_profile_says_for_each_line_what_it_was_made_of(tmp_path):
    run = Record(tmp_path)
    run.workers(4, mem_mb=8000)
    for number in range(40):
        asks = {"cores": 2, "mem_mb": 4000, "runtime_min": 60}
        used = {"peak_rss_mb": 300, "peak_pss_mb": 200 if number == 7 else 80, "cpu_s": 120}
        run.job("align", 120 * (number // 8), 120, submitted_at=0, asks=asks, **used)
    needs = tuple(range(1, 41))
    run.job("sum", 624, 12, needs=needs, asks={"mem_mb": 30, "runtime_min": 5}, peak_rss_mb=30)
    run.end()
    assert profile_of(tmp_path, []) == WRITTEN


def test_any_name_of_a_rule_is_a_key_and_any_text_a_comment(tmp_path):
    run = Record(tmp_path)
    run.worker()
    names = ("on", "null", "a_b", "x-y", "ä: b", "7")
    for name in names * 3:
        run.job(name, 0, 30, asks={"cores": 2, "mem_mb": 1000}, peak_rss_mb=100, cpu_s=1)
    run.end()
    written = yaml.safe_load(profile_of(tmp_path, []))
    assert written["set-resources"] == {name: {"mem_mb": 120, "runtime": 1} for name in names}
    assert written["set-threads"] == dict.fromkeys(names, 1)


def test_where_nothing_changes_a_profile_is_an_empty_mapping(tmp_path):
    run = Record(tmp_path)
    run.job("a", 0, 0.01)
    run.end()
    assert yaml.safe_load(profile_of(tmp_path, [])) == {}


def test_a_limit_of_cores_and_workers_that_are_too_small_are_told(tmp_path):
    run = Record(tmp_path, max_cores=2)
    run.worker(mem_mb=1000)
    for _ in range(3):
        run.job("a", 0, 60, submitted_at=0, asks={"mem_mb": 300}, peak_rss_mb=1500)
    run.end()
    text = profile_of(tmp_path, [])
    assert "# All of it with --cores 2, as that run had it." in text
    assert "# With what its rules should ask for, none of these workers would be as soon." in text


def test_of_a_run_of_which_fewer_than_half_is_done_there_is_no_table(tmp_path):
    run = Record(tmp_path)
    run.workers(2)
    run.note("jobs", by_rule={"a": 7})
    for _ in range(3):
        run.job("a", 0, 60, submitted_at=0, asks={"mem_mb": 3000}, peak_rss_mb=100)
    run.end()
    text = profile_of(tmp_path, [])
    assert "core-hours" not in text
    joined = " ".join(line.lstrip("# ") for line in text.splitlines())
    said = f"The run {run.folder.name} has ended with 3 of 7 jobs done, fewer than half: how long all of it would"
    assert said in joined
    assert yaml.safe_load(text)["set-resources"]["a"]["mem_mb"] == 120


def test_of_a_run_of_which_half_is_done_there_is_a_table(tmp_path):
    run = Record(tmp_path)
    run.workers(2)
    run.note("jobs", by_rule={"a": 6})
    for _ in range(3):
        run.job("a", 0, 60, submitted_at=0)
    run.end()
    assert "core-hours" in profile_of(tmp_path, [])
