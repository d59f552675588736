"""What Slurm counted of a job.

Runs on: wherever somebody asks for a report. Pure.
Called by: accounting, which asks; sacct, which reads the answers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Seconds by which the clocks of a cluster may differ.
_SLACK_S = 60.0


class AskedJob(NamedTuple):
    """A Slurm job to ask about."""

    #: Of a hetjob, that of its first component.
    id: str
    #: Its cluster, "" for the one that is here.
    cluster: str
    #: Seconds since the epoch when it ran: ids are given out again, and jobs are requeued.
    at: float
    #: Whether it seems to run still.
    goes_on: bool


@dataclass(frozen=True, slots=True)
class Counted:
    """What Slurm counted of a job, or of a component of a hetjob; None for what it does not say."""

    #: Its id as Slurm's programs take it, ``12+1`` for a component.
    job: str
    #: Number of the component, None outside of a hetjob.
    het_group: int | None
    #: Slurm's word.
    state: str
    #: Id of the user who cancelled it.
    cancelled_by: int | None
    exit_code: int | None
    signal: int | None
    #: In Slurm's notation.
    nodes: str
    #: Of a job that was requeued, when it was.
    submitted_at: float | None
    started_at: float | None
    #: None while it runs.
    ended_at: float | None
    #: From submission to start.
    waited_s: float | None
    elapsed_s: float | None
    timelimit_s: float | None
    #: Threads of cores, where Slurm counts these.
    n_cpus: int | None
    mem_mb: float | None
    n_gpus: int | None
    #: CPU time of all its steps, so far if it runs.
    cpu_s: float | None = None
    #: The most that one task of a step had; each of our ranks is a task.
    max_rss_mb: float | None = None
    #: Of its nodes; of the step that has the most where the site counts it for steps alone.
    energy_j: float | None = None

    @property
    def cpu_efficiency(self) -> float | None:
        """CPU time by the time for which it had its CPUs."""
        had_s = (self.n_cpus or 0) * (self.elapsed_s or 0)
        return None if self.cpu_s is None or not had_s else self.cpu_s / had_s


class Usage(NamedTuple):
    """What a step used, or has used so far."""

    cpu_s: float
    max_rss_mb: float | None
    energy_j: float | None = None


class Step(NamedTuple):
    """Which step it is."""

    #: Without offset, as ``13.batch``.
    id: str
    #: With these it is not taken for one of another cluster: ``sstat`` tells of the one that is here.
    nodes: str


class Life(NamedTuple):
    """A job, or a component of one, from a start to its end."""

    counted: Counted
    #: Its id without offset: the components of job 12 are mostly 12, 13, 14.
    number: str
    #: None if their use is not known: they run, or their node was lost. Empty if nobody has told of steps.
    steps: dict[Step, Usage | None]

    def is_of(self, job: AskedJob) -> bool:
        """Say whether it is of a job that is asked about, and of that time."""
        own = self.number if self.counted.het_group is None else self.counted.job.partition("+")[0]
        return own == job.id and self.seconds_from(job.at) <= _SLACK_S

    def seconds_from(self, at: float) -> float:
        """Return by how much it missed a moment; 0 if it was alive."""
        began, ended = self.counted.started_at, self.counted.ended_at
        return float("inf") if began is None else max(began - at, 0.0 if ended is None else at - ended, 0.0)


def lives_then(job: AskedJob, lives: Iterable[Life]) -> list[Life]:
    """Return the components of a job that ran when it is known to have run, in their order."""
    found: dict[int, Life] = {}
    for life in lives:
        component = life.counted.het_group or 0
        other = found.get(component)
        if life.is_of(job) and (other is None or life.seconds_from(job.at) <= other.seconds_from(job.at)):
            found[component] = life
    return [found[component] for component in sorted(found)]


def with_use(life: Life, usages: Mapping[Step, Usage]) -> Counted:
    """Return what was counted of a job or component, with what its steps used if that is known of all of them.

    Parameters
    ----------
    usages
        Of steps that run, of any job.
    """
    steps = dict(life.steps)
    if life.counted.ended_at is None:
        own = {step: use for step, use in usages.items() if step.id.partition(".")[0] == life.number}
        steps |= {step: use for step, use in own.items() if step in steps or not life.steps}
    known = [use for use in steps.values() if use is not None]
    peaks = [use.max_rss_mb for use in known if use.max_rss_mb]
    # Each step has all of the energy of its nodes: these are no parts of a sum.
    energies = [life.counted.energy_j, *(use.energy_j for use in known)]
    # Where nobody gathers anything, all is 0.
    is_counted = len(known) == len(steps) and (peaks or any(use.cpu_s for use in known))
    return replace(
        life.counted,
        cpu_s=sum(use.cpu_s for use in known) if is_counted else None,
        max_rss_mb=max(peaks, default=None),
        energy_j=max((energy for energy in energies if energy), default=None),
    )
