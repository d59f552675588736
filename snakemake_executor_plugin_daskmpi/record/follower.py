"""Read a record, and go on reading while it grows.

Runs on: wherever somebody looks at a run.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


#: Fields that are seconds since the epoch, in whatever event, and what no clock says: no calendar has it.
_TIMES = ("time", "started_at", "ended_at", "ends_at", "drains_at")
_NEVER_S = 1e11
_NUMBERS = (int, float)
#: Bytes of lines that are parsed together; more take longer.
_AT_ONCE = 1 << 16


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
            while lines := file.readlines(_AT_ONCE):
                if is_cut_off := not lines[-1].endswith(b"\n"):
                    lines.pop()
                self._offset += sum(map(len, lines))
                for event in _parsed(lines):
                    if isinstance(event, dict) and isinstance(event.get("event"), str) and _has_sane_times(event):
                        yield event
                    else:
                        self.n_unreadable += 1
                if is_cut_off:
                    return


def _parsed(lines: list[bytes]) -> list[Any]:
    """Return what lines say, None for one that is no JSON.

    As one document, which takes half the time: keys and the costs of a call are there once. Where that has not a value
    for each line, each is parsed alone. (Lines with a comma in the right places could deceive this; no accident does.)
    """
    try:
        found = json.loads(b"[" + b",".join(lines) + b"]")
    except (ValueError, RecursionError):
        found = []
    return found if len(found) == len(lines) else [_value_of(line) for line in lines]


def _value_of(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _has_sane_times(event: dict[str, Any]) -> bool:
    """Say whether the times of an event can be reckoned with; what is not known may be left out, or null."""
    for name in _TIMES:
        time = event.get(name)
        # Not isinstance: True is no time. NaN is not at least 0.
        if time is not None and not (type(time) in _NUMBERS and 0 <= time < _NEVER_S):
            return False
    return True
