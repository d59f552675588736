"""What keeps a run from growing: what the user is told of it, and when it is tried again.

Runs on: rank 1. Pure but for the clock.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from snakemake_executor_plugin_daskmpi.settings.durations import duration_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from snakemake_executor_plugin_daskmpi.slurm.plan import Plan

#: Seconds until the next try; arbitrary.
_PAUSE_S = 60.0
#: After so many failures in turn, there is no next try.
_MOST_FAILURES = 3


class Say(Protocol):
    """Tells the user."""

    def __call__(self, text: str, *, is_warning: bool = False) -> None:
        """Tell something."""


@dataclass(slots=True)
class Setbacks:
    """Refusals, failures and long waits of one run; the same is said once."""

    say: Say
    clock: Callable[[], float] = time.monotonic
    _told: set[str] = field(default_factory=set)
    _n_failures: int = 0
    _not_before: float = 0.0

    @property
    def are_final(self) -> bool:
        """Whether there is no next try."""
        return self._n_failures >= _MOST_FAILURES

    @property
    def let_try(self) -> bool:
        """Whether it is time for one."""
        return not self.are_final and self.clock() >= self._not_before

    def on_success(self) -> None:
        """Start anew: a further job has joined."""
        self._n_failures = 0

    def on_refusal(self, error: Exception) -> None:
        """Take note that there is no job, and why."""
        text = f"no further Slurm job: {error}"
        self.on_failure("" if text in self._told else text)
        self._told.add(text)

    def on_failure(self, text: str) -> None:
        """Take note of a refusal, or that a job ended before it had joined."""
        if text:
            self.say(text, is_warning=True)
        self._n_failures += 1
        self._wait()
        if self._n_failures == _MOST_FAILURES:
            text = "no further Slurm jobs: several in turn were refused, or ended before they had joined."
            self.say(text, is_warning=True)

    def on_long_wait(self, plan: Plan, wait_min: float, takes_min: float) -> None:
        """Take note that a job would come too late.

        Parameters
        ----------
        wait_min
            In how many minutes it would start.
        takes_min
            How many minutes what waits takes without it.
        """
        self._wait()
        place = plan.components[0].partition
        if place not in self._told:
            self._told.add(place)
            when = f"it would start in {duration_text(wait_min)}, and what waits is done in {duration_text(takes_min)}"
            self.say(f"no further Slurm job in partition {place} now: {when}.")

    def _wait(self) -> None:
        """Let some time go by until the next try."""
        self._not_before = self.clock() + _PAUSE_S
