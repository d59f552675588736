"""Amounts that stay the same from one moment to another, and their means over bins of time.

Runs on: wherever somebody asks for a report. Pure.
"""

from __future__ import annotations


class Steps:
    """A sum of amounts, each of which counts from a begin to an end.

    >>> steps = Steps()
    >>> steps.add(0.0, 10.0, 4)
    >>> steps.add(5.0, 10.0, 2)
    >>> steps.means(0.0, 20.0, 4), steps.total
    ([4.0, 6.0, 0.0, 0.0], 50.0)
    """

    def __init__(self) -> None:
        self._changes: list[tuple[float, float]] = []
        #: Amount times seconds.
        self.total = 0.0

    def add(self, begin: float, end: float, amount: float = 1.0) -> None:
        """Let an amount count from a begin to an end, in seconds."""
        if amount and end > begin:
            self._changes += ((begin, amount), (end, -amount))
            self.total += amount * (end - begin)

    def means(self, begin: float, end: float, n_bins: int) -> list[float]:
        """Return the mean in each of so many bins of equal width, exact however short an amount counts."""
        width = (end - begin) / n_bins
        means = [0.0] * n_bins
        if width <= 0:
            return means
        level, since = 0.0, begin
        for at, change in [*sorted(self._changes), (end, 0.0)]:
            until = min(max(at, begin), end)
            _spread(means, (since - begin) / width, (until - begin) / width, level)
            level, since = level + change, max(since, until)
        # Sums of many parts, whose last digits mean nothing.
        return [round(mean, 4) for mean in means]


def _spread(means: list[float], first: float, last: float, level: float) -> None:
    """Add a level to the bins from one position to another, in proportion to what it covers of each."""
    at = int(first)
    while at < len(means) and at < last:
        means[at] += level * (min(last, at + 1) - max(first, at))
        at += 1
