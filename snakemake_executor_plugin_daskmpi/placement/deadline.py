"""When the allocation ends: for which jobs there is time left, when to drain, when to end what still runs. Pure.

Runs on: rank 1.
"""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.rank import graces

if TYPE_CHECKING:
    from collections.abc import Callable

#: Of a short allocation, a fifth has to do for an end in order: in tests, that takes five seconds.
_CLEAN_UP_PART = 0.2
#: Seconds for which running jobs may go on while nothing starts any more, and their part of a short one; arbitrary.
_LET_END_S, _LET_END_PART = 30.0, 0.1
#: Seconds within which a time of day says enough.
_HALF_A_DAY_S = 12 * 3600
#: A run leaves so many times the duration of its own start for the planning of the next Slurm job, which also starts a
#: Snakemake and builds the DAG. Twice, since the node may have become slower.
_STARTS = 2.0


@dataclass(frozen=True, slots=True)
class Deadline:
    """The end of the allocation, on a clock that does not jump.

    >>> hour = Deadline(ends_at=3600, length_s=3600, said_by="Slurm", clock=lambda: 0)
    >>> hour.drains_in_s, hour.ends_jobs_in_s, hour.leaves_time_for(59), hour.leaves_time_for(60)
    (3540.0, 3570.0, True, False)
    >>> short = Deadline(ends_at=90, length_s=90, said_by="--daskmpi-deadline", clock=lambda: 0)
    >>> short.drains_in_s, short.ends_jobs_in_s
    (63.0, 72.0)
    """

    #: Seconds on the clock.
    ends_at: float
    #: Seconds of the whole allocation, as far as they are known.
    length_s: float
    #: Who says so, for messages.
    said_by: str
    #: Seconds that this run took to start.
    start_s: float = 0.0
    #: Whether the allocation also has to plan the next one.
    plans_next: bool = False
    clock: Callable[[], float] = time.monotonic

    @property
    def margin_s(self) -> float:
        """Seconds before the end by which no job may run any more."""
        planning_s = _STARTS * self.start_s if self.plans_next else 0.0
        return min(graces.ALLOCATION_S + planning_s, _CLEAN_UP_PART * self.length_s)

    @property
    def jobs_end_at(self) -> float:
        """When what still runs is ended."""
        return self.ends_at - self.margin_s

    @property
    def drains_in_s(self) -> float:
        """Seconds until nothing starts any more."""
        let_end_s = min(_LET_END_S, _LET_END_PART * self.length_s)
        return max(0.0, self.jobs_end_at - let_end_s - self.clock())

    @property
    def ends_jobs_in_s(self) -> float:
        """Seconds until what still runs is ended."""
        return max(0.0, self.jobs_end_at - self.clock())

    @property
    def left_min(self) -> float:
        """Minutes that a job may take which starts now."""
        return self.ends_jobs_in_s / 60

    @property
    def most_min(self) -> float:
        """Minutes that a job may take at most, if it starts as soon as a run like this one can start it."""
        return max(0.0, self.length_s - self.margin_s - self.start_s) / 60

    def is_asked_for_whole(self, runtime_min: float) -> bool:
        """Say whether a job asks for more than a whole such allocation leaves to jobs, but not for a longer one.

        A runtime is an upper bound, and often that of the partition: such a job gets what there is.
        """
        return self.most_min < runtime_min <= self.length_s / 60

    def leaves_time_for(self, runtime_min: float) -> bool:
        """Say whether a job that starts now ends before those that still run are ended."""
        return self.clock() + 60 * runtime_min <= self.jobs_end_at

    def end_text(self) -> str:
        """Return when the allocation ends, in words."""
        return f"the allocation ends at {self.end_time()} ({self.said_by})"

    def end_time(self) -> str:
        """Return when it ends, as a time of day; with the day if that is not near."""
        left_s = self.ends_at - self.clock()
        ends = dt.datetime.now().astimezone() + dt.timedelta(seconds=left_s)
        day = "" if left_s < _HALF_A_DAY_S else f"{ends:%Y-%m-%d} "
        return f"{day}{ends:%H:%M:%S}"
