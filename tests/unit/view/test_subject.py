"""What somebody means by a job's id, a rule, or a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from records import Record
from snakemake_executor_plugin_daskmpi.errors import SettingsError
from snakemake_executor_plugin_daskmpi.view.subject import Subject, subject_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def record(tmp_path: Path) -> Record:
    """A run with jobs of several rules, one that was retried, and a group."""
    record = Record(tmp_path)
    record.note(
        "jobs",
        by_rule={"align": 2, "sort": 1, "late": 2, "first": 1, "second": 1},
        patterns={"late": ["late/{sample,[A-Z]+}.txt"]},
    )
    record.job("align", key="a1", jobid=1, outputs=["bam/A.bam"], outcome="failed")
    record.submitted("a2", rule="align", jobid=1, outputs=["bam/A.bam"], attempt=2)
    record.submitted("b", rule="align", jobid=2, outputs=["bam/B.bam", "bam/B.d"])
    record.submitted("c", rule="sort", jobid=3, outputs=[str(record.folder.parents[2] / "sorted")])
    record.submitted(
        "g", rule="pair", jobid="an-id", members={"first": 1, "second": 1}, member_ids=[8, 9], outputs=["g1", "g2"]
    )
    return record


def meant(record: Record, word: str) -> Subject:
    return subject_of(record.view(), word, record.folder.parents[2])


@pytest.mark.parametrize(
    ("word", "keys"),
    [
        ("1", ["a1", "a2"]),
        ("2", ["b"]),
        ("bam/A.bam", ["a1", "a2"]),
        ("./bam/../bam/B.bam", ["b"]),
        ("bam/B.d/part/1", ["b"]),
        ("sort", ["c"]),
        ("pair", ["g"]),
        ("9", ["g"]),
        ("g2", ["g"]),
    ],
)
def test_a_job_is_found_by_id_file_or_a_rule_that_has_no_other(record: Record, word: str, keys: list[str]):
    assert [job.key for job in meant(record, word).attempts] == keys


def test_files_are_found_from_wherever_one_stands(record: Record, monkeypatch: pytest.MonkeyPatch):
    folder = record.folder.parents[2]
    assert meant(record, str(folder / "bam/A.bam")).attempts[-1].key == "a2"
    assert meant(record, str(folder / "sorted")).attempts[-1].key == "c"
    (folder / "bam").mkdir()
    monkeypatch.chdir(folder / "bam")
    assert meant(record, "A.bam").attempts[-1].key == "a2"


def test_a_rule_with_several_jobs_is_a_rule(record: Record):
    assert meant(record, "align") == Subject(rule="align")


def test_a_file_of_a_job_that_is_not_handed_over_is_known_by_its_rule(record: Record):
    assert meant(record, "late/X.txt") == Subject(rule="late", file="late/X.txt")
    assert meant(record, "late") == Subject(rule="late")


@pytest.mark.parametrize(
    ("word", "near"), [("algin", "align"), ("bam/A.bma", "bam/A.bam"), ("17", ""), ("late/x.txt", "")]
)
def test_what_is_not_known_is_answered_with_what_may_be_meant(record: Record, word: str, near: str):
    with pytest.raises(SettingsError) as caught:
        meant(record, word)
    assert (f"Did you mean {near}?" in str(caught.value)) == bool(near)
    assert "Next: a job's id, a rule or a file of this run" in str(caught.value)
