"""What the jobs of a rule asked for, and what they used.

Runs on: the login node, or a laptop. Pure.

What was not measured is left out, never taken for nothing: jobs that were too short for the memory watch have no peak,
the tasks of an MPI program are watched on one of their nodes only, and of the members of a group nothing is known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.record.run_view import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from snakemake_executor_plugin_daskmpi.record.run_view import JobView, RunView

#: Seconds from which CPU time over duration says something of a job: starting one costs some 0.01 s, a spawned one 1 s.
MEASURABLE_S = 1.0
#: Outcomes of jobs that would have used more had they not been ended.
_CUT_SHORT_FOR_MEMORY, _CUT_SHORT_FOR_TIME = "out-of-memory", "timed-out"


@dataclass(slots=True)
class RuleUsage:
    """The jobs of one rule."""

    rule: str
    #: Ids of the runs in which some of its jobs were done. Those of a chain are one: no job is in two of them.
    runs: set[str] = field(default_factory=set)
    n_done: int = 0
    n_failed: int = 0
    is_group: bool = False
    #: Whether its jobs are MPI programs of several tasks.
    has_tasks: bool = False
    #: What first attempts asked for; 0 for what a rule does not say.
    asked_cores: set[int] = field(default_factory=set)
    #: What they were granted, which they can keep busy: less where no worker had as many, or a limit left less.
    granted_cores: set[int] = field(default_factory=set)
    asked_mem_mb: set[int] = field(default_factory=set)
    asked_runtime_min: set[int] = field(default_factory=set)
    #: How long jobs took that are done, and how long others had taken when they were ended for the time.
    seconds: list[float] = field(default_factory=list)
    cut_at_s: list[float] = field(default_factory=list)
    #: Peaks of jobs that are done: PSS, in which what is shared counts once, None where it was not read; and RSS.
    measured_mb: list[tuple[float | None, float]] = field(default_factory=list)
    #: Peaks of others when they were ended for their memory.
    cut_at_mb: list[float] = field(default_factory=list)
    #: Cores that jobs kept busy in the mean of their time, of those that took :data:`MEASURABLE_S`.
    busy_cores: list[float] = field(default_factory=list)

    @property
    def peaks_mb(self) -> list[float]:
        """The peaks of jobs that are done, as PSS where that can be told.

        Where the watch had no time to weigh a job, its RSS has what it shares with its worker in it. That is about the
        same for all jobs of a rule, so what others' RSS is more than their PSS is taken off, less rather than more.
        """
        shared = [rss - pss for pss, rss in self.measured_mb if pss is not None]
        off = max(0.0, quantile(shared, 0.25)) if shared else 0.0
        return [max(1.0, rss - off) if pss is None else pss for pss, rss in self.measured_mb]

    @property
    def kind_of_peaks(self) -> str:
        """By what memory was measured."""
        n_rss = sum(pss is None for pss, _ in self.measured_mb)
        if n_rss == len(self.measured_mb):
            return "RSS"
        return f"PSS, {n_rss} estimated from RSS" if n_rss else "PSS"

    def take(self, job: JobView, run_id: str) -> None:
        """Take in one attempt of a job."""
        asks = job.asked
        self.is_group |= bool(job.members)
        self.has_tasks |= asks.get("tasks", 1) > 1
        if job.attempt == 1 and not job.again_of:
            self.asked_cores.add(asks.get("cores", 1))
            self.asked_mem_mb.add(asks.get("mem_mb", 0))
            self.asked_runtime_min.add(asks.get("runtime_min") or 0)
            self.granted_cores.add(job.n_cores)
        seconds = job.seconds
        pss_mb, rss_mb = (float(job.ended.get(name) or 0) for name in ("peak_pss_mb", "peak_rss_mb"))
        if job.state is not State.DONE or seconds is None:
            self.n_failed += job.state is State.FAILED
            if job.outcome == _CUT_SHORT_FOR_MEMORY and (pss_mb or rss_mb):
                self.cut_at_mb.append(pss_mb or rss_mb)
            if job.outcome == _CUT_SHORT_FOR_TIME and seconds:
                self.cut_at_s.append(seconds)
            return
        self.n_done += 1
        self.runs.add(run_id)
        self.seconds.append(seconds)
        if pss_mb or rss_mb:
            self.measured_mb.append((pss_mb or None, rss_mb or pss_mb))
        if seconds >= MEASURABLE_S:
            # A body that only waits has used less than the record writes down.
            self.busy_cores.append(job.ended.get("cpu_s", 0.0) / seconds)


def usages_of(views: Iterable[RunView]) -> list[RuleUsage]:
    """Return what the rules of some runs used, by name."""
    usages: dict[str, RuleUsage] = {}
    for view in views:
        for job in view.jobs.values():
            usages.setdefault(job.rule, RuleUsage(job.rule)).take(job, view.first_run)
    return [usages[rule] for rule in sorted(usages)]


def mean_minutes_of(view: RunView) -> dict[str, float]:
    """Return how long the jobs of each rule took in the mean, of those that are done."""
    return {
        usage.rule: sum(usage.seconds) / len(usage.seconds) / 60
        for usage in usages_of([view])
        if usage.seconds and not usage.is_group
    }


def quantile(values: Sequence[float], part: float) -> float:
    """Return the least of some values that so large a part of them does not exceed.

    >>> [quantile([3, 1, 2, 4], part) for part in (0.5, 0.75, 0.95)]
    [2, 3, 4]
    """
    return sorted(values)[max(0, math.ceil(part * len(values)) - 1)]
