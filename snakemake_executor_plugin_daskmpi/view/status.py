"""What a run looks like now: the verb ``status``, and each picture of ``watch``.

Runs on: wherever somebody looks at a run.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from io import TextIOWrapper
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.text import Text

from snakemake_executor_plugin_daskmpi.errors import NoRunError
from snakemake_executor_plugin_daskmpi.record.find import run_of
from snakemake_executor_plugin_daskmpi.record.liveness import Life, life_of
from snakemake_executor_plugin_daskmpi.record.plain import plain
from snakemake_executor_plugin_daskmpi.record.run_view import RunView
from snakemake_executor_plugin_daskmpi.view import sections

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import RenderableType

#: Columns where there is no terminal.
_WIDTH = 120
#: Lines of each section that may have many.
_RULES, _WORKERS, _REASONS, _FAILED = 40, 16, 10, 10
#: The same in a picture that has to fit a terminal, whose workers take what is left.
_FEW_RULES, _FEW = 12, 4
#: A terminal with fewer columns or lines shows numbers first, as the rest may not fit.
_SMALL = (40, 12)


def main(directory: Path, part: str) -> int:
    """Print what a run looks like now."""
    view = opened(run_of(directory, part))
    console = console_of()
    # Nobody copies a path that is broken over two lines; a terminal can do it better.
    seen = picture(view, life_of(view), time.time(), shows_address=console.is_terminal)
    console.print(seen, soft_wrap=not console.is_terminal)
    return 0


def opened(folder: Path) -> RunView:
    """Return what the record of a run says up to now.

    Raises
    ------
    NoRunError
        If it cannot be read.
    """
    view = RunView(folder)
    try:
        view.update()
    except OSError as error:
        raise NoRunError(
            f"The record of run {plain(folder.name)} cannot be read.",
            seen=f"{error}.",
            next_step="its owner alone can read it, on a host that has this file system: ls -l the file.",
        ) from error
    return view


def console_of() -> Console:
    """Return what to print to: plain text where there is no terminal, without colours where NO_COLOR is set."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else _WIDTH
    return _Console(width=width, markup=False, emoji=False, highlight=False)


class _Console(Console):
    """One that leaves a closed pipe to the program."""

    def on_broken_pipe(self) -> None:
        """Raise what rich has caught."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def picture(view: RunView, life: Life, now: float, *, shows_address: bool = False) -> RenderableType:
    """Return all that is to be seen of a run; where its dashboard is only on a terminal, which nobody else can read."""
    goes_on = life is Life.GOES_ON
    parts = [
        sections.head(view, life, now, shows_address=shows_address),
        sections.progress(view, life, now),
        sections.rules(view, life, _RULES),
        sections.components(view) if goes_on else None,
        sections.workers(view, now, _WORKERS) if goes_on else None,
        sections.waiting(view, _REASONS) if goes_on else None,
        sections.failed(view, _FAILED),
    ]
    return _stacked(parts)


def fitting_picture(view: RunView, now: float, console: Console) -> RenderableType:
    """Return what is to be seen of a run that goes on, in no more lines than the terminal has."""
    parts = [
        sections.head(view, Life.GOES_ON, now, shows_address=console.is_terminal),
        sections.progress(view, Life.GOES_ON, now),
        sections.rules(view, Life.GOES_ON, min(_FEW_RULES, console.height // 3)),
        sections.failed(view, _FEW),
        sections.components(view),
        sections.waiting(view, _FEW, on_one_line=True),
    ]
    if console.width < _SMALL[0] or console.height < _SMALL[1]:
        parts[:2] = parts[1::-1]
    taken = len(console.render_lines(_stacked(parts)))
    return _stacked([*parts, sections.workers(view, now, console.height - taken - 1)])


def _stacked(parts: list[RenderableType | None]) -> Group:
    """Return parts with an empty line between them."""
    there = [part for part in parts if part is not None]
    return Group(*(one for number, part in enumerate(there) for one in ((Text(), part) if number else (part,))))
