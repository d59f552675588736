"""What the doctor says of one thing: a verdict, what was seen, and the remedy.

Runs on: wherever the doctor was started. Pure data.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Verdict(StrEnum):
    """How a check went, from best to worst."""

    SKIPPED = "skipped"
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the doctor's report."""

    name: str
    verdict: Verdict
    #: What was seen, with names and numbers; may have several lines.
    seen: str
    #: What to do, "" where nothing is to be done.
    remedy: str = ""


def ok(name: str, seen: str) -> Check:
    """Return a check that found nothing wrong."""
    return Check(name, Verdict.OK, seen)


def warn(name: str, seen: str, remedy: str) -> Check:
    """Return a check that found what may do harm."""
    return Check(name, Verdict.WARN, seen, remedy)


def fail(name: str, seen: str, remedy: str) -> Check:
    """Return a check that found what will do harm."""
    return Check(name, Verdict.FAIL, seen, remedy)


def skipped(name: str, why: str, remedy: str = "") -> Check:
    """Return a check that could not be made, or does not matter here."""
    return Check(name, Verdict.SKIPPED, why, remedy)


def worst(checks: Iterable[Check]) -> Verdict:
    """Return the worst verdict of all.

    >>> worst([ok("a", ""), warn("b", "", ""), skipped("c", "")])
    <Verdict.WARN: 'warn'>
    """
    order = list(Verdict)
    return max((check.verdict for check in checks), key=order.index, default=Verdict.SKIPPED)
