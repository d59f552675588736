"""How long the Slurm job of a plan may last, and should.

Runs on: the login node. Pure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snakemake_executor_plugin_daskmpi.planning.demand import Demand, Shape
    from snakemake_executor_plugin_daskmpi.slurm.site import Partition

#: The part of a walltime by which all jobs should have ended.
TIME_TO_USE = 0.8
#: Walltime per forecast makespan, where all rules state their runtime, where some have the mean of an earlier run, and
#: where some are not known at all; and for the start.
_MARGIN, _MARGIN_WHEN_RECORDED, _MARGIN_WHEN_ASSUMED, _START_MIN = 1.25, 1.5, 2.0, 2
#: The same for ranks 0 and 1 alone, and the least, in minutes. Arbitrary: they wait for workers that may wait in the
#: queue, take little of the site, and end with the run.
_MARGIN_ALONE, _LEAST_ALONE_MIN = 4.0, 60
#: Walltimes are multiples of so many minutes.
_STEP_MIN = 5


@dataclass(frozen=True, slots=True)
class Lifetime:
    """How long the Slurm job has to be there, and may be if all workers are in it."""

    #: The walltime that the user gives, in minutes; None if they leave it to the plan.
    asked_min: int | None
    #: Minutes of the longest chain of jobs.
    chain_min: float
    #: The jobs whose rule states the longest runtime.
    longest: Shape
    #: Of the partitions of its components, the one with the shortest limit.
    strictest: Partition

    @property
    def needed_min(self) -> float:
        """The minutes that it needs at least."""
        return self.asked_min or self.chain_min

    @property
    def can_be(self) -> bool:
        """Whether the partitions allow that."""
        return self.needed_min <= most_minutes(self.strictest)

    @property
    def can_begin(self) -> bool:
        """Whether the partitions allow that, or each single job at least, so that the rest can be left for later.

        A runtime is an upper bound, and a default one for all rules often that of the partition: a chain of such jobs
        may well end in the time of one. Who gives a walltime wants that, or none.
        """
        return self.can_be or (self.asked_min is None and self.job_min <= most_minutes(self.strictest))

    @property
    def job_min(self) -> int:
        """Minutes of the longest job, as far as rules say."""
        return self.longest.need.resources.runtime_min or 0

    @property
    def limit_min(self) -> int | None:
        """The minutes that it may have; None without a limit, or if the partitions do not allow what it needs."""
        return self.asked_min or (self.strictest.max_minutes if self.can_be else None)


def most_minutes(partition: Partition) -> float:
    """Return the longest walltime that a partition gives."""
    return float("inf") if partition.max_minutes is None else partition.max_minutes


def walltime_for(makespan_min: float, demand: Demand, limit_min: int | None = None) -> int:
    """Return the forecast with a margin, rounded up to five minutes, within the limit."""
    margin = _MARGIN_WHEN_RECORDED if demand.recorded_runtime else _MARGIN
    margin = _MARGIN_WHEN_ASSUMED if demand.assumed_runtime else margin
    return _rounded(makespan_min * margin + _START_MIN, limit_min)


def walltime_alone(makespan_min: float, limit_min: int | None = None) -> int:
    """Return the same for ranks 0 and 1 alone, whose workers come in further jobs.

    >>> walltime_alone(3), walltime_alone(61), walltime_alone(61, 200)
    (60, 245, 200)
    """
    return _rounded(max(makespan_min * _MARGIN_ALONE, _LEAST_ALONE_MIN), limit_min)


def _rounded(minutes: float, limit_min: int | None) -> int:
    walltime_min = math.ceil(minutes / _STEP_MIN) * _STEP_MIN
    return min(walltime_min, limit_min or walltime_min)
