"""The end of a log, for the message of a failure.

Runs on: ranks >= 2 for jobs' logs, rank 1 for that of a lost worker.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

#: How much of a failed job's log is shown.
_TAIL_LINES, _TAIL_BYTES = 20, 8192


def tail_of(log: Path, n_lines: int = _TAIL_LINES) -> str:
    """Return the last lines of a log, empty if there is none."""
    try:
        with log.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.rstrip().splitlines()[-n_lines:])
