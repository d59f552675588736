"""Times of a run in words.

Runs on: wherever somebody looks at a run.
"""

from __future__ import annotations

import datetime as dt

_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86400
#: Below so many seconds, tenths are told.
_SHORT_S = 10


def span(seconds: float) -> str:
    """Return how long something takes, in two units at most.

    >>> [span(s) for s in (0.42, 12.3, 200, 3720, 100000, -3)]
    ['0.4 s', '12 s', '3 min 20 s', '1 h 2 min', '1 d 3 h', '0.0 s']
    """
    seconds = max(0.0, seconds)
    if seconds < _SHORT_S:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, unit, part_size, part in (
        (_DAY_S, "d", _HOUR_S, "h"),
        (_HOUR_S, "h", _MINUTE_S, "min"),
        (_MINUTE_S, "min", 1, "s"),
    ):
        if whole >= size:
            rest = whole % size // part_size
            return f"{whole // size} {unit}" + (f" {rest} {part}" if rest else "")
    return f"{whole} s"


def clock(when: float) -> str:
    """Return a time of day, with its date unless that is today's."""
    local = dt.datetime.fromtimestamp(when).astimezone()
    today = dt.datetime.now().astimezone().date()
    return f"{local:%H:%M:%S}" if local.date() == today else f"{local:%Y-%m-%d %H:%M:%S}"
