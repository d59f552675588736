"""How fast a run goes, and when it may end, if there is a basis to say so.

Runs on: wherever somebody looks at a run.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from snakemake_executor_plugin_daskmpi.record.job_view import State
from snakemake_executor_plugin_daskmpi.view.times import span

if TYPE_CHECKING:
    from snakemake_executor_plugin_daskmpi.record.run_view import RunView

#: The rate is that of so many seconds.
WINDOW_S = 300.0
#: Rules that are named.
_NAMED = 3


class Rate(NamedTuple):
    """How many jobs were done lately."""

    jobs: int
    in_s: float

    @property
    def per_minute(self) -> float:
        """Jobs a minute."""
        return 60 * self.jobs / self.in_s if self.in_s > 0 else 0.0


class Estimate(NamedTuple):
    """When a run may end: seconds from now, None if there is no basis; and on what basis, or why there is none."""

    in_s: float | None
    basis: str


def rate_of(view: RunView, now: float) -> Rate:
    """Return the rate of the last minutes, or since the start."""
    since = max(view.started_at, now - WINDOW_S)
    done = [job for job in view.in_state(State.DONE) if since <= (job.ended_at or 0.0)]
    return Rate(sum(sum(job.n_by_rule.values()) for job in done), max(0.0, now - since))


def estimate_of(view: RunView, now: float) -> Estimate:
    """Return when a run that goes on may end.

    What is left takes what jobs of the same rules have taken so far, on as many cores as are busy now. That the longest
    chain of jobs may take longer it does not know.
    """
    if view.drain:
        return Estimate(None, "the run drains")
    if not view.n_by_rule:
        return Estimate(None, "it is not known yet how many jobs there are")
    seconds, cores = _means(view)
    left, running = _left(view), view.in_state(State.RUNNING)
    unknown = sorted({*left, *(job.rule for job in running)} - set(seconds))
    if unknown:
        names = ", ".join(unknown[:_NAMED]) + (" and others" if len(unknown) > _NAMED else "")
        return Estimate(None, f"no job of {names} has ended yet")
    busy = sum(max(1, job.n_cores) for job in running)
    if not busy:
        return Estimate(None, "nothing runs")
    work = sum(number * seconds[rule] * cores.get(rule, 1) for rule, number in left.items())
    longest = 0.0
    for job in running:
        rest = max(0.0, seconds.get(job.rule, 0.0) - (now - (job.started_at or now)))
        work += rest * max(1, job.n_cores)
        longest = max(longest, rest)
    basis = f"if jobs take as long as those of their rules so far, on the {busy} cores that are busy now"
    return Estimate(max(longest, work / busy), basis)


def estimate_text(estimate: Estimate) -> str:
    """Return an estimate in words."""
    if estimate.in_s is None:
        return f"no estimate: {estimate.basis}"
    return f"ends in about {span(estimate.in_s)}, {estimate.basis}"


def _left(view: RunView) -> dict[str, int]:
    """Return how many jobs (groups of them as one, where they are handed over) wait by rule; running ones do not."""
    left = defaultdict(int, view.n_not_ready())
    for job in view.in_state(State.WAITING, State.SENT):
        left[job.rule] += 1
    return left


def _means(view: RunView) -> tuple[dict[str, float], dict[str, float]]:
    """Return how long the jobs of each rule that are done took, and on how many cores, in the mean."""
    number: defaultdict[str, int] = defaultdict(int)
    seconds: defaultdict[str, float] = defaultdict(float)
    cores: defaultdict[str, int] = defaultdict(int)
    for job in view.in_state(State.DONE):
        if (took := job.seconds) is not None:
            number[job.rule] += 1
            seconds[job.rule] += took
            cores[job.rule] += max(1, job.n_cores)
    return {rule: seconds[rule] / n for rule, n in number.items()}, {
        rule: cores[rule] / n for rule, n in number.items()
    }
