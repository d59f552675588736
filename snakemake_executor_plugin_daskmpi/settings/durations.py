"""Walltimes as Slurm and people write them, in minutes.

Runs on: the login node; every rank reads a deadline's text. Pure.
"""

from __future__ import annotations

import datetime as dt
import math
import re

from snakemake_executor_plugin_daskmpi.errors import SettingsError

_DAY_MIN = 24 * 60

#: ``1d12h``, ``90m``, ``2h 30min``, ``90s``.
_WORDS = re.compile(
    r"\s*(?:(?P<d>\d+(?:\.\d+)?)\s*d(?:ays?)?)?\s*(?:(?P<h>\d+(?:\.\d+)?)\s*h(?:(?:ou)?rs?)?)?"
    r"\s*(?:(?P<m>\d+(?:\.\d+)?)\s*m(?:in(?:ute)?s?)?)?"
    r"\s*(?:(?P<s>\d+(?:\.\d+)?)\s*s(?:ec(?:ond)?s?)?)?\s*",
)

_UNITS = (("d", _DAY_MIN), ("h", 60.0), ("m", 1.0), ("s", 1 / 60))

#: The six forms of ``sbatch --time`` (man page), by what their numbers count in minutes.
_FORMS = (
    (re.compile(r"(\d+)"), (1.0,)),
    (re.compile(r"(\d+):(\d+)"), (1.0, 1 / 60)),
    (re.compile(r"(\d+):(\d+):(\d+)"), (60.0, 1.0, 1 / 60)),
    (re.compile(r"(\d+)-(\d+)"), (_DAY_MIN, 60.0)),
    (re.compile(r"(\d+)-(\d+):(\d+)"), (_DAY_MIN, 60.0, 1.0)),
    (re.compile(r"(\d+)-(\d+):(\d+):(\d+)"), (_DAY_MIN, 60.0, 1.0, 1 / 60)),
)


def parse_walltime(text: str, flag: str = "--daskmpi-walltime") -> int:
    """Return a walltime in minutes, rounded up.

    >>> [parse_walltime(text) for text in ("90", "90:30", "1:30:00", "1-12", "1-12:30", "1-12:00:00")]
    [90, 91, 90, 2160, 2190, 2160]
    >>> [parse_walltime(text) for text in ("90m", "2h", "1d", "1d12h", "1.5h", "2 hours 10 min")]
    [90, 120, 1440, 2160, 90, 130]

    Raises
    ------
    SettingsError
        If it is none, or no time at all.
    """
    minutes = minutes_of(text)
    if not minutes:
        raise SettingsError(
            f"{flag} cannot be {text!r}.",
            next_step=f"{flag} 90m, 2h, 1d12h, or as sbatch --time writes it: 90, 1:30:00, 1-12:00:00.",
        )
    return math.ceil(round(minutes, 6))


def minutes_of(text: str) -> float:
    """Return a duration in minutes, 0 if it is none.

    >>> minutes_of("90s"), minutes_of("1:30"), minutes_of("1m30s"), minutes_of("soon")
    (1.5, 1.5, 1.5, 0.0)
    """
    text = text.strip().lower()
    for form, units in _FORMS:
        if match := form.fullmatch(text):
            return sum(int(number) * unit for number, unit in zip(match.groups(), units, strict=True))
    match = _WORDS.fullmatch(text)
    if match is None:
        return 0.0
    return sum(float(match[name] or 0) * unit for name, unit in _UNITS)


def render_walltime(minutes: float) -> str:
    """Return a walltime as ``sbatch --time`` takes it, whole minutes, rounded up.

    >>> render_walltime(90), render_walltime(2160), render_walltime(0.5)
    ('01:30:00', '1-12:00:00', '00:01:00')
    """
    days, rest = divmod(math.ceil(minutes), _DAY_MIN)
    clock = f"{rest // 60:02d}:{rest % 60:02d}:00"
    return f"{days}-{clock}" if days else clock


def duration_text(minutes: float) -> str:
    """Return a duration for people.

    >>> [duration_text(m) for m in (0.4, 5, 90, 120, 2170, 4320)]
    ['1 min', '5 min', '1 h 30 min', '2 h', '1 d 12 h', '3 d']
    """
    whole = max(1, round(minutes))
    days, hours, rest = whole // _DAY_MIN, whole % _DAY_MIN // 60, whole % 60
    parts = [(days, "d"), (hours, "h"), (0 if days else rest, "min")]
    return " ".join(f"{number} {unit}" for number, unit in parts if number)


def seconds_left(text: str, now: float, started: float | None = None) -> float:
    """Return how many seconds are left until ``--daskmpi-deadline``.

    Parameters
    ----------
    now, started
        This moment, and the one from which a duration counts; seconds since the epoch.

    >>> seconds_left("2h", now=1000), seconds_left("90s", now=1000, started=970)
    (7200.0, 60.0)
    >>> seconds_left("1970-01-01T00:20:00+00:00", now=1000)
    200.0

    Raises
    ------
    SettingsError
        If it is no time, or an absolute one that has passed.
    """
    if minutes := minutes_of(text):
        return 60 * minutes - (now - (now if started is None else started))
    try:
        left = dt.datetime.fromisoformat(text.strip()).astimezone().timestamp() - now
    except ValueError:
        raise SettingsError(
            f"--daskmpi-deadline cannot be {text!r}.",
            next_step="--daskmpi-deadline 90m, 2h, 1:30:00 from the start on, or 2026-12-24T18:00.",
        ) from None
    if left <= 0:
        raise SettingsError(
            f"--daskmpi-deadline {text} has passed.",
            seen=f"it is {dt.datetime.fromtimestamp(now).astimezone():%Y-%m-%dT%H:%M:%S} here.",
            next_step="--daskmpi-deadline with a later time, or leave it out.",
        )
    return left
