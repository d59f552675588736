"""When to ask Slurm for a further job again, after it was refused, or has failed.

Runs on: rank 1. Pure but for the clock.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds until the next try; arbitrary.
_PAUSE_S = 60.0
#: After so many failures in turn, there is no next try.
_MOST_FAILURES = 3


@dataclass(slots=True)
class Patience:
    """How often it went wrong in turn, and when to try again."""

    clock: Callable[[], float] = time.monotonic
    _n_failures: int = 0
    _not_before: float = 0.0

    @property
    def is_over(self) -> bool:
        """Whether there is no next try."""
        return self._n_failures >= _MOST_FAILURES

    @property
    def may_try(self) -> bool:
        """Whether it is time for one."""
        return not self.is_over and self.clock() >= self._not_before

    def on_success(self) -> None:
        """Start anew: a further job has joined."""
        self._n_failures = 0

    def on_failure(self) -> bool:
        """Note that one was refused, or ended before it had joined; say whether that was the last try."""
        self._n_failures += 1
        self.wait()
        return self._n_failures == _MOST_FAILURES

    def wait(self) -> None:
        """Let some time go by until the next try."""
        self._not_before = self.clock() + _PAUSE_S
