"""A recorded run as a demand, so that it can be played again on other workers.

Runs on: the login node, or a laptop. Pure.

Each attempt that ran is a job with the time that it took, and as urgent as it was. It comes after those jobs that the
record says it needs, and after its own earlier attempt. When the jobs ran that Snakemake runs itself is not recorded:
they take no worker, and as long as lies between the end of all that they come after and the first job that was handed
over because of them.

The simulation leaves out what Snakemake takes to hand a job over once it could start, what sending it to a worker
takes, workers that come late or are lost, and deadlines.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
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
    from collections.abc import Iterable, Mapping, Sequence

    from snakemake_executor_plugin_daskmpi.advise.advice import Advice
    from snakemake_executor_plugin_daskmpi.record.run_view import JobView, RunView, WorkerView

_FIELDS = {each.name for each in dataclasses.fields(JobResources)}
#: What stands for what Snakemake did itself.
_ITSELF = Need(JobResources(cores=0), Steering(), 0.0, is_local=True)


@dataclass(frozen=True, slots=True)
class Replay:
    """A run that has happened, to play again."""

    demand: Demand
    #: Of each job of the demand, how many jobs the longest chain had that waited for it.
    n_behind: tuple[int, ...]
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

    def predicted_min(self, workers: Sequence[tuple[WorkerResources, str]] = (), demand: Demand | None = None) -> float:
        """Return what the simulation says of this run, or of its jobs on other workers or with other requests.

        Raises
        ------
        ValueError
            If some job fits no worker.
        """
        return makespan_on(
            workers or self.workers, demand or self.demand, max_cores=self.max_cores, n_behind=self.n_behind
        )

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
    story = _Story(view, begin)
    for job in ran:
        story.tell(job)
    waits = story.waits
    return Replay(
        Demand(tuple(story.jobs), recorded_runtime=tuple(sorted({job.rule for job in ran}))),
        tuple(story.n_behind),
        tuple((_offer(worker), _step_group(worker, view)) for worker in workers),
        view.about.get("max_cores"),
        (max(job.ended_at or begin for job in ran) - begin) / 60,
        sum(waits) / len(waits) if waits else 0.0,
        tuple(_unlike(view, begin)),
    )


@dataclass(slots=True)
class _Story:
    """The jobs that ran, told in the order of their submission."""

    view: RunView
    begin: float
    jobs: list[Job] = field(default_factory=list)
    n_behind: list[int] = field(default_factory=list)
    #: Seconds for which a job that could have been handed over was not.
    waits: list[float] = field(default_factory=list)
    #: By job id, the index of its last attempt so far, or of what Snakemake ran itself, and when that ended.
    _last: dict[int | str, tuple[int, float]] = field(default_factory=dict)

    def tell(self, job: JobView) -> None:
        """Take in an attempt."""
        for jobid in job.needs:
            if jobid in self.view.local_needs and jobid not in self._last:
                self._tell_local(jobid, job.submitted_at)
        needed = self._ends((*job.needs, job.jobid))
        if needed:
            self.waits.append(max(0.0, job.submitted_at - max(end for _, end in needed)))
        # Others come after members of a group, not after the group.
        ids = (job.jobid, *job.member_ids)
        self._add(ids, job.ended_at or 0.0, Job(job.rule, _need(job), job.priority, _after(needed)), job.n_behind)

    def _tell_local(self, jobid: int, ended_at: float) -> None:
        """Take in what Snakemake ran itself, which had ended when a job was handed over that comes after it."""
        needed = self._ends(self._before_local(jobid))
        seconds = ended_at - max((end for _, end in needed), default=self.begin)
        need = dataclasses.replace(_ITSELF, minutes=max(0.0, seconds / 60))
        self._add([jobid], ended_at, Job("", need, after=_after(needed)), 0)

    def _before_local(self, jobid: int) -> list[int]:
        """Return the ids of the jobs on workers that a local job comes after, be it through others."""
        found: list[int] = []
        seen, ahead = {jobid}, [jobid]
        while ahead:
            for before in self.view.local_needs[ahead.pop()]:
                if before not in seen:
                    seen.add(before)
                    (ahead if before in self.view.local_needs else found).append(before)
        return found

    def _ends(self, jobids: Iterable[int | str]) -> list[tuple[int, float]]:
        return [self._last[jobid] for jobid in dict.fromkeys(jobids) if jobid in self._last]

    def _add(self, jobids: Iterable[int | str], ended_at: float, job: Job, n_behind: int) -> None:
        self._last.update(dict.fromkeys(jobids, (len(self.jobs), ended_at)))
        self.jobs.append(job)
        self.n_behind.append(n_behind)


def _after(needed: Iterable[tuple[int, float]]) -> tuple[int, ...]:
    return tuple(sorted(index for index, _ in needed))


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
    in_slurm = worker.allocation or view.about.get("slurm_job")
    return f"component {worker.het_group or 0} of {worker.allocation}" if in_slurm else ""


def _unlike(view: RunView, begin: float) -> list[str]:
    """Return what happened in a run that the simulation does not know of."""
    late = [worker for worker in view.workers.values() if worker.joined_at > begin + 1]
    lost = [worker for worker in (*view.workers.values(), *view.former_workers) if worker.lost_at is not None]
    found = []
    if late:
        found.append(f"{len(late)} of its workers joined after its first jobs")
    if left := sum(worker.left_at is not None for worker in view.workers.values()):
        found.append(f"{left} of its workers left before its end")
    if lost:
        found.append(f"{len(lost)} of its workers were lost on the way")
    if view.drain:
        found.append("it drained before its workflow was done")
    if not view.end:
        found.append("its record has no end: it goes on, or was broken off")
    return found
