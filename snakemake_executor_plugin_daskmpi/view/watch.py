"""What a run looks like, for as long as it goes on: the verb ``watch``.

Runs on: wherever somebody looks at a run, in a terminal.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from typing import TYPE_CHECKING

from rich.console import ConsoleDimensions
from rich.live import Live

from snakemake_executor_plugin_daskmpi.errors import SettingsError
from snakemake_executor_plugin_daskmpi.record.find import run_of
from snakemake_executor_plugin_daskmpi.record.liveness import Life, life_of
from snakemake_executor_plugin_daskmpi.view.awaited import newest
from snakemake_executor_plugin_daskmpi.view.keys import is_pressed, single_keys
from snakemake_executor_plugin_daskmpi.view.status import console_of, fitting_picture, opened, picture

if TYPE_CHECKING:
    from pathlib import Path
    from types import FrameType

    from rich.console import Console

    from snakemake_executor_plugin_daskmpi.record.run_view import RunView

#: Seconds between two pictures, and how many times as long as making one takes: looking must not cost a core.
_EVERY_S, _TIMES = 1.0, 10.0


def main(directory: Path, part: str) -> int:
    """Show a run until it is over, or until q or Ctrl-C; what is left on the terminal is its last picture."""
    console = console_of()
    if not console.is_terminal or console.is_dumb_terminal:
        raise SettingsError(
            "watch draws on a terminal, and there is none that it could draw on.",
            seen="stdout is no terminal, or TERM says that it is a dumb one.",
            next_step="snakemake-daskmpi status, which prints the same once.",
        )
    signal.signal(signal.SIGTERM, _leave)
    view = opened(run_of(directory, part)) if part else newest(directory, console.print)
    life: Life | None = life_of(view)
    if life is Life.GOES_ON:
        life = _watched(view, console)
    elif not part:
        console.print("No run goes on here now. The last one:")
    if life is None:
        return 0
    console.print(picture(view, life, time.time()))
    return 0


def _watched(view: RunView, console: Console) -> Life | None:
    """Draw a run on a screen of its own until it is over; the terminal's own comes back in any case.

    What is returned is what became of it, None if somebody left before.
    """
    with single_keys() as keys, Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            began = time.monotonic()
            _fit(console)
            live.update(fitting_picture(view, time.time(), console), refresh=True)
            if is_pressed(b"q", keys, max(_EVERY_S, _TIMES * (time.monotonic() - began))):
                return None
            with contextlib.suppress(OSError):  # a file system that is away for a while
                view.update()
            if (life := life_of(view)) is not Life.GOES_ON:
                return life


def _fit(console: Console) -> None:
    """Take the size that the terminal has now: COLUMNS and LINES, which rich heeds, say what it once had."""
    width, height = os.get_terminal_size(sys.stdout.fileno())
    if width and height:
        console.size = ConsoleDimensions(width, height)


def _leave(number: int, _: FrameType | None) -> None:
    """End in order, so that the terminal is restored."""
    sys.exit(128 + number)
