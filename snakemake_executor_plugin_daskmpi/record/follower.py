"""Read a record, and go on reading while it grows.

Runs on: wherever somebody looks at a run.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


#: Fields that are seconds since the epoch, in whatever event, and what no clock says: no calendar has it.
_TIMES = ("time", "started_at", "ended_at", "ends_at", "drains_at")
_NEVER_S = 1e11


class Follower:
    """What a record says that was not read before.

    Parameters
    ----------
    path
        Of the record, which may not be there yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        #: Lines that are no events: somebody else's, or of a disk that was full.
        self.n_unreadable = 0

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield the events that have come since the last time; a line that is being written comes the next time.

        Raises
        ------
        OSError
            If the file cannot be read; not if it is not there.
        """
        try:
            file = self._path.open("rb")
        except FileNotFoundError:
            return
        with file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._offset += len(line)
                try:
                    event = json.loads(line)
                except ValueError:
                    event = None
                if isinstance(event, dict) and isinstance(event.get("event"), str) and _has_sane_times(event):
                    yield event
                else:
                    self.n_unreadable += 1


def _has_sane_times(event: dict[str, Any]) -> bool:
    """Say whether the times of an event can be reckoned with; what is not known may be left out, or null."""
    times = (event[name] for name in _TIMES if event.get(name) is not None)
    return all(
        isinstance(time, int | float) and not isinstance(time, bool) and math.isfinite(time) and 0 <= time < _NEVER_S
        for time in times
    )
