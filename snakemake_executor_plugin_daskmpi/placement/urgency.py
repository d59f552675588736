"""What makes a job go before larger ones.

Runs on: rank 1. Pure.

Simulated (``tests/benchmark/packing.py``), workflows of chains reach 0.96 of what is possible with the chain before the
size, and 0.73 without.
"""

from __future__ import annotations

from typing import NamedTuple

#: Chains up to this length are told apart one by one, longer ones by their order of magnitude. Arbitrary.
_EXACT = 8


class Urgency(NamedTuple):
    """Higher goes first."""

    #: Snakemake's.
    priority: int = 0
    #: How long the chain of jobs is that waits for it, on a scale of few values: each value has shelves of its own.
    chain: int = 0

    @classmethod
    def of(cls, priority: int, n_behind: int) -> Urgency:
        """Return how urgent a job is.

        Parameters
        ----------
        n_behind
            Number of jobs in the longest chain that waits for it.

        >>> [Urgency.of(0, n).chain for n in (0, 1, 8, 9, 15, 16, 1000)]
        [0, 1, 8, 9, 9, 10, 15]
        """
        return cls(priority, n_behind if n_behind <= _EXACT else n_behind.bit_length() + 5)
