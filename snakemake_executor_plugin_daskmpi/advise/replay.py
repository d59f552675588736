"""A recorded run as a demand, so that it can be played again on other workers.

Runs on: the login node, or a laptop. Pure.

Each attempt that ran is a job with the time that it took. It comes after those jobs that the record says it needs, and
after its own earlier attempt. Jobs that Snakemake runs itself are not recorded: where a job needs one and was handed
over later than what is recorded explains, the time in between is a job of its own, that takes no worker, after the
last job that had ended by then.

The simulation leaves out what Snakemake takes to hand a job over once it could start, what sending it to a worker
takes, workers that come late or are lost, and deadlines.
"""

from __future__ import annotations

import dataclasses
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.planning.demand import Demand, Job, Need
from snakemake_executor_plugin_daskmpi.planning.forecast import makespan_on
from snakemake_executor_plugin_daskmpi.resources import (
    UNLIMITED_DISK_MB,
    JobResources,
    Steering,
    WorkerResources,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from snakemake_executor_plugin_daskmpi.advise.advice import Advice
    from snakemake_executor_plugin_daskmpi.record.run_view import JobView, RunView, WorkerView

#: Seconds between the end of what a job needs and its being handed over that nothing has to explain.
_AT_ONCE_S = 0.5
_FIELDS = {field.name for field in dataclasses.fields(JobResources)}
#: What stands for what Snakemake did itself.
_ITSELF = Need(JobResources(cores=0), Steering(), 0.0, is_local=True)


@dataclass(frozen=True, slots=True)
class Replay:
    """A run that has happened, to play again."""

    demand: Demand
    #: What each worker offered, and its step group.
    workers: tuple[tuple[WorkerResources, str], ...]
    #: Those of ``--cores``.
    max_cores: int | None
    #: From the first job that was handed over to the end of the last one.
    took_min: float
    #: Mean seconds from the end of what a job needs to its being handed over, the first ones aside.
    handed_over_after_s: float
    #: What the simulation does not know of this run, in sentences.
    unlike: tuple[str, ...] = ()

    @property
    def n_cores(self) -> int:
        """Cores of all workers."""
        return sum(len(offer.cores) for offer, _ in self.workers)

    def predicted_min(self) -> float:
        """Return what the simulation says of this very run; ValueError if some job fits no worker."""
        return makespan_on(self.workers, self.demand, max_cores=self.max_cores)

    def advised(self, advice: Mapping[str, Advice]) -> Demand:
        """Return the same jobs with what they should ask for, taking as long as they did."""
        known: dict[tuple[str, int], Need] = {}
        jobs = []
        for job in self.demand.jobs:
            if job.need.is_local or job.rule not in advice:
                jobs.append(job)
                continue
            key = (job.rule, id(job.need))
            if key not in known:
                known[key] = dataclasses.replace(job.need, resources=advice[job.rule].applied(job.need.resources))
            jobs.append(dataclasses.replace(job, need=known[key]))
        return Demand(tuple(jobs), recorded_runtime=self.demand.recorded_runtime)


def replay_of(view: RunView) -> Replay | None:
    """Return a run to play again; None if no job of it has ended, or no worker is known."""
    ran = [job for job in view.jobs.values() if job.seconds is not None]
    workers = tuple(view.workers.values())
    if not ran or not workers:
        return None
    begin = min(job.submitted_at for job in view.jobs.values())
    jobs, waits = _jobs(ran)
    return Replay(
        Demand(tuple(jobs), recorded_runtime=tuple(sorted({job.rule for job in ran}))),
        tuple((_offer(worker), _step_group(worker, view)) for worker in workers),
        view.about.get("max_cores"),
        (max(job.ended_at or begin for job in ran) - begin) / 60,
        sum(waits) / len(waits) if waits else 0.0,
        tuple(_unlike(view, begin)),
    )


def _jobs(ran: Sequence[JobView]) -> tuple[list[Job], list[float]]:
    """Return the jobs that ran, in the order of their submission, and how long each of them was not handed over."""
    jobs: list[Job] = []
    waits: list[float] = []
    #: By job id, the index of its last attempt so far and when that ended.
    last: dict[int, tuple[int, float]] = {}
    ends = sorted((job.ended_at or 0.0, number) for number, job in enumerate(ran))
    index_of: dict[int, int] = {}
    for number, job in enumerate(ran):
        needed = [last[jobid] for jobid in (*dict.fromkeys(job.needs), job.jobid) if jobid in last]
        after = {index for index, _ in needed}
        since = max((end for _, end in needed), default=0.0)
        at = bisect_right(ends, (job.submitted_at, len(ran))) - 1
        is_explained = all(jobid in last for jobid in job.needs)
        if at >= 0 and not is_explained and job.submitted_at - since > _AT_ONCE_S:
            end, before = ends[at]
            if before in index_of:
                minutes = (job.submitted_at - max(end, since)) / 60
                itself = dataclasses.replace(_ITSELF, minutes=max(0.0, minutes))
                jobs.append(Job("", itself, after=tuple(sorted({*after, index_of[before]}))))
                after.add(len(jobs) - 1)
        elif needed and is_explained:
            waits.append(max(0.0, job.submitted_at - since))
        index_of[number] = len(jobs)
        last[job.jobid] = (len(jobs), job.ended_at or 0.0)
        jobs.append(Job(job.rule, _need(job), job.priority, tuple(sorted(after))))
    return jobs, waits


def _need(job: JobView) -> Need:
    asked = JobResources(**{name: value for name, value in job.asks.items() if name in _FIELDS})
    return Need(asked, Steering(), (job.seconds or 0.0) / 60)


def _offer(worker: WorkerView) -> WorkerResources:
    return WorkerResources(
        cores=tuple(range(len(worker.cores))),
        mem_mb=worker.mem_mb,
        disk_mb=worker.disk_mb or UNLIMITED_DISK_MB,
        gpus=worker.gpus,
        components=worker.components,
    )


def _step_group(worker: WorkerView, view: RunView) -> str:
    """Return what workers share that one srun can span; "" outside of Slurm."""
    return f"component {worker.het_group or 0}" if view.about.get("slurm_job") else ""


def _unlike(view: RunView, begin: float) -> list[str]:
    """Return what happened in a run that the simulation does not know of."""
    late = [worker for worker in view.workers.values() if worker.joined_at > begin + 1]
    lost = [worker for worker in (*view.workers.values(), *view.former_workers) if worker.lost_at is not None]
    found = []
    if late:
        found.append(f"{len(late)} of its workers joined after its first jobs")
    if lost:
        found.append(f"{len(lost)} of its workers were lost on the way")
    if view.drain:
        found.append("it drained before its workflow was done")
    if not view.end:
        found.append("its record has no end: it goes on, or was broken off")
    return found
