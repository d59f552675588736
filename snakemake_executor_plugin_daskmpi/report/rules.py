"""What the jobs of each rule asked for, and what they used.

The jobs of a group count as jobs of their rules. What the group asked for and used nobody can tell apart by rule, and
stays in a row of its own.

Runs on: wherever somebody asks for a report. Pure.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.record.run_view import State
from snakemake_executor_plugin_daskmpi.report.history import LOST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from snakemake_executor_plugin_daskmpi.record.run_view import JobView
    from snakemake_executor_plugin_daskmpi.report.history import RunHistory


#: Of peaks, by whether some are PSS, and whether some are RSS.
_KINDS = {(True, False): "pss", (False, True): "rss", (True, True): "mixed", (False, False): None}


@dataclass(frozen=True, slots=True)
class RuleFigures:
    """The jobs of one rule, or of all groups of one name. What is not known, or was not asked for, is None."""

    #: Or of the group.
    rule: str
    #: If so, all numbers of jobs are 0: those are in the rows of their rules.
    is_group: bool
    #: In the DAG.
    n_jobs: int
    n_done: int
    n_failed: int
    #: Attempts after the first one of a job; an attempt of a group is one of each of its jobs. What was ended since its
    #: worker's time was over runs again in the same attempt.
    n_retries: int
    #: Attempts whose worker died.
    n_lost: int
    #: Hours that cores were theirs.
    core_h: float
    #: The most that one asked for.
    cores_asked: int | None
    #: The least that one had that was granted less than it asked for; None if none was.
    cores_granted: int | None
    #: CPU seconds by seconds, of all attempts that ended together.
    cores_used: float | None
    mem_asked_mb: int | None
    #: As :attr:`cores_granted`.
    mem_granted_mb: int | None
    #: Peaks of the attempts that were looked at: of each PSS where that is known, else RSS, which is no less.
    mem_median_mb: float | None
    mem_max_mb: float | None
    #: What these peaks are: "pss", "rss", or "mixed" if some are the one and some the other.
    mem_kind: str | None
    #: Whether a peak known as PSS is more than what was asked for, or granted.
    mem_is_over: bool
    runtime_asked_s: int | None
    #: Of jobs that are done.
    runtime_median_s: float | None
    runtime_p95_s: float | None
    runtime_max_s: float | None

    @property
    def label(self) -> str:
        """Its name among those of all rows."""
        return label_of(self.rule, is_group=self.is_group)


@dataclass(slots=True)
class _Numbers:
    """How many jobs of a rule there are."""

    n_jobs: int = 0
    n_done: int = 0
    n_failed: int = 0
    n_retries: int = 0
    n_lost: int = 0


def label_of(rule: str, *, is_group: bool) -> str:
    """Return a name that tells a group from the rule that it may be called after.

    >>> label_of("a", is_group=False), label_of("a", is_group=True)
    ('a', 'a (group)')
    """
    return f"{rule} (group)" if is_group else rule


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
    numbers = _numbers(history)
    attempts: dict[tuple[str, bool], list[JobView]] = {(rule, False): [] for rule in numbers}
    for job in history.jobs.values():
        attempts.setdefault((job.rule, bool(job.members)), []).append(job)
    figures = [
        _figures(history, rule, jobs, None if is_group else numbers[rule])
        for (rule, is_group), jobs in attempts.items()
    ]
    return sorted(figures, key=lambda each: (-each.core_h, each.label))


def _numbers(history: RunHistory) -> dict[str, _Numbers]:
    """Return how many jobs each rule has, counted as the view counts them."""
    counts = history.counts()
    left = history.n_not_ready(counts)
    numbers = {
        rule: _Numbers(counter.total() + left.get(rule, 0), counter[State.DONE], counter[State.FAILED])
        for rule, counter in counts.items()
    }
    seen = set[int | str]()
    for job in history.jobs.values():
        for rule, number in job.n_by_rule.items():
            # Of a group whose next attempt has other members, some may be in no last attempt.
            its = numbers.setdefault(rule, _Numbers())
            its.n_retries += number * (job.jobid in seen and not job.again_of)
            its.n_lost += number * (job.outcome == LOST)
        seen.add(job.jobid)
    return numbers


def _figures(history: RunHistory, rule: str, jobs: list[JobView], numbers: _Numbers | None) -> RuleFigures:
    """Return the figures of a rule, or of the groups of a name, of which there are no numbers."""
    ran = [(job, end - begin) for job in jobs if (span := history.running_of(job)) for begin, end in [span]]
    measured = [(float(job.ended["cpu_s"]), seconds) for job, seconds in ran if job.ended.get("cpu_s")]
    cpu_of_s = sum(seconds for _, seconds in measured)
    peaks = {exact: [p for job in jobs if job.is_peak_exact is exact and (p := job.peak_mb)] for exact in (True, False)}
    all_peaks = [*peaks[True], *peaks[False]]
    mem_asked_mb, mem_granted_mb = _most_asked(jobs, "mem_mb"), _least_granted(jobs, "mem_mb")
    mem_mb = mem_asked_mb if mem_granted_mb is None else mem_granted_mb
    done_s = [seconds for job in jobs if job.state is State.DONE and (seconds := job.seconds) is not None]
    # One that runs again is given the time that it has taken at least, which nobody has asked for.
    runtime_min = _most_asked([job for job in jobs if not job.again_of], "runtime_min")
    return RuleFigures(
        rule=rule,
        is_group=numbers is None,
        **asdict(numbers or _Numbers()),
        core_h=sum(history.cores_of(job) * seconds for job, seconds in ran) / 3600,
        cores_asked=max((int(job.asked.get("cores", 1)) for job in jobs), default=None),
        cores_granted=_least_granted(jobs, "cores"),
        cores_used=sum(cpu for cpu, _ in measured) / cpu_of_s if cpu_of_s else None,
        mem_asked_mb=mem_asked_mb,
        mem_granted_mb=mem_granted_mb,
        mem_median_mb=percentile(all_peaks, 0.5),
        mem_max_mb=max(all_peaks, default=None),
        mem_kind=_KINDS[bool(peaks[True]), bool(peaks[False])],
        mem_is_over=mem_mb is not None and max(peaks[True], default=0.0) > mem_mb,
        runtime_asked_s=None if runtime_min is None else 60 * runtime_min,
        runtime_median_s=percentile(done_s, 0.5),
        runtime_p95_s=percentile(done_s, 0.95),
        runtime_max_s=max(done_s, default=None),
    )


def _most_asked(jobs: list[JobView], name: str) -> int | None:
    return max((int(job.asked[name]) for job in jobs if job.asked.get(name)), default=None)


def _least_granted(jobs: list[JobView], name: str) -> int | None:
    """Return the least of what those were granted that were granted less than they asked for; None if none was."""
    return min((int(job.asks.get(name, 1)) for job in jobs if name in job.wish), default=None)
