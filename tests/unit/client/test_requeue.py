"""Whose Snakemake's lock is when a Slurm job starts again."""

from __future__ import annotations

import os

import pytest

from snakemake_executor_plugin_daskmpi.client import requeue

FIRST = {"SLURM_JOB_ID": "7"}
SECOND = {"SLURM_JOB_ID": "7", "SLURM_RESTART_COUNT": "1"}


@pytest.fixture
def lock(tmp_path):
    """A file of a lock that the first life of job 7 took."""
    path = tmp_path / ".snakemake" / "locks" / "0.input.lock"
    path.parent.mkdir(parents=True)
    path.write_text("in.txt\n")
    requeue.note_lock(tmp_path, FIRST, "a")
    return path


def test_the_lock_of_an_earlier_life_of_the_same_job_is_released(lock, tmp_path):
    assert requeue.take_up(tmp_path, SECOND)
    assert not lock.exists()
    # As long as the second life has no lock of its own.
    assert requeue.take_up(tmp_path, SECOND)
    requeue.note_lock(tmp_path, SECOND, "a")
    assert not requeue.take_up(tmp_path, SECOND)


@pytest.mark.parametrize("environ", [FIRST, {**SECOND, "SLURM_JOB_ID": "8"}, {}])
def test_the_lock_of_another_job_or_of_this_life_stays(lock, tmp_path, environ):
    assert not requeue.take_up(tmp_path, environ)
    assert lock.exists()


def test_a_lock_that_somebody_took_since_stays(lock, tmp_path):
    lock.unlink()
    lock.write_text("in.txt\n")
    os.utime(lock, ns=(1, 1))
    assert requeue.take_up(tmp_path, SECOND)
    assert lock.exists()


def test_a_lock_beside_ours_stays_with_it(lock, tmp_path):
    lock.with_name("1.input.lock").write_text("other.txt\n")
    assert requeue.take_up(tmp_path, SECOND)
    assert len(list(lock.parent.iterdir())) == 2


@pytest.mark.parametrize("note", ["", "[]", '{"job": "7"}', '{"job": "7", "life": "none", "lock": {}}'])
def test_a_note_that_cannot_be_read_says_nothing(lock, tmp_path, note):
    (tmp_path / ".snakemake" / "daskmpi" / "lock-owner.json").write_text(note)
    assert not requeue.take_up(tmp_path, SECOND)
    assert lock.exists()


def test_outside_of_slurm_nothing_is_noted(tmp_path):
    requeue.note_lock(tmp_path, {}, "a")
    assert not list(tmp_path.iterdir())
