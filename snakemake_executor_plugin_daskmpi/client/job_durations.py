"""How long jobs take, and so how many of them a worker should have in advance. Pure.

Runs on: rank 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Work that is sent ahead, in seconds: about the time in which rank 1 answers when it is busy. So much may
#: be lost at the end of a run, where an idle worker could have had it.
_AHEAD_S, _MAX_AHEAD = 0.1, 16


class Durations:
    """How long jobs of a kind take, and so how many are worth sending ahead."""

    def __init__(self) -> None:
        #: By kind.
        self._mean_s: dict[str, float] = {}
        self._longest_s: dict[str, float] = {}

    def note(self, kind: str, duration_s: float) -> None:
        """Take in the duration of a job, in seconds; the last ones count most.

        A negative duration means that a clock was set back, and is ignored: with it, jobs would queue behind long ones.

        >>> durations = Durations()
        >>> durations.note("think", 60.0), durations.note("think", -3600.0)
        (None, None)
        >>> durations.jobs_ahead("think")
        0
        """
        if duration_s < 0:
            return
        self._longest_s[kind] = max(duration_s, self._longest_s.get(kind, 0.0))
        self._mean_s[kind] = duration_s + 0.7 * (self._mean_s.get(kind, duration_s) - duration_s)

    @property
    def kinds(self) -> Iterable[str]:
        """The kinds of which a job has ended."""
        return self._mean_s.keys()

    def expected_s(self, kind: str) -> float | None:
        """Return how long a job of a kind takes on average, in seconds; None if none has ended yet."""
        return self._mean_s.get(kind)

    def longest_s(self, kind: str) -> float:
        """Return how long the longest job of a kind took, in seconds; 0 if none has ended yet.

        >>> durations = Durations()
        >>> durations.note("think", 60.0), durations.note("think", 20.0)
        (None, None)
        >>> durations.longest_s("think"), durations.expected_s("think"), durations.expected_s("unknown")
        (60.0, 48.0, None)
        """
        return self._longest_s.get(kind, 0.0)

    def jobs_ahead(self, kind: str) -> int:
        """Return how many further jobs of a kind may wait on a worker for one to end.

        >>> durations = Durations()
        >>> durations.note("blink", 0.02), durations.note("think", 60.0)
        (None, None)
        >>> durations.jobs_ahead("blink"), durations.jobs_ahead("think"), durations.jobs_ahead("unknown")
        (5, 0, 0)
        """
        return min(int(_AHEAD_S / max(self._mean_s.get(kind, _AHEAD_S * 2), 0.001)), _MAX_AHEAD)
