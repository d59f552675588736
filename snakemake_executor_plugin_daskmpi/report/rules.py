"""What the jobs of each rule asked for, and what they used.

Runs on: wherever somebody asks for a report. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.record.run_view import State
from snakemake_executor_plugin_daskmpi.report.history import LOST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from snakemake_executor_plugin_daskmpi.record.run_view import JobView
    from snakemake_executor_plugin_daskmpi.report.history import RunHistory


@dataclass(frozen=True, slots=True)
class RuleFigures:
    """The jobs of one rule. What is not known, or was not asked for, is None."""

    rule: str
    #: In the DAG.
    n_jobs: int
    n_done: int
    n_failed: int
    #: Attempts after the first one of a job.
    n_retries: int
    #: Attempts whose worker died.
    n_lost: int
    #: Hours that cores were theirs.
    core_h: float
    #: The most that one asked for.
    cores_asked: int | None
    #: CPU seconds by seconds, of all attempts that ended together.
    cores_used: float | None
    mem_asked_mb: int | None
    #: Peaks of the attempts that were looked at; RSS counts shared pages for each process.
    mem_median_mb: float | None
    mem_max_mb: float | None
    runtime_asked_s: int | None
    #: Of jobs that are done.
    runtime_median_s: float | None
    runtime_p95_s: float | None
    runtime_max_s: float | None


def percentile(values: Sequence[float], share: float) -> float | None:
    """Return the value below which a share of the values lies, between two of them in proportion; None of none.

    >>> percentile([4.0, 1.0, 3.0, 2.0], 0.5), percentile([10.0], 0.95), percentile([], 0.5)
    (2.5, 10.0, None)
    """
    if not values:
        return None
    ordered = sorted(values)
    at = share * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (at - low) * (ordered[high] - ordered[low])


def rule_figures(history: RunHistory) -> list[RuleFigures]:
    """Return the figures of each rule, that first which had cores for the longest."""
    attempts: dict[str, list[JobView]] = {rule: [] for rule in history.n_by_rule}
    for job in history.jobs.values():
        attempts.setdefault(job.rule, []).append(job)
    figures = [_figures(history, rule, jobs) for rule, jobs in attempts.items()]
    return sorted(figures, key=lambda each: (-each.core_h, each.rule))


def _figures(history: RunHistory, rule: str, jobs: list[JobView]) -> RuleFigures:
    last = {job.jobid: job for job in jobs}
    ran = [(job, end - begin) for job in jobs if (span := history.running_of(job)) for begin, end in [span]]
    measured = [(float(job.ended["cpu_s"]), seconds) for job, seconds in ran if job.ended.get("cpu_s")]
    cpu_of_s = sum(seconds for _, seconds in measured)
    peaks = [float(peak) for job in jobs if (peak := job.ended.get("peak_rss_mb"))]
    done_s = [seconds for job in jobs if job.state is State.DONE and (seconds := job.seconds) is not None]
    runtime_min = _most_asked(jobs, "runtime_min")
    return RuleFigures(
        rule=rule,
        n_jobs=max(history.n_by_rule.get(rule, 0), len(last)),
        n_done=sum(job.state is State.DONE for job in last.values()),
        n_failed=sum(job.state is State.FAILED for job in last.values()),
        n_retries=len(jobs) - len(last),
        n_lost=sum(job.outcome == LOST for job in jobs),
        core_h=sum(history.cores_of(job) * seconds for job, seconds in ran) / 3600,
        cores_asked=max((job.n_cores for job in jobs), default=None),
        cores_used=sum(cpu for cpu, _ in measured) / cpu_of_s if cpu_of_s else None,
        mem_asked_mb=_most_asked(jobs, "mem_mb"),
        mem_median_mb=percentile(peaks, 0.5),
        mem_max_mb=max(peaks, default=None),
        runtime_asked_s=None if runtime_min is None else 60 * runtime_min,
        runtime_median_s=percentile(done_s, 0.5),
        runtime_p95_s=percentile(done_s, 0.95),
        runtime_max_s=max(done_s, default=None),
    )


def _most_asked(jobs: list[JobView], name: str) -> int | None:
    return max((int(job.asks[name]) for job in jobs if job.asks.get(name)), default=None)
