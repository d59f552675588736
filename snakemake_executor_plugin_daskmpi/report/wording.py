"""Numbers, times and names as people read them.

Runs on: wherever somebody asks for a report. Pure.
"""

from __future__ import annotations

import datetime as dt
import re

from snakemake_executor_plugin_daskmpi.errors import printable

#: What is not known.
NONE = "-"
#: Ends of lines, and what turns the direction of what follows.
_INVISIBLE = re.compile("[\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def clean(text: str) -> str:
    r"""Return text that can be written as UTF-8, and shows what else nobody would see.

    >>> print(clean("a\x00b\u2028c\udc80"))
    a\x00b\u2028c\udc80
    """
    visible = _INVISIBLE.sub(lambda match: f"\\u{ord(match[0]):04x}", printable(text))
    return visible.encode("utf-8", "backslashreplace").decode()


def duration(seconds: float | None) -> str:
    """Return a duration in its two largest units.

    >>> duration(0.26), duration(75), duration(7380), duration(180000), duration(None)
    ('0.26 s', '1 min 15 s', '2 h 3 min', '2 d 2 h', '-')
    """
    if seconds is None:
        return NONE
    if seconds < 60:  # noqa: PLR2004 - of a minute
        return f"{seconds:.3g} s" if seconds < 59.5 else "60 s"  # noqa: PLR2004 - what rounds to less than it
    whole = round(seconds)
    units = (("d", whole // 86400), ("h", whole // 3600 % 24), ("min", whole // 60 % 60), ("s", whole % 60))
    first = next(index for index, (_, number) in enumerate(units) if number)
    return " ".join(f"{number} {unit}" for unit, number in units[first : first + 2] if number)


def core_hours(hours: float | None) -> str:
    """Return core-hours, or core-seconds where those are few.

    >>> core_hours(1234.5), core_hours(1.234), core_hours(0.01), core_hours(0), core_hours(None)
    ('1,234 core-h', '1.23 core-h', '36 core-s', '0', '-')
    """
    if not hours:
        return NONE if hours is None else "0"
    if hours < 0.1:  # noqa: PLR2004 - a matter of taste
        return f"{hours * 3600:.3g} core-s"
    return f"{hours:,.0f} core-h" if hours >= 100 else f"{hours:.3g} core-h"  # noqa: PLR2004 - the same


def percent(share: float | None) -> str:
    """Return a share in percent.

    >>> percent(0.756), percent(0.0044), percent(0.0001), percent(0), percent(None)
    ('76 %', '0.4 %', '< 0.1 %', '0 %', '-')
    """
    if share is None:
        return NONE
    if 0 < share < 0.0005:  # noqa: PLR2004 - what would round to nothing
        return "< 0.1 %"
    return f"{100 * share:.0f} %" if share >= 0.1 or not share else f"{100 * share:.1f} %"  # noqa: PLR2004 - digits


def memory(mem_mb: float | None) -> str:
    """Return memory.

    >>> memory(950), memory(9478), memory(None)
    ('950 MB', '9.48 GB', '-')
    """
    if mem_mb is None:
        return NONE
    return f"{mem_mb:.0f} MB" if mem_mb < 1000 else f"{mem_mb / 1000:.3g} GB"  # noqa: PLR2004 - MB of a GB


def energy(joules: float | None) -> str:
    """Return energy.

    >>> energy(5_400_000), energy(36_000), energy(None)
    ('1.5 kWh', '10 Wh', '-')
    """
    if joules is None:
        return NONE
    return f"{joules / 3.6e6:,.3g} kWh" if joules >= 3.6e5 else f"{joules / 3600:.3g} Wh"  # noqa: PLR2004 - J


def counted(number: int, noun: str) -> str:
    """Return a number of things.

    >>> counted(1, "job"), counted(1234, "job")
    ('1 job', '1,234 jobs')
    """
    return f"{number:,} {noun}{'s' * (number != 1)}"


def number(value: float | None) -> str:
    """Return a number with three digits.

    >>> number(12345), number(0.04612), number(None)
    ('12,345', '0.0461', '-')
    """
    if value is None:
        return NONE
    return f"{value:,}" if isinstance(value, int) else f"{value:.3g}"


def clock(at: float | None) -> str:
    """Return a time of this machine's clock."""
    return NONE if at is None else local(at).strftime("%Y-%m-%d %H:%M:%S")


def zone(at: float) -> str:
    """Return the time zone of such a time."""
    offset = local(at).strftime("%z")
    return f"UTC{offset[:3]}:{offset[3:]}"


def local(at: float) -> dt.datetime:
    """Return a time in the time zone of this machine."""
    return dt.datetime.fromtimestamp(at, dt.UTC).astimezone()
