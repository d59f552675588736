"""A run that is about to start is awaited while Snakemake has its lock."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from records import Record
from snakemake_executor_plugin_daskmpi.errors import NoRunError
from snakemake_executor_plugin_daskmpi.view.awaited import newest

if TYPE_CHECKING:
    from pathlib import Path

EARLIER, LATER = "2026-01-01T120000.000000-1", "2026-01-02T120000.000000-1"


@pytest.fixture
def broken_off(tmp_path: Path) -> Record:
    """A run whose process is gone."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return Record(tmp_path, EARLIER, pid=process.pid)


def lock(directory: Path) -> None:
    """Lock a folder as Snakemake does."""
    (directory / ".snakemake" / "locks").mkdir(parents=True)
    (directory / ".snakemake" / "locks" / "0.input.lock").touch()


def test_without_a_lock_the_newest_run_is_taken_at_once(tmp_path: Path, broken_off: Record):
    said: list[str] = []
    assert newest(tmp_path, said.append).folder == broken_off.folder
    assert said == []


@pytest.mark.parametrize("earlier", ["broken_off", "tmp_path"], ids=["after another one", "the first one"])
def test_with_a_lock_a_run_that_starts_is_awaited(tmp_path: Path, request: pytest.FixtureRequest, earlier: str):
    request.getfixturevalue(earlier)
    lock(tmp_path)
    said: list[str] = []

    def starts(text: str) -> None:
        said.append(text)
        Record(tmp_path, LATER, time=time.time())

    assert newest(tmp_path, starts).folder.name == LATER
    assert len(said) == 1
    assert "waiting up to 60 s" in said[0]


def test_a_run_that_goes_on_is_taken_whatever_is_locked(tmp_path: Path):
    lock(tmp_path)
    Record(tmp_path, LATER, time=time.time())
    said: list[str] = []
    assert newest(tmp_path, said.append).folder.name == LATER
    assert said == []


def test_when_none_comes_in_time_the_last_one_is_taken(tmp_path: Path, broken_off: Record):
    lock(tmp_path)
    assert newest(tmp_path, lambda _: None, for_s=0.1).folder == broken_off.folder


def test_when_none_comes_and_there_never_was_one_that_is_an_error(tmp_path: Path):
    lock(tmp_path)
    with pytest.raises(NoRunError, match="There is no run to look at"):
        newest(tmp_path, lambda _: None, for_s=0.1)
