"""One line under the output of a followed job: how many of its run's jobs are done, run, and wait.

Runs on: the login node.
Called by: slurm.submission.follow, and output, which writes above it.

A process has one terminal, and so one such line. It is there while the follower waits for more, gone before anything
else is printed, and never there where stderr, to which all of this goes, is no terminal.
"""

from __future__ import annotations

import shutil
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.record.find import runs_of
from snakemake_executor_plugin_daskmpi.record.job_view import State
from snakemake_executor_plugin_daskmpi.record.run_view import RunView
from snakemake_executor_plugin_daskmpi.slurm import controller

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: Seconds between two looks at the record: whoever waits for jobs sees no difference, a shared file system does.
_LOOK_S = 2.0
#: Go to the begin of the line and erase it.
_ERASE = "\r\x1b[K"


@dataclass(slots=True)
class StatusLine:
    """The line, and what it is made of."""

    clock: Callable[[], float] = time.monotonic
    #: Whether the cursor is at the begin of a line: a job may write half of one.
    is_at_begin: bool = True
    _shown: str = ""
    _text: str = ""
    _next_look: float = field(default=float("-inf"))
    _view: RunView | None = None

    def draw(self, submission: Path) -> None:
        """Show how far the run of a submission is, which is named by its folder."""
        if not (self.is_at_begin and sys.stderr.isatty()):
            return
        if self.clock() >= self._next_look:
            self._look(submission)
            self._next_look = self.clock() + _LOOK_S
        # The last column stays free: there, terminals go on to the next line.
        text = self._text[: shutil.get_terminal_size().columns - 1]
        if text != self._shown:
            self._write(_ERASE + text)
            self._shown = text

    def clear(self) -> None:
        """Remove it, so that something else can be printed."""
        if self._shown:
            self._shown = ""
            self._write(_ERASE)

    def _look(self, submission: Path) -> None:
        # Runs and submissions are both named by the time at which they began.
        runs = [run for run in runs_of(submission.parents[3]) if run.name > submission.name]
        if not runs:
            self._text, self._view = "", None
            return
        if self._view is None or self._view.folder != runs[0]:
            self._view, self._text = RunView(runs[0]), ""
        try:
            if self._view.update():
                self._text = text_of(self._view)
        except OSError:
            self._text = ""

    @staticmethod
    def _write(text: str) -> None:
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except OSError:
            pass  # Whoever prints next finds out that the terminal is gone.


def text_of(view: RunView) -> str:
    """Return how many jobs of a run are done, run, and wait; "" before there are any, and after its end."""
    counts = view.counts()
    total = sum(view.n_by_rule.values())
    if not total or view.end:
        return ""
    in_state = {state: sum(counter[state] for counter in counts.values()) for state in State}
    waiting = in_state[State.WAITING] + in_state[State.SENT]
    parts = [f"{in_state[State.DONE]} of {total} jobs done", f"{in_state[State.RUNNING]} running", f"{waiting} waiting"]
    if not_ready := sum(view.n_not_ready(counts).values()):
        parts.append(f"{not_ready} not ready")
    if failed := in_state[State.FAILED]:
        parts.append(f"{failed} failed")
    return f"daskmpi: {', '.join(parts)}"


LINE = StatusLine()


def say(line: str) -> None:
    """Tell the user something, in place of the line."""
    LINE.clear()
    controller.say(line)
