"""How many cores all jobs together may take, on all workers: Snakemake's ``--cores``.

Runs on: rank 1. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snakemake_executor_plugin_daskmpi.placement.shelves import Pile, Shelves
    from snakemake_executor_plugin_daskmpi.resources import JobResources


class CoreLimit:
    """Counts the cores that jobs have; without a limit, it allows all."""

    def __init__(self, cores: int | None) -> None:
        self._cores = cores
        self._taken = 0

    @property
    def is_set(self) -> bool:
        """Whether there is a limit."""
        return self._cores is not None

    @property
    def left(self) -> int:
        """How many cores the limit leaves; none without one."""
        return max(0, (self._cores or 0) - self._taken)

    def allows(self, pile: Pile, waiting: Shelves) -> bool:
        """Say whether a job may start now.

        A job that aged so much that a worker is reserved for it has its cores held back here, too. A job that asks
        for more than the limit runs alone.

        Parameters
        ----------
        waiting
            All jobs that wait.
        """
        counted = counted_cores(pile.request)
        if self._cores is None or not counted:
            return True
        aged = (counted_cores(s.request) for s in waiting.piles if s.reserved and s.rank < pile.rank)
        return counted + self._taken + max(aged, default=0) <= self._cores or not self._taken

    def take(self, request: JobResources) -> None:
        """Note that a job starts."""
        self._taken += counted_cores(request)

    def give_back(self, request: JobResources) -> None:
        """Note that a job has ended."""
        self._taken -= counted_cores(request)


def counted_cores(request: JobResources) -> int:
    """Return how many cores of a limit a job takes."""
    return max(request.cores, request.counted_cores)
