"""What asks a run to start nothing any more.

Runs on: rank 1.
"""

from __future__ import annotations

from enum import Enum


class Drains(Enum):
    """What asks a run to start nothing any more."""

    SIGUSR1 = "SIGUSR1 was received"
    SIGTERM = "SIGTERM was received"
    DEADLINE = "the allocation ends"
    #: Without ``--keep-going``.
    FAILURE = "a job has failed"

    def text(self, why: str, running: int) -> str:
        """Return what the user is told.

        Parameters
        ----------
        why
            In words.
        running
            Number of jobs that run.
        """
        ends = f"{running} running one{'s' * (running != 1)} may end" if running else "none runs"
        again = " A second SIGTERM ends them." if running and self is Drains.SIGTERM else ""
        return f"{why}: no further jobs start, {ends}.{again}"
