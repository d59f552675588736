"""Which run a chain of runs began with, handed on from one to the next."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from snakemake_executor_plugin_daskmpi.client.first_run import handed_on
from snakemake_executor_plugin_daskmpi.slurm.submission import progress, record


def life(number: int, job_id: str = "7") -> dict[str, str]:
    """Return what Slurm says in a job that was started so many times before."""
    return {"SLURM_JOB_ID": job_id, **({"SLURM_RESTART_COUNT": str(number)} if number else {})}


@pytest.fixture
def in_job(tmp_path, monkeypatch):
    """Return a function that puts this process into the job of a submission, which follows another one or none."""

    def enter(follows: str = "") -> record.Record:
        submission = record.new_record(tmp_path, ["snakemake"], follows=follows)
        Path(submission.folder).mkdir(parents=True)
        record.claim(submission)
        monkeypatch.setenv(progress.SUBMISSION, submission.folder)
        return submission

    return enter


def test_a_run_with_none_before_it_is_the_first_one(tmp_path):
    assert handed_on("a", tmp_path, {}) == "a"
    assert handed_on("b", tmp_path, {}) == "b", "the same command again begins anew"


def test_each_life_of_a_slurm_job_goes_on_with_the_first_one(tmp_path):
    assert [handed_on(run, tmp_path, life(number)) for number, run in enumerate("abc")] == ["a", "a", "a"]


def test_a_second_run_in_the_same_life_of_a_job_begins_anew(tmp_path):
    assert [handed_on(run, tmp_path, life(0)) for run in "ab"] == ["a", "b"]
    # What was requeued goes on with what was there last.
    assert handed_on("c", tmp_path, life(1)) == "b"


def test_another_slurm_job_begins_anew(tmp_path):
    assert handed_on("a", tmp_path, life(0)) == "a"
    assert handed_on("b", tmp_path, life(1, "8")) == "b"


def test_a_job_that_another_one_submitted_goes_on_with_the_first_one(tmp_path, in_job):
    first = in_job()
    assert handed_on("a", tmp_path, life(0)) == "a"
    second = in_job(follows=first.folder)
    assert handed_on("b", tmp_path, life(0, "8")) == "a"
    in_job(follows=second.folder)
    assert handed_on("c", tmp_path, life(0, "9")) == "a"
    assert handed_on("d", tmp_path, life(1, "9")) == "a", "requeued besides"


def test_a_job_that_the_user_submitted_after_another_one_begins_anew(tmp_path, in_job):
    first = in_job()
    assert handed_on("a", tmp_path, life(0)) == "a"
    record.remove(first)
    in_job()
    assert handed_on("b", tmp_path, life(0, "8")) == "b"


def test_where_nothing_was_left_or_can_be_a_run_begins_anew(tmp_path, in_job, monkeypatch):
    nowhere = dataclasses.replace(in_job(), folder="nowhere")
    monkeypatch.setenv(progress.SUBMISSION, nowhere.folder)
    assert handed_on("a", tmp_path, {}) == "a"
