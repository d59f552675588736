"""Where Slurm's accounting tells nothing, or not in time, there is a line that says why."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from snakemake_executor_plugin_daskmpi.slurm.accounting import PATIENCE_S, Told, ask_counts
from snakemake_executor_plugin_daskmpi.slurm.counted import AskedJob

if TYPE_CHECKING:
    from pathlib import Path

JOB = AskedJob("7", "", 1_795_767_221, goes_on=False)
RUNNING = JOB._replace(goes_on=True)
ROW = "7|7|RUNNING|0:0|1795767219|1795767220|Unknown|4|10|2|cpu=2|00:00:00|||n1"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is first on PATH."""
    (folder := tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def program(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)


def test_a_machine_without_sacct_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    (told,) = ask_counts([RUNNING])
    assert told == Told((), "there is no sacct on this machine; a login node of the cluster has it")


def test_a_refusal_is_told_in_slurms_words(folder: Path):
    program(folder, "sacct", "#!/bin/sh\necho 'Slurm accounting storage is disabled' >&2; exit 1\n")
    assert ask_counts([JOB]) == [Told((), "sacct said: Slurm accounting storage is disabled")]


def test_a_program_that_is_none_is_no_error(folder: Path, monkeypatch: pytest.MonkeyPatch):
    program(folder, "sacct", "\x7fELF and no more")
    monkeypatch.setenv("PATH", str(folder))
    (told,) = ask_counts([JOB])
    assert told.why_none == "sacct cannot be run here: Exec format error"


def test_what_somebody_says_at_length_is_cut_off(folder: Path):
    program(folder, "sacct", f"#!/bin/sh\necho '{'no ' * 5000}' >&2; exit 1\n")
    (told,) = ask_counts([JOB])
    assert len(told.why_none) < 400


def test_who_hangs_is_left_alone_and_nobody_else_is_asked(folder: Path, tmp_path: Path):
    program(folder, "sacct", f"#!/bin/sh\necho $$ > {tmp_path}/pid; exec sleep 1000\n")
    for name in ("squeue", "sstat"):
        program(folder, name, f"#!/bin/sh\ntouch {tmp_path}/asked\n")
    told = ask_counts([RUNNING, RUNNING._replace(cluster="blue")])
    assert told == [Told((), f"sacct gave no answer in {PATIENCE_S:.0f} s")] * 2
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
    assert not (tmp_path / "asked").exists()


@pytest.mark.parametrize("text", ["exec sleep 1000", "exit 1", "echo nonsense"])
def test_if_sstat_fails_there_is_what_sacct_has_told(folder: Path, text: str):
    program(folder, "sacct", f"#!/bin/sh\necho '{ROW}'\necho '{ROW.replace('7|7', '7.0|7.0')}'\n")
    program(folder, "sstat", f"#!/bin/sh\n{text}\n")
    (told,) = ask_counts([RUNNING])
    (job,) = told.components
    assert (job.state, job.n_cpus, job.cpu_s) == ("RUNNING", 2, None)


def test_all_jobs_of_a_cluster_are_one_question_without_the_users_own_formats(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in ("SACCT_FORMAT", "SLURM_TIME_FORMAT"):
        monkeypatch.setenv(name, "relative")
    done = ROW.replace("RUNNING", "COMPLETED").replace("Unknown", "1795767300")
    saying = f'echo "$1 $2 $SLURM_TIME_FORMAT $SACCT_FORMAT" >> {tmp_path}/asked; echo "{done}"'
    program(folder, "sacct", f"#!/bin/sh\n{saying}\n")
    jobs = [JOB, JOB._replace(id="8"), JOB._replace(id="9", cluster="blue")]
    told = ask_counts(jobs)
    assert (tmp_path / "asked").read_text().splitlines() == [
        "--jobs=7,8 --noheader %s ",
        "--jobs=9 --clusters=blue %s ",
    ]
    assert [len(each.components) for each in told] == [1, 0, 0]
    assert [each.why_none for each in told] == [
        "",
        "Slurm's accounting knows no job 8 that ran then",
        "Slurm's accounting knows no job 9 of cluster blue that ran then",
    ]


def test_nobody_is_asked_about_nothing(folder: Path, tmp_path: Path):
    program(folder, "sacct", f"#!/bin/sh\ntouch {tmp_path}/asked\n")
    assert ask_counts([]) == []
    assert not (tmp_path / "asked").exists()
