"""The line under the output of a followed job: a terminal, a run's record and the job's output are real."""

from __future__ import annotations

import contextlib
import io
import os
import pty
from typing import TYPE_CHECKING

import pytest

from records import Record
from snakemake_executor_plugin_daskmpi.slurm.submission import output, status_line
from snakemake_executor_plugin_daskmpi.slurm.submission.status_line import StatusLine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ERASE = "\r\x1b[K"


class Screen:
    """A terminal, that of this process, and a submission whose job writes and has a run."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.line = StatusLine(clock=lambda: self.now)
        patch.setattr(status_line, "LINE", self.line)
        patch.setattr(output, "LINE", self.line)
        patch.setenv("COLUMNS", "80")
        self.master, terminal = pty.openpty()
        self.stderr = os.fdopen(terminal, "w")
        self.submission = folder / ".snakemake" / "daskmpi" / "submissions" / "2026-01-01T110000.000000-1"
        self.submission.mkdir(parents=True)
        self.job = self.submission / "output.log"
        self.output = output.Output(self.job)

    def sent_by(self, action: Callable[[], object]) -> str:
        """Return what the terminal is sent by an action."""
        with contextlib.redirect_stderr(self.stderr):
            action()
        # A terminal takes its time: what is sent after it tells that all has come.
        self.stderr.write("\0")
        self.stderr.flush()
        sent = b""
        while not sent.endswith(b"\0"):
            sent += os.read(self.master, 10_000)
        return sent[:-1].decode()

    def draw(self) -> str:
        """Draw the line some seconds later."""
        self.now += 10
        return self.sent_by(lambda: self.line.draw(self.submission))


@pytest.fixture
def screen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Screen]:
    screen = Screen(tmp_path, monkeypatch)
    yield screen
    screen.stderr.close()
    os.close(screen.master)


@pytest.fixture
def run(tmp_path: Path) -> Record:
    """Return the record of a run: one of four jobs is done, one runs, one waits."""
    run = Record(tmp_path)
    run.note("jobs", by_rule={"one": 4})
    run.worker()
    run.job(key="1")
    for number in (2, 3):
        run.submitted(str(number), jobid=number)
    run.started("2")
    return run


FIRST = "daskmpi: 1 of 4 jobs done, 1 running, 1 waiting, 1 not ready"


def test_it_is_redrawn_in_place_when_something_happens_and_only_then(screen: Screen, run: Record):
    assert screen.draw() == ERASE + FIRST
    assert screen.draw() == ""
    run.ended("2", "failed", end=1)
    assert screen.draw() == f"{ERASE}daskmpi: 1 of 4 jobs done, 0 running, 1 waiting, 1 not ready, 1 failed"


@pytest.mark.usefixtures("run")
def test_it_is_gone_before_anything_else_is_printed(screen: Screen):
    screen.draw()
    screen.job.write_text("words of the job\n")
    assert screen.sent_by(screen.output.copy) == f"{ERASE}words of the job\r\n"
    assert screen.draw() == ERASE + FIRST
    assert screen.sent_by(lambda: status_line.say("it is over")) == f"{ERASE}daskmpi: it is over\r\n"


@pytest.mark.usefixtures("run")
def test_it_waits_for_the_end_of_a_line_that_the_job_has_begun(screen: Screen):
    screen.job.write_text("half a line")
    assert screen.sent_by(screen.output.copy) == "half a line"
    assert screen.draw() == ""


@pytest.mark.usefixtures("run")
def test_it_is_no_longer_than_the_terminal_is_wide(screen: Screen, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "20")
    assert screen.draw() == ERASE + FIRST[:19]


def test_it_says_nothing_of_a_run_before_the_submission_and_of_one_that_has_ended(screen: Screen, tmp_path: Path):
    Record(tmp_path, "2026-01-01T100000.000000-1").note("jobs", by_rule={"one": 9})
    assert screen.draw() == ""
    run = Record(tmp_path)
    run.note("jobs", by_rule={"one": 4})
    assert screen.draw() == f"{ERASE}daskmpi: 0 of 4 jobs done, 0 running, 0 waiting, 4 not ready"
    run.end(1, done=0, total=4, failed=0)
    assert screen.draw() == ERASE


@pytest.mark.usefixtures("run")
def test_there_is_none_where_stderr_is_no_terminal(screen: Screen):
    with contextlib.redirect_stderr(io.StringIO()) as stderr:
        screen.line.draw(screen.submission)
    assert stderr.getvalue() == ""
