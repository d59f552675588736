"""The record that keeps a working directory from being submitted twice; squeue is a real script here."""

from __future__ import annotations

import dataclasses
import os
import stat
from pathlib import Path

import pytest

from snakemake_executor_plugin_daskmpi.errors import LaunchError
from snakemake_executor_plugin_daskmpi.slurm.submission import record

HOSTILE = "a 'b' \"c\"\nd"


@pytest.fixture
def squeue(tmp_path, monkeypatch):
    """Have squeue print what stands in a file; where that is empty, it knows no such job."""
    path = tmp_path / "bin" / "squeue"
    path.parent.mkdir()
    refusal = "slurm_load_jobs error: Invalid job id specified"
    path.write_text(
        f'#!/bin/sh\nprintf "$(cat {tmp_path}/said)"; [ -s {tmp_path}/said ] || {{ echo {refusal} >&2; exit 1; }}\n'
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(path.parent), prepend=":")
    return tmp_path / "said"


@pytest.fixture
def submission(tmp_path):
    return made(tmp_path / HOSTILE)


def made(workdir: Path) -> record.Record:
    new = record.new_record(workdir, ["snakemake", "--config", "a=b c"], ["--chdir=x\ny"])
    Path(new.folder).mkdir(parents=True)
    return new


def line(job_id: str, state: str) -> str:
    return f"{job_id}\x1f{state}\x1fNone\x1fN/A\x1fmain\x1f1\x1fn1\n"


def test_a_record_is_read_as_it_was_written(submission, tmp_path):
    record.claim(submission)
    assert record.read(tmp_path / HOSTILE) == submission
    record.save(dataclasses.replace(submission, job_id="7"))
    assert record.read(tmp_path / HOSTILE).job_id == "7"
    record.remove(submission)
    assert record.read(tmp_path / HOSTILE) is None
    assert [path.name for path in record.home_of(tmp_path / HOSTILE).iterdir()] == ["submissions"]


def test_only_one_of_two_submissions_gets_the_record(tmp_path):
    first, second = made(tmp_path), made(tmp_path)
    record.claim(first)
    with pytest.raises(LaunchError, match="This working directory has a Slurm job that is being submitted already"):
        record.claim(second)
    assert record.read(tmp_path) == first


def test_a_submission_that_failed_leaves_a_newer_one_alone(tmp_path):
    first, second = made(tmp_path), made(tmp_path)
    record.claim(second)
    record.remove(first)
    assert record.read(tmp_path) == second


def test_what_is_no_record_counts_as_none(tmp_path):
    record.home_of(tmp_path).mkdir(parents=True)
    for text in ("", "{", "[]", '{"folder": "x"}', '{"arguments": 3}'):
        (record.home_of(tmp_path) / "submitted.json").write_text(text)
        assert record.read(tmp_path) is None


@pytest.mark.parametrize("state", ["PENDING", "RUNNING", "COMPLETING", "CONFIGURING", "REQUEUED"])
def test_a_job_that_waits_or_runs_is_not_submitted_again(tmp_path, squeue, state):
    squeue.write_text(line("7+0", state))
    record.claim(dataclasses.replace(made(tmp_path), job_id="7"))
    with pytest.raises(LaunchError) as caught:
        record.refuse_second(tmp_path)
    assert "This working directory has Slurm job 7 already; nothing was submitted." in str(caught.value)
    assert "Next: squeue --job 7; scancel 7 ends it; snakemake-daskmpi follow shows its output." in str(caught.value)
    assert "snakemake --config 'a=b c'" in str(caught.value)


@pytest.mark.parametrize("said", ["", line("7", "CANCELLED"), line("7+0", "COMPLETED") + line("7+1", "COMPLETED")])
def test_the_record_of_a_job_that_has_ended_is_forgotten(tmp_path, squeue, said):
    squeue.write_text(said)
    record.claim(dataclasses.replace(made(tmp_path), job_id="7"))
    record.refuse_second(tmp_path)
    assert record.read(tmp_path) is None


