"""What Slurm counted of the jobs that a run was in, beside what the run's record has of the same.

Runs on: wherever somebody asks for a report.
Called by: verb.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.record.liveness import Life
from snakemake_executor_plugin_daskmpi.slurm.accounting import ask_counts
from snakemake_executor_plugin_daskmpi.slurm.counted import AskedJob

if TYPE_CHECKING:
    from collections.abc import Sequence

    from snakemake_executor_plugin_daskmpi.report.history import RunHistory
    from snakemake_executor_plugin_daskmpi.slurm.accounting import Told
    from snakemake_executor_plugin_daskmpi.slurm.counted import Counted


@dataclass(frozen=True, slots=True)
class RecordedFigures:
    """What the record of a run has of the workers of a component, and of the jobs that ran there."""

    n_workers: int
    offered_core_h: float
    granted_core_h: float
    #: That jobs computed; those that have ended.
    cpu_core_h: float
    #: The most memory that one job had; RSS where PSS was not looked at.
    job_peak_mb: float | None


@dataclass(frozen=True, slots=True)
class ComponentFigures:
    """A component of a hetjob, or a job that is none."""

    counted: Counted
    #: CPU time by the time for which it had its CPUs, as Slurm counted both.
    cpu_efficiency: float | None
    recorded: RecordedFigures


@dataclass(frozen=True, slots=True)
class AllocationFigures:
    """The Slurm job that a run was in, and further ones that it had, with all that ran there."""

    components: list[ComponentFigures]
    #: Why there are none, or not those of all jobs; "" if there are.
    why_not_all: str


def allocations_of(histories: Sequence[RunHistory]) -> list[AllocationFigures | None]:
    """Ask Slurm about the jobs of some runs, for some seconds at most; None for those outside of Slurm."""
    asked = [_asked(history) for history in histories]
    told = iter(ask_counts([job for jobs in asked for job in jobs.values()]))
    return [
        _figures(history, {allocation: next(told) for allocation in jobs}) if jobs else None
        for history, jobs in zip(histories, asked, strict=True)
    ]


def _asked(history: RunHistory) -> dict[str, AskedJob]:
    """Return the Slurm jobs of a run by the names that its workers have for them, "" for its own."""
    cluster = str(history.about.get("slurm_cluster", ""))
    ran = [("", str(history.about.get("slurm_job", "")), history.started_at)]
    ran += [(worker.allocation, worker.allocation, worker.joined_at) for worker in history.all_workers]
    jobs: dict[str, AskedJob] = {}
    for allocation, job, at in ran:
        if job:
            jobs.setdefault(allocation, AskedJob(job, cluster, at, history.life is Life.GOES_ON))
    return jobs


def _figures(history: RunHistory, told: dict[str, Told]) -> AllocationFigures:
    components = [
        ComponentFigures(counted, counted.cpu_efficiency, _recorded(history, allocation, counted.het_group or 0))
        for allocation, its in told.items()
        for counted in its.components
    ]
    return AllocationFigures(components, next((its.why_none for its in told.values() if its.why_none), ""))


def _recorded(history: RunHistory, allocation: str, component: int) -> RecordedFigures:
    """Return the figures of a component; all workers are of the first one where nobody knows of components."""
    workers = [
        worker
        for worker in history.all_workers
        if worker.allocation == allocation and (worker.het_group or 0) == component
    ]
    names = {worker.name for worker in workers}
    jobs = [job for job in history.jobs.values() if job.worker in names]
    lives = [(history.life_of(worker), len(worker.cores)) for worker in workers]
    spans = [(span, history.cores_of(job)) for job in jobs if (span := history.running_of(job)) is not None]
    offered, granted = (sum((end - begin) * n for (begin, end), n in those) / 3600 for those in (lives, spans))
    return RecordedFigures(
        n_workers=len(names),
        offered_core_h=offered,
        granted_core_h=granted,
        cpu_core_h=sum(float(job.ended.get("cpu_s", 0.0)) for job in jobs) / 3600,
        job_peak_mb=max((peak for job in jobs if (peak := job.peak_mb) is not None), default=None),
    )
