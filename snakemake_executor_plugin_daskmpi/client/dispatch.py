"""The jobs of a run between their submission and their outcome: queued, placed, sent to workers.

Runs on: rank 1, in the link's thread; nothing here is called from another one.
"""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import replace
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

from snakemake_executor_plugin_daskmpi.client.job_durations import Durations
from snakemake_executor_plugin_daskmpi.messages import JobOutcome, OutcomeKind, WorkerInfo
from snakemake_executor_plugin_daskmpi.placement.grants import grant_of
from snakemake_executor_plugin_daskmpi.placement.placement import Placement
from snakemake_executor_plugin_daskmpi.placement.refusal import too_long_for
from snakemake_executor_plugin_daskmpi.resources import WorkerResources, shrunk
from snakemake_executor_plugin_daskmpi.worker import rpc

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from snakemake_executor_plugin_daskmpi.client.early_end import Drain
    from snakemake_executor_plugin_daskmpi.client.pooled_job import PooledJob
    from snakemake_executor_plugin_daskmpi.placement.assignment import Assignment
    from snakemake_executor_plugin_daskmpi.placement.deadline import Deadline
    from snakemake_executor_plugin_daskmpi.world.link import Link


class Dispatch:
    """Queue, placement and running jobs.

    Parameters
    ----------
    on_outcome
        Called once for each job that is not set aside.
    drain
        Told of each job that is about to start, and of those that will not.
    """

    def __init__(
        self,
        link: Link,
        on_outcome: Callable[[JobOutcome], None],
        drain: Drain,
        *,
        bind: bool,
        max_cores: int | None,
    ) -> None:
        self._link = link
        self._on_outcome = on_outcome
        self._drain = drain
        self._bind = bind
        self._placement = Placement(max_cores=max_cores)
        self.infos: dict[str, WorkerInfo] = {}
        self.jobs: dict[str, PooledJob] = {}
        #: No job starts that would not have ended by then.
        self.deadline: Deadline | None = None
        #: Whether nothing starts any more.
        self.is_draining = False
        self._durations = Durations()
        self._submissions = itertools.count()
        #: Queues of grants that may take further jobs.
        self._extensible: list[deque[str]] = []
        #: Waiting jobs that say how long they take, the longest first.
        self._by_runtime: list[tuple[int, str]] = []
        #: Whether what some workers offer was guessed.
        self._may_shrink = False
        #: How many lost workers will come back, and the jobs that have no place before.
        self._awaited = 0
        self._held: dict[str, PooledJob] = {}

    @property
    def offers(self) -> Mapping[str, WorkerResources]:
        """What each worker offers when idle, by address."""
        return self._placement.workers

    @property
    def is_idle(self) -> bool:
        """Whether no job waits or runs."""
        return not self.jobs

    def add_worker(self, info: WorkerInfo) -> None:
        """Take in a worker that is ready."""
        fields: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in info.offer.items()}
        offer = WorkerResources(**fields)
        self.infos[info.address] = info
        self._placement.add_worker(info.address, offer, info.step_group)
        self._may_shrink = self._may_shrink or bool(offer.guessed)

    def await_worker(self) -> None:
        """Refuse no job before a lost worker is back, since it may have a place for it."""
        self._awaited += 1

    def stop_awaiting(self) -> None:
        """Place or refuse what was held for a worker that is back, or does not come."""
        self._awaited -= 1
        held, self._held = self._held, {}
        for job in held.values():
            self.enqueue(job)

    # -- the queue ---------------------------------------------------------------------------

    def enqueue(self, job: PooledJob) -> bool:
        """Let a job wait for its turn, with as much as the workers that are there can give it; say whether it does."""
        key = job.spec.key
        if self.is_draining:
            self._set_aside([key])
            return False
        if self._may_shrink or job.floor is not job.wish:
            job.request = shrunk(job.wish, job.floor, self._placement.workers.values())
        refusal = self._placement.refusal(job.request)
        runtime_min = job.request.runtime_min
        if self.deadline is not None and refusal is None:
            refusal = too_long_for(runtime_min, self.deadline)
        if refusal is not None and self._awaited:
            self.jobs[key] = self._held[key] = job
            return False
        if refusal is not None:
            self.jobs.pop(key, None)
            self._on_outcome(JobOutcome(key, OutcomeKind.FAILED, reason=str(refusal)))
            return False
        self.jobs[key] = job
        self._placement.enqueue(key, job.request, job.priority)
        if runtime_min is not None and self.deadline is not None:
            heappush(self._by_runtime, (-runtime_min, key))
        return True

    def drain(self) -> None:
        """Start nothing any more, and set aside what waits."""
        self.is_draining = True
        self._set_aside([key for key, job in self.jobs.items() if job.worker is None])

    def forget_waiting(self) -> None:
        """Start nothing any more, and forget what waits."""
        self.is_draining = True
        for key in [key for key, job in self.jobs.items() if job.worker is None]:
            self._withdraw(key)
            del self.jobs[key]

    def _withdraw(self, key: str) -> None:
        self._held.pop(key, None)
        self._placement.withdraw(key)

    def _set_aside(self, keys: Sequence[str]) -> None:
        for key in keys:
            self._withdraw(key)
            self.jobs.pop(key, None)
        if keys:
            self._drain.set_aside(keys)

    def _set_aside_late_ones(self) -> None:
        """Set aside the waiting jobs that would not end in time if they started now; later is no better."""
        late = []
        while self._by_runtime and self.deadline and not self.deadline.leaves_time_for(-self._by_runtime[0][0]):
            _, key = heappop(self._by_runtime)
            if key in self.jobs and self.jobs[key].worker is None:
                late.append(key)
        self._set_aside(late)

    # -- starting ----------------------------------------------------------------------------

    def pump(self) -> None:
        """Start all that can start now."""
        self._set_aside_late_ones()
        for assignment in self._placement.assignments():
            self._start(assignment, deque(), after="")
        extensible, self._extensible = self._extensible, []
        for queue in extensible:
            self._extend(queue)

    def _start(self, assignment: Assignment, queue: deque[str], after: str) -> None:
        """Send a job to its worker, to start at once or after another one."""
        job = self.jobs[assignment.key]
        job.worker, job.queue = assignment.worker, queue
        job.shared_by = frozenset(worker for worker, _ in assignment.shared)
        queue.append(assignment.key)
        if not after:
            self._extensible.append(queue)
        self._drain.note_start(job.spec)
        job.future = self._link.client.submit(
            rpc.run_job,
            job.spec,
            replace(grant_of(assignment, job.request, job.spec.mpi, self.infos), bind=self._bind, after=after),
            key=f"daskmpi-{job.spec.key}-{next(self._submissions)}",
            workers=[assignment.worker],
            allow_other_workers=False,
            retries=0,
            pure=False,
        )

    def _extend(self, queue: deque[str]) -> None:
        """Send short jobs to a worker before those ahead of them have ended, so that it need not wait for us."""
        while queue and len(queue) <= self._durations.jobs_ahead(self.jobs[queue[-1]].spec.kind):
            after = queue[-1]
            if self.jobs[after].spec.units:
                return  # the forkserver knows of its members only
            assignment = self._placement.successor(after)
            if assignment is None:
                return
            self._start(assignment, queue, after)

    # -- the end of jobs, and of workers -----------------------------------------------------

    def finish(self, outcome: JobOutcome) -> bool:
        """Report the outcome of a job, and free what it had; False if it was reported before."""
        job = self.jobs.pop(outcome.key, None)
        if job is None:
            return False
        if job.future is not None:
            job.future.release()
        if outcome.ended_at:
            self._durations.note(job.spec.kind, outcome.ended_at - outcome.started_at)
        if outcome.key in job.queue:
            job.queue.remove(outcome.key)
            self._extensible.append(job.queue)
        self._placement.release(outcome.key)
        self._on_outcome(outcome)
        return True

    def lose_worker(self, address: str) -> list[tuple[str, PooledJob]]:
        """Forget a worker: what ran there is lost, what waited there waits again; return jobs that it had tasks of."""
        info = self.infos.pop(address)
        self._placement.remove_worker(address)
        there = {key: job for key, job in self.jobs.items() if job.worker == address}
        waiting = {key: job for key, job in there.items() if job.queue[0] != key}
        for job in waiting.values():
            self._wait_again(job)
        for key in there.keys() - waiting.keys():
            there[key].queue.clear()
            reason = f"worker {info.name} on {info.host} died while running it"
            self.finish(JobOutcome(key, OutcomeKind.LOST, worker=info.name, host=info.host, reason=reason))
        for key in self._placement.unplaceable():
            self.enqueue(self.jobs[key])
        return [(key, job) for key, job in self.jobs.items() if address in job.shared_by]

    def _wait_again(self, job: PooledJob) -> None:
        """Put a job that was sent to a worker, and waited there for its turn, back into the queue."""
        if job.future is not None:
            job.future.release()
        job.worker, job.future, job.queue = None, None, deque()
        self.enqueue(job)
