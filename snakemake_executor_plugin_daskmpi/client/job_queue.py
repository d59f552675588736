"""The jobs of a run that wait for a worker, or have one. Pure.

Runs on: rank 1.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any, NamedTuple

from snakemake_executor_plugin_daskmpi.client import wait_reasons
from snakemake_executor_plugin_daskmpi.client.actions import Start
from snakemake_executor_plugin_daskmpi.client.job_durations import Durations
from snakemake_executor_plugin_daskmpi.placement.grants import grant_of
from snakemake_executor_plugin_daskmpi.placement.placement import Placement
from snakemake_executor_plugin_daskmpi.placement.refusal import too_long_for
from snakemake_executor_plugin_daskmpi.resources import WorkerResources, shrunk

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

    from snakemake_executor_plugin_daskmpi.client.job import Job
    from snakemake_executor_plugin_daskmpi.messages import WorkerInfo
    from snakemake_executor_plugin_daskmpi.placement.assignment import Assignment
    from snakemake_executor_plugin_daskmpi.placement.deadline import Deadline
    from snakemake_executor_plugin_daskmpi.placement.refusal import Refusal
    from snakemake_executor_plugin_daskmpi.record.events import Reason
    from snakemake_executor_plugin_daskmpi.resources import JobResources


#: Of the time for which workers that leave have stayed at most, the part that a job may have taken for which another
#: such worker is waited for: one that takes longer would find none that stays long enough. Arbitrary.
_MOST_PART = 0.9
#: For so many kinds of jobs that wait it is said why; those behind them are many, or wait for these.
_REASONS = 50


class Lost(NamedTuple):
    """What became of the jobs of a worker that was lost."""

    #: Those that it ran.
    ran: list[Job]
    #: Those that wait again: they had been sent to it, and waited there for their turn.
    waits: list[Job]
    #: Those that run elsewhere, and had tasks on it.
    shared: list[Job]
    #: Those that wait, and no worker that is left can hold.
    unplaceable: list[Job]


class JobQueue:
    """Who waits, and who was given to which worker.

    Parameters
    ----------
    max_cores
        How many cores all jobs together may take; None for all that there are.
    bind
        Whether jobs are pinned to their cores.
    """

    def __init__(self, *, max_cores: int | None = None, bind: bool = False) -> None:
        self._placement = Placement(max_cores=max_cores)
        self._bind = bind
        #: By address.
        self.workers: dict[str, WorkerInfo] = {}
        #: By key.
        self.jobs: dict[str, Job] = {}
        #: No job starts that would not have ended by then.
        self.deadline: Deadline | None = None
        self.durations = Durations()
        #: Queues of grants that may take further jobs.
        self._extensible: list[deque[str]] = []
        #: Waiting jobs that say how long they take, in minutes, the longest first.
        self._by_runtime: list[tuple[int, str]] = []
        #: Whether what some workers offer was guessed.
        self._may_shrink = False
        #: Whether it matters how long jobs of a rule have taken: some workers leave before the others.
        self._heeds_rules = False
        #: Minutes that the longest of their stays left to jobs.
        self._longest_stay_min = 0.0

    @property
    def offers(self) -> Mapping[str, WorkerResources]:
        """What each worker offers when idle, by address."""
        return self._placement.workers

    @property
    def names_components(self) -> bool:
        """Whether workers take only jobs of certain components."""
        return self._placement.fleet.names_components

    @property
    def waiting(self) -> list[Job]:
        """The jobs that no worker has."""
        return [job for job in self.jobs.values() if job.worker is None]

    @property
    def some_leave(self) -> bool:
        """Whether some of the workers that take jobs leave before the others."""
        return bool(self._placement.fleet.deadlines)

    def idle_workers(self) -> set[str]:
        """Return the addresses of the workers that take jobs and have none."""
        return self._placement.fleet.idle

    def is_done(self, address: str) -> bool:
        """Say whether a worker that was closed has no job any more."""
        return self._placement.fleet.is_done(address)

    # -- workers and jobs come -----------------------------------------------------------------

    def add_worker(self, info: WorkerInfo, deadline: Deadline | None = None) -> None:
        """Take in a worker that is ready; with a deadline, one that leaves before the others."""
        fields: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in info.offer.items()}
        offer = WorkerResources(**fields)
        self.workers[info.address] = info
        self._placement.add_worker(info.address, offer, info.step_group, deadline)
        self._may_shrink = self._may_shrink or bool(offer.guessed)
        if deadline is not None:
            self._longest_stay_min = max(self._longest_stay_min, deadline.left_min)
            if not self._heeds_rules:
                self._heeds_rules = True
                self._placement.may_take_min.update({rule: self._may_take_min(rule) for rule in self.durations.kinds})
                for job in self.waiting:
                    self._placement.withdraw(job.key)
                    self._enqueue(job, heeds_rule=True)

    def put(self, job: Job, *, waits_for_time: bool = False) -> Refusal | None:
        """Let a job wait for its turn, with as much as the workers that are there can give it; or say why it cannot.

        Parameters
        ----------
        waits_for_time
            Whether it rather waits for a further worker than for those that are there, if jobs of its rule have taken
            longer than these stay.
        """
        if self._may_shrink or job.floor is not job.wish:
            job.request = shrunk(job.wish, job.floor, self._placement.workers.values())
        refusal = too_long_for(job.request.runtime_min, self.deadline) if self.deadline is not None else None
        refusal = refusal or self._placement.refusal(job.request, job.request.runtime_min or 0)
        if not job.was_ended and self._asks_for_whole(job.request) and not (refusal and refusal.is_final):
            job.request = replace(job.request, runtime_min=None)
            refusal = self._placement.refusal(job.request, 0)
        if refusal is not None:
            return refusal
        runtime_min = job.request.runtime_min
        too_late = None
        if self._heeds_rules:
            may_take_min = max(runtime_min or 0, self._may_take_min(job.spec.kind))
            too_late = self._placement.refusal(job.request, may_take_min)
            if too_late is not None and waits_for_time and may_take_min <= _MOST_PART * self._longest_stay_min:
                return too_late
        self.jobs[job.key] = job
        # Where no worker stays for as long as others of the rule have taken, it is tried all the same.
        self._enqueue(job, heeds_rule=self._heeds_rules and too_late is None)
        if runtime_min is not None and self.deadline is not None:
            heappush(self._by_runtime, (-runtime_min, job.key))
        return None

    def _asks_for_whole(self, request: JobResources) -> bool:
        """Say whether a job asks for all the time that the allocation, or that of a worker it could go to, has."""
        if (runtime_min := request.runtime_min) is None:
            return False
        if self.deadline is not None and self.deadline.is_asked_for_whole(runtime_min):
            return True
        # Workers that stay for long enough go first.
        leave = self._placement.fleet.deadlines.values()
        is_whole = any(deadline.is_asked_for_whole(runtime_min) for deadline in leave)
        return is_whole and self._placement.refusal(request, runtime_min) is not None

    def _may_take_min(self, rule: str) -> float:
        """Return how many minutes a job of a rule may take: as many as the longest of its jobs.

        If no worker that leaves stays for so long, as many as its jobs take on average: most may have time there.
        """
        longest_min = self.durations.longest_s(rule) / 60
        if longest_min <= _MOST_PART * self._longest_stay_min:
            return longest_min
        return (self.durations.expected_s(rule) or 0.0) / 60

    def _enqueue(self, job: Job, *, heeds_rule: bool) -> None:
        rule = job.spec.kind if heeds_rule else ""
        self._placement.enqueue(job.key, job.request, job.priority, job.n_behind, rule)

    # -- they go -------------------------------------------------------------------------------

    def take_out(self, jobs: Iterable[Job]) -> None:
        """Forget jobs that wait."""
        for job in jobs:
            self._placement.withdraw(job.key)
            self.jobs.pop(job.key, None)

    def take_out_late_ones(self) -> list[Job]:
        """Forget and return the waiting jobs that would not end in time, even if they started now."""
        late = []
        while self._by_runtime and self.deadline and not self.deadline.leaves_time_for(-self._by_runtime[0][0]):
            _, key = heappop(self._by_runtime)
            if key in self.jobs and self.jobs[key].worker is None:
                late.append(self.jobs[key])
        self.take_out(late)
        return late

    def end(self, key: str, seconds: float | None = None) -> Job | None:
        """Forget a job that has ended after so many seconds, and free what it had; None if it was not there."""
        job = self.jobs.pop(key, None)
        if job is None:
            return None
        if seconds is not None:
            self.durations.note(job.spec.kind, seconds)
            if self._heeds_rules:
                may_take_min, rule = self._placement.may_take_min, job.spec.kind
                # What has become less needs a second look at all, which is taken from time to time.
                may_take_min[rule] = max(may_take_min.get(rule, 0.0), self._may_take_min(rule))
        if key in job.queue:
            job.queue.remove(key)
            self._extensible.append(job.queue)
        self._placement.release(key)
        return job

    def close_worker(self, address: str) -> None:
        """Let a worker take no jobs any more."""
        self._placement.close_worker(address)

    def take_out_unplaceable_ones(self) -> list[Job]:
        """Forget and return the waiting jobs that no worker can hold, or has time for; called now and then."""
        if self._heeds_rules:
            before = dict(self._placement.may_take_min)
            self._placement.may_take_min.update({rule: self._may_take_min(rule) for rule in self.durations.kinds})
            if any(self._placement.may_take_min[rule] < minutes for rule, minutes in before.items()):
                self._placement.try_again()
        return [self.jobs.pop(key) for key in self._placement.unplaceable()]

    def lose_worker(self, address: str, unsent: Container[str] = ()) -> Lost:
        """Forget a worker, and what it ran; it never heard of some of its jobs."""
        del self.workers[address]
        self._placement.remove_worker(address)
        there = [job for job in self.jobs.values() if job.worker == address]
        waits = [job for job in there if job.queue[0] != job.key or job.key in unsent]
        ran = [job for job in there if job.queue[0] == job.key and job.key not in unsent]
        for job in waits:
            job.worker, job.queue = None, deque()
            del self.jobs[job.key]
        for job in ran:
            job.queue.clear()
            self.end(job.key)
        shared = [job for job in self.jobs.values() if address in job.shared_by]
        return Lost(ran, waits, shared, self.take_out_unplaceable_ones())

    # -- waiting -------------------------------------------------------------------------------

    def reasons(self) -> list[Reason]:
        """Return why jobs wait, those of the highest rank first."""
        return [wait_reasons.reason_of(why, self.jobs, self.workers) for why in self._placement.why_waiting(_REASONS)]

    # -- starting ------------------------------------------------------------------------------

    def start(self) -> list[Start]:
        """Give jobs to workers: all that can start now, and short ones that start when those ahead have ended."""
        started = [self._start(assignment, deque()) for assignment in self._placement.assignments()]
        extensible, self._extensible = self._extensible, []
        for queue in extensible:
            self._extend(queue, started)
        return started

    def _start(self, assignment: Assignment, queue: deque[str], after: str = "") -> Start:
        job = self.jobs[assignment.key]
        job.worker, job.queue = assignment.worker, queue
        job.shared_by = frozenset(worker for worker, _ in assignment.shared)
        queue.append(assignment.key)
        if not after:
            self._extensible.append(queue)
        grant = grant_of(assignment, job.request, job.spec.mpi, self.workers)
        return Start(job, grant._replace(bind=self._bind, after=after))

    def _extend(self, queue: deque[str], started: list[Start]) -> None:
        """Send short jobs to a worker before those ahead of them have ended, so that it need not wait for us.

        Only when half of those sent before have ended: then several travel together.
        """
        n_ahead = self.durations.jobs_ahead(self.jobs[queue[-1]].spec.kind) if queue else 0
        if len(queue) - 1 > n_ahead // 2:
            return
        while queue and len(queue) <= self.durations.jobs_ahead(self.jobs[queue[-1]].spec.kind):
            after = queue[-1]
            if self.jobs[after].spec.units:
                return  # the forkserver knows of its members only
            mean_s = self.durations.expected_s(self.jobs[after].spec.kind) or 0.0
            assignment = self._placement.successor(after, ahead_min=len(queue) * mean_s / 60)
            if assignment is None:
                return
            started.append(self._start(assignment, queue, after))
