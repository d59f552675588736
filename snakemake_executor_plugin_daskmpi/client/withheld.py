"""Outcomes that may be the first sign that all processes of a run are being ended: they are reported a moment later.

Runs on: rank 1. Pure but for the clock.

If all are, the jobs have not failed, and this process ends in that moment, too.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.client.actions import Report
from snakemake_executor_plugin_daskmpi.messages import JobOutcome, OutcomeKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from snakemake_executor_plugin_daskmpi.client.job import Job

#: Seconds within which a launcher, or Slurm, ends all processes of a run; arbitrary.
_END_SPREADS_S = 1.0


@dataclass(slots=True)
class Withheld:
    """The outcomes that are reported later, unless all is over by then.

    Parameters
    ----------
    is_world, is_slurm_step
        See :class:`RunState`.
    """

    is_world: bool
    is_slurm_step: bool
    clock: Callable[[], float]
    _reports: list[tuple[float, Report]] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Say whether there are any."""
        return bool(self._reports)

    def next_in_s(self) -> float | None:
        """Return in how many seconds the next one is due; None if there is none."""
        return self._reports[0][0] - self.clock() if self._reports else None

    def report(self, job: Job, outcome: JobOutcome) -> list[Report]:
        """Report an outcome now, or withhold it."""
        by_sigterm = self.is_slurm_step and outcome.signal == signal.SIGTERM
        if not by_sigterm and not (self.is_world and outcome.kind is OutcomeKind.LOST):
            return [Report(job, outcome)]
        self._reports.append((self.clock() + _END_SPREADS_S, Report(job, outcome)))
        return []

    def due(self) -> list[Report]:
        """Report what was withheld for long enough."""
        now = self.clock()
        due = [report for when, report in self._reports if when <= now]
        self._reports = self._reports[len(due) :]
        return due
