"""Where the program snakemake-daskmpi cannot write what it has to tell."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from records import Record

VERBS_THAT_PRINT = [["status"], ["explain", "one"], ["report", "--json", "-"]]
PROGRAM = [sys.executable, "-m", "snakemake_executor_plugin_daskmpi"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a workflow with a run."""
    Record(tmp_path).submitted("a")
    return tmp_path


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", VERBS_THAT_PRINT)
def test_a_pipe_that_nobody_reads_ends_the_program_quietly(folder, arguments, unbuffered, monkeypatch):
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    reads, writes = os.pipe()
    os.close(reads)
    command = [*PROGRAM, *arguments]
    with open(writes, "wb") as pipe:
        done = subprocess.run(command, check=False, cwd=folder, stdout=pipe, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", VERBS_THAT_PRINT)
def test_a_disk_that_is_full_is_an_error_in_three_parts(folder, arguments, unbuffered, monkeypatch):
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    command = [*PROGRAM, *arguments]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, check=False, cwd=folder, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr == (
        "snakemake-daskmpi: Not all of the output could be written.\n"
        "  Seen: No space left on device.\n"
        "  Next: send it to where there is room: df -h shows how much.\n"
    )


@pytest.mark.parametrize("arguments", VERBS_THAT_PRINT)
def test_a_standard_output_that_is_closed_is_none_to_complain_of(folder, arguments):
    command = ["sh", "-c", f"{shlex.join([*PROGRAM, *arguments])} >&-"]
    done = subprocess.run(command, check=False, cwd=folder, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
