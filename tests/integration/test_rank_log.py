"""The rank's log: nothing of Dask's chatter on the terminal, all of it in the file."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

#: Logging and stdout are a process's own, so each test takes a process.
PROGRAM = """
import logging, os, sys, warnings
from snakemake_executor_plugin_daskmpi.rank import rank_log, roles

dask = logging.getLogger("distributed.worker")
dask.addHandler(logging.StreamHandler())
name, role, *folders = sys.argv[1:]
rank_log.quiet(name, roles.Role(role))
dask.info("before the run")
logging.getLogger("snakemake_executor_plugin_daskmpi.client.pool").warning("ours")
logging.getLogger("snakemake").warning("to the terminal")
for folder in folders:
    rank_log.open_rank_log(folder)
    dask.info("in %s", os.path.basename(folder))
    if "warn" in folder:
        warnings.warn("of Python", stacklevel=1)
    print("printed", flush=True)
    os.write(2, b"from a native library\\n")
"""


def said_by(name: str, role: str, *folders: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-c", PROGRAM, name, role, *map(str, folders)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)


def messages_of(log: Path) -> list[str]:
    """Return the lines of a log without their times."""
    return [line.rpartition(": ")[2] for line in log.read_text().splitlines()]


@pytest.mark.parametrize("role", ["client", "worker"])
def test_before_there_is_a_log_nothing_of_dask_reaches_the_terminal(role):
    said = said_by("rank 1", role)
    assert (said.stdout, said.stderr) == ("", "to the terminal\n")


def test_a_workers_log_holds_all_that_it_said_before_and_all_that_it_prints(tmp_path):
    said = said_by("rank 3", "worker", tmp_path / "run")
    assert (said.stdout, said.stderr) == ("", "to the terminal\n")
    log = tmp_path / "run/rank-3.log"
    assert messages_of(log) == ["before the run", "ours", "in run", "printed", "from a native library"]


def test_a_log_that_takes_no_more_is_nothing_to_tell_the_user(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/rank-1.log").symlink_to("/dev/full")
    said = said_by("rank 1", "client", tmp_path / "run")
    assert (said.stdout, said.stderr) == ("printed\n", "to the terminal\nfrom a native library\n")


def test_the_clients_output_stays_on_the_terminal(tmp_path):
    said = said_by("rank 1", "client", tmp_path / "run")
    assert said.stdout == "printed\n"
    assert said.stderr == "to the terminal\nfrom a native library\n"
    assert messages_of(tmp_path / "run/rank-1.log") == ["before the run", "ours", "in run"]


def test_a_second_run_has_a_log_of_its_own(tmp_path):
    said_by("rank 3", "worker", tmp_path / "first", tmp_path / "second")
    assert messages_of(tmp_path / "first/rank-3.log")[-3:] == ["in first", "printed", "from a native library"]
    assert messages_of(tmp_path / "second/rank-3.log") == ["in second", "printed", "from a native library"]


def test_a_log_is_for_its_owners_eyes_only(tmp_path):
    said_by("rank 3", "worker", tmp_path / "run")
    assert (tmp_path / "run").stat().st_mode & 0o077 == 0
    assert (tmp_path / "run/rank-3.log").stat().st_mode & 0o077 == 0


def test_the_clients_warnings_stay_on_the_terminal(tmp_path):
    assert "UserWarning: of Python\n" in said_by("rank 1", "client", tmp_path / "warn").stderr


def test_a_workers_warnings_are_in_its_log(tmp_path):
    assert said_by("rank 3", "worker", tmp_path / "warn").stderr == "to the terminal\n"
    assert "UserWarning: of Python" in (tmp_path / "warn/rank-3.log").read_text()
