"""Journal: one line for each job, whatever its name holds."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.client.job_table import COLUMNS, Journal
from snakemake_executor_plugin_daskmpi.messages import JobOutcome, JobSpec, OutcomeKind

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = "rule a (jobid 1, x=\t\n\r\x1b[2J\x9b\u2028\ud800\"'\\Δ)"


def lines(folder: Path) -> list[dict[str, str]]:
    rows = csv.DictReader((folder / "jobs.tsv").read_text().splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
    return list(rows)


def test_each_job_is_a_line_with_all_that_is_known_of_it(tmp_path: Path):
    journal = Journal(tmp_path)
    spec = JobSpec("1", "rule a (jobid 1)", "a", "a.log")
    outcome = JobOutcome(
        *("1", OutcomeKind.OUT_OF_MEMORY, "rank 2", "node1"),
        started_at=10.0004, ended_at=12.5, requested_mb=100, peak_rss_mb=300, peak_pss_mb=250,
    )  # fmt: skip
    journal.note(spec, outcome)
    journal.note(spec, JobOutcome("1", OutcomeKind.LOST))
    first, second = lines(tmp_path)
    assert [*first] == [*COLUMNS]
    assert [*first.values()] == [
        *("rule a (jobid 1)", "a", "rank 2", "node1", "out-of-memory", "10.000", "12.500", "100", "300", "250")
    ]
    assert [*second.values()] == ["rule a (jobid 1)", "a", "", "", "lost", "", "", "", "", ""]
    journal.close()


def test_a_hostile_name_stays_in_its_field(tmp_path: Path):
    journal = Journal(tmp_path)
    journal.note(JobSpec("1", HOSTILE, "a", "a.log"), JobOutcome("1", OutcomeKind.OK))
    journal.close()
    (line,) = lines(tmp_path)
    assert line["job"] == r"""rule a (jobid 1, x=\t\n\r\x1b[2J\x9b\u2028\ud800"'\Δ)"""
    assert line["rule"] == "a"


def test_without_jobs_there_is_no_file_and_with_them_it_is_its_owners(tmp_path: Path):
    journal = Journal(tmp_path)
    assert not (tmp_path / "jobs.tsv").exists()
    journal.note(JobSpec("1", "rule a", "a", "a.log"), JobOutcome("1", OutcomeKind.OK))
    journal.close()
    assert (tmp_path / "jobs.tsv").stat().st_mode & 0o777 == 0o600


def test_a_line_that_comes_after_the_end_is_one_line_more(tmp_path: Path):
    journal = Journal(tmp_path)
    for _ in range(2):
        journal.note(JobSpec("1", "rule a", "a", "a.log"), JobOutcome("1", OutcomeKind.OK))
        journal.close()
    assert [line["outcome"] for line in lines(tmp_path)] == ["ok", "ok"]