def test_a_job_of_which_squeue_is_refused_an_answer_is_not_forgotten(tmp_path, squeue):
    squeue.write_text("")
    program = tmp_path / "bin" / "squeue"
    program.write_text(program.read_text().replace("Invalid job id specified", "Protocol authentication error"))
    record.claim(dataclasses.replace(made(tmp_path), job_id="7"))
    with pytest.raises(LaunchError, match="Slurm does not tell whether job 7") as caught:
        record.refuse_second(tmp_path, patience_s=0)
    assert "Protocol authentication error" in str(caught.value)
    assert record.read(tmp_path) is not None


def test_a_job_whose_script_has_ended_is_not_waited_for(tmp_path, squeue):
    squeue.write_text(line("7", "COMPLETING"))
    submission = dataclasses.replace(made(tmp_path), job_id="7")
    record.claim(submission)
    (Path(submission.folder) / record.EXIT_CODE).write_text("1\n")
    record.refuse_second(tmp_path)
    assert record.read(tmp_path) is None


def test_a_submission_that_goes_on_in_another_process_is_waited_for(tmp_path, squeue):
    squeue.write_text("")
    record.claim(dataclasses.replace(made(tmp_path), pid=os.getppid()))
    with pytest.raises(LaunchError, match="a Slurm job that is being submitted already"):
        record.refuse_second(tmp_path)


def test_a_submission_whose_process_died_is_forgotten_if_slurm_does_not_have_it(tmp_path, squeue):
    squeue.write_text("8\x1f/elsewhere/job.sh\n")
    record.claim(dataclasses.replace(made(tmp_path), pid=2**22 + 1))
    record.refuse_second(tmp_path)
    assert record.read(tmp_path) is None


def test_a_submission_whose_process_died_is_found_in_the_queue(tmp_path, squeue):
    lost = dataclasses.replace(made(tmp_path), pid=2**22 + 1)
    # One answer to both questions.
    squeue.write_text(f"8+0\x1f{lost.folder}/job.sh\n" + line("8+0", "PENDING"))
    record.claim(lost)
    with pytest.raises(LaunchError, match="This working directory has Slurm job 8 already"):
        record.refuse_second(tmp_path)
    assert record.read(tmp_path).job_id == "8"


def test_a_directory_without_a_record_asks_nothing_of_slurm(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    record.refuse_second(tmp_path)
    monkeypatch.chdir(tmp_path)
    record.notice(["--executor", "daskmpi"])


def test_a_notice_is_no_error_whatever_slurm_says(tmp_path, monkeypatch, capsys):
    record.claim(dataclasses.replace(made(tmp_path), job_id="7"))
    monkeypatch.setenv("PATH", "")
    record.notice(["--directory", str(tmp_path)])
    assert capsys.readouterr().err == ""


def test_a_notice_says_where_the_job_of_the_directory_is(tmp_path, squeue, capsys):
    squeue.write_text(line("7+0", "RUNNING"))
    record.claim(dataclasses.replace(made(tmp_path), job_id="7"))
    record.notice(["-d", str(tmp_path)])
    assert "it runs on n1. 'snakemake-daskmpi follow' shows its output, 'scancel 7' ends it." in capsys.readouterr().err


def test_a_successor_gets_the_record_of_its_own_predecessor_only(tmp_path):
    first = made(tmp_path)
    record.claim(first)
    second = dataclasses.replace(made(tmp_path), follows=first.folder)
    record.claim(second)
    assert record.read(tmp_path) == second
    third = dataclasses.replace(made(tmp_path), follows=first.folder)
    with pytest.raises(LaunchError, match="already; nothing was submitted"):
        record.claim(third)
    record.remove(first)
    assert record.read(tmp_path) == second, "whoever follows the first forgets its own only"
