"""Whether another Slurm job is to follow one whose time was over."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from snakemake_executor_plugin_daskmpi.errors import LaunchError
from snakemake_executor_plugin_daskmpi.slurm.submission import chain, next_job, progress, record, resubmit


@pytest.fixture
def running(tmp_path, monkeypatch):
    """The submission whose job this process is in."""
    submission = dataclasses.replace(record.new_record(tmp_path, ["snakemake"]), job_id="7")
    Path(submission.folder).mkdir(parents=True)
    record.claim(submission)
    monkeypatch.setenv(progress.SUBMISSION, submission.folder)
    return submission


def test_the_job_of_the_directory_is_its_own_only_for_what_runs_in_it(running, tmp_path, monkeypatch):
    assert chain.own_submission(tmp_path) == running
    monkeypatch.setenv(progress.SUBMISSION, "another")
    assert chain.own_submission(tmp_path) is None
    monkeypatch.delenv(progress.SUBMISSION)
    assert chain.own_submission(tmp_path) is None


@pytest.mark.parametrize(("total", "n_left"), [(10, 9), (30, 25)])
def test_a_chain_goes_on_while_fewer_jobs_are_left(running, total, n_left):
    progress.write(progress.Progress(done=1, total=total))
    chain.check_progress(running, n_left)


@pytest.mark.parametrize("done", [0, 3])
def test_a_chain_ends_when_as_many_jobs_are_left_as_there_were(running, done):
    progress.write(progress.Progress(done, total=10))
    with pytest.raises(LaunchError, match="Slurm job 7 made no progress") as caught:
        chain.check_progress(running, 10)
    assert "Next: --daskmpi-walltime" in str(caught.value)


def test_a_chain_that_is_cancelled_ends(running):
    progress.write(progress.Progress(done=5, total=10))
    next_job.stop_chain(running)
    with pytest.raises(LaunchError, match="is being cancelled"):
        chain.check_progress(running, 5)
    with pytest.raises(SystemExit):
        resubmit.main([running.folder, "python"])


def test_whoever_follows_a_job_finds_the_next_one(running, tmp_path):
    assert next_job.successor_of(running) is None
    following = dataclasses.replace(record.new_record(tmp_path, ["snakemake"]), job_id="8", follows=running.folder)
    next_job.note_successor(following)
    assert next_job.successor_of(running) == following
