"""Whether a run goes on, has ended, or broke off.

Runs on: wherever somebody looks at a run, on its host or on another one.
"""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
import time
from enum import Enum
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.record.events import FILE_NAME

if TYPE_CHECKING:
    from pathlib import Path

    from snakemake_executor_plugin_daskmpi.record.run_view import RunView

#: Seconds after which a record that nobody touches tells that its rank 1 is gone, which touches it each second. Caches
#: of network file systems show that up to a few seconds later.
SILENT_S = 30.0
#: The same for a record that has no line yet: the first one comes at once.
_EMPTY_S = 10.0
#: Seconds by which a process may seem to have started after the first line that it wrote.
_START_SLACK_S = 5.0


class Life(Enum):
    """What has become of a run."""

    GOES_ON = "goes on"
    ENDED = "has ended"
    BROKE_OFF = "broke off"


def life_of(view: RunView) -> Life:
    """Return whether a run goes on; its last line is looked for once more before it counts as broken off."""
    if view.end:
        return Life.ENDED
    if _lives(view):
        return Life.GOES_ON
    with contextlib.suppress(OSError):
        view.update()
    return Life.ENDED if view.end else Life.BROKE_OFF


def _lives(view: RunView) -> bool:
    pid = view.about.get("pid")
    if view.about.get("host") == socket.gethostname() and isinstance(pid, int):
        return _is_there(pid, view.started_at)
    if not view.about:
        return _lives_by_name(view)
    return silent_for_s(view.folder) <= SILENT_S


def _lives_by_name(view: RunView) -> bool:
    """Say whether a run goes on whose first line is missing: by the process that the end of its id names, here."""
    number = view.folder.name.rpartition("-")[2]
    with contextlib.suppress(OSError):
        if number.isascii() and number.isdigit():
            touched_at = (view.folder / FILE_NAME).stat().st_mtime
            if _is_there(int(number), touched_at):
                return True
    # A run that is just starting on another host.
    return not view.last_event_at and not view.n_unreadable and silent_for_s(view.folder) <= _EMPTY_S


def _is_there(pid: int, noted_at: float) -> bool:
    """Say whether a process runs that was there at a time; another one may have its id by now."""
    import psutil

    try:
        process = psutil.Process(pid)
        return bool(process.status() != psutil.STATUS_ZOMBIE and process.create_time() <= noted_at + _START_SLACK_S)
    except (psutil.Error, OverflowError):
        return False


def silent_for_s(folder: Path) -> float:
    """Return for how many seconds nobody has touched the record of a run.

    What time it is says the file system, where one may write: clocks of hosts may differ.
    """
    try:
        touched_at = (folder / FILE_NAME).stat().st_mtime
    except OSError:
        return float("inf")
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".now-") as file:
            return os.fstat(file.fileno()).st_mtime - touched_at
    except OSError:
        return time.time() - touched_at
