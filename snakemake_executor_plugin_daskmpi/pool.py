"""Rank 1's view of all workers: the Dask client behind few verbs.

Runs on: rank 1, in a thread of its own next to Snakemake's.
Called by: executor.

Dask does transport, liveness, execution. It does not place: jobs are pinned to the worker
that :mod:`placement` chose. Outcomes come back as events, the Future is released, and only
then is the executor told; a Future that is still held when its worker dies would make Dask run
the finished job again.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from snakemake_executor_plugin_daskmpi import roll_call
from snakemake_executor_plugin_daskmpi.errors import PoolError
from snakemake_executor_plugin_daskmpi.messages import (
    OUTCOME_TOPIC,
    JobOutcome,
    JobSpec,
    OutcomeKind,
    RunContext,
    WorkerInfo,
)
from snakemake_executor_plugin_daskmpi.placement.durations import Durations
from snakemake_executor_plugin_daskmpi.placement.grants import grant_of
from snakemake_executor_plugin_daskmpi.placement.placement import Assignment, Placement
from snakemake_executor_plugin_daskmpi.resources import JobResources, WorkerResources
from snakemake_executor_plugin_daskmpi.worker import runner
from snakemake_executor_plugin_daskmpi.world import rank_log

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from distributed import Future

    from snakemake_executor_plugin_daskmpi.link import Link, World

_log = logging.getLogger(__name__)

#: Seconds between two looks for jobs whose Future failed without an outcome.
_SWEEP_S = 1.0
#: Seconds for running jobs to end when the run is cancelled; the workers kill them after six.
_CANCEL_S = 8.0


@dataclass(slots=True)
class _Job:
    spec: JobSpec
    request: JobResources
    priority: int
    worker: str | None = None
    #: All workers that have tasks of it, if there are several.
    shared_by: frozenset[str] = frozenset()
    future: Future[Any] | None = None
    #: The jobs that have or will have the same grant, this one included, in their order.
    queue: deque[str] = field(default_factory=deque)


class Pool:
    """Queue, placement and running jobs of one run.

    Parameters
    ----------
    link
        The connection to the world.
    on_outcome
        Called in the link's thread, once for each submitted job.
    on_broken
        Called in the link's thread if the run cannot go on: the scheduler is gone, or a bug of ours.
    bind
        Whether jobs are pinned to their cores.
    """

    def __init__(
        self,
        link: Link,
        on_outcome: Callable[[JobOutcome], None],
        on_broken: Callable[[Exception], None],
        *,
        bind: bool,
    ) -> None:
        self._link = link
        self._on_outcome = on_outcome
        self._on_broken = on_broken
        self._bind = bind
        self._placement = Placement()
        self._infos: dict[str, WorkerInfo] = {}
        self._jobs: dict[str, _Job] = {}
        self._durations = Durations()
        self._submissions = itertools.count()
        #: Queues of grants that may take further jobs.
        self._extensible: list[deque[str]] = []
        self._pump_is_due = False
        self._closed = False
        self._sweeper: asyncio.Task[None] | None = None
        #: Cancellations on their way, held so that they are not collected.
        self._kills: set[asyncio.Task[Any]] = set()
        #: Whether workers take only jobs of certain components; known once open.
        self.names_components = False

    # -- called by the executor, in Snakemake's threads ------------------------------------

    def open(self, world: World, context: RunContext, timeout_s: float) -> Mapping[str, WorkerResources]:
        """Wait for all workers, prepare them for a run, and return what they offer by name."""
        return self._link.call(self._open(world, context, timeout_s))

    def submit(self, spec: JobSpec, request: JobResources, priority: int) -> None:
        """Queue a job. Its outcome is reported even if no worker can ever hold it."""
        enqueue = self._guarded(lambda _: self._enqueue(spec, request, priority))
        self._link.loop.call_soon_threadsafe(enqueue, None)

    def cancel(self) -> None:
        """Forget the queue and end all running jobs; returns when their processes are gone."""
        self._link.call(self._cancel(), timeout_s=_CANCEL_S)

    def close(self) -> None:
        """Stop listening. The world stays."""
        self._link.call(self._close(), timeout_s=_CANCEL_S)

    # -- in the link's thread ----------------------------------------------------------------

    async def _open(self, world: World, context: RunContext, timeout_s: float) -> Mapping[str, WorkerResources]:
        client = self._link.client
        for info in await roll_call.workers_of(self._link, world, timeout_s):
            offer: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in info.offer.items()}
            self._infos[info.address] = info
            self._placement.add_worker(info.address, WorkerResources(**offer), info.step_group)
        self.names_components = any(offer.components is not None for offer in self._placement.workers.values())
        client.subscribe_topic(OUTCOME_TOPIC, self._guarded(self._on_outcome_event))
        client.subscribe_topic("all", self._guarded(self._on_cluster_event))
        await client.run_on_scheduler(rank_log.open_rank_log, context.run_dir)
        await client.run(runner.prepare, context)
        self._sweeper = asyncio.create_task(self._sweep())
        return {self._infos[address].name: offer for address, offer in self._placement.workers.items()}

    def _enqueue(self, spec: JobSpec, request: JobResources, priority: int) -> None:
        if self._closed:
            self._on_outcome(JobOutcome(spec.key, OutcomeKind.CANCELLED))
            return
        if (refusal := self._placement.refusal(request)) is not None:
            self._on_outcome(JobOutcome(spec.key, OutcomeKind.FAILED, reason=str(refusal)))
            return
        self._jobs[spec.key] = _Job(spec, request, priority)
        self._placement.enqueue(spec.key, request, priority)
        self._pump_soon()

    def _pump_soon(self) -> None:
        """Place once for all that happens in this turn of the loop."""
        if not self._pump_is_due:
            self._pump_is_due = True
            self._link.loop.call_soon(self._guarded(self._pump), None)

    def _pump(self, _: None) -> None:
        self._pump_is_due = False
        for assignment in self._placement.assignments():
            self._start(assignment, deque(), after="")
        extensible, self._extensible = self._extensible, []
        for queue in extensible:
            self._extend(queue)

    def _start(self, assignment: Assignment, queue: deque[str], after: str) -> None:
        """Send a job to its worker, to start at once or after another one."""
        job = self._jobs[assignment.key]
        job.worker, job.queue = assignment.worker, queue
        job.shared_by = frozenset(worker for worker, _ in assignment.shared)
        queue.append(assignment.key)
        if not after:
            self._extensible.append(queue)
        job.future = self._link.client.submit(
            runner.run_job,
            job.spec,
            replace(grant_of(assignment, job.request, job.spec.mpi, self._infos), bind=self._bind, after=after),
            key=f"daskmpi-{job.spec.key}-{next(self._submissions)}",
            workers=[assignment.worker],
            allow_other_workers=False,
            retries=0,
            pure=False,
        )

    def _extend(self, queue: deque[str]) -> None:
        """Send short jobs to a worker before those ahead of them have ended, so that it need not wait for us."""
        while queue and len(queue) <= self._durations.jobs_ahead(self._jobs[queue[-1]].spec.kind):
            after = queue[-1]
            assignment = self._placement.successor(after)
            if assignment is None:
                return
            self._start(assignment, queue, after)

    def _guarded(self, handler: Callable[[Any], None]) -> Callable[[Any], None]:
        """Return an event handler whose errors break the run, instead of leaving it to wait for ever."""

        def guarded(event: Any) -> None:
            try:
                handler(event)
            except Exception as error:  # noqa: BLE001 - becomes the executor's error
                _log.exception("in %s", handler.__name__)
                self._on_broken(error)

        return guarded

    def _on_outcome_event(self, event: tuple[float, dict[str, Any]]) -> None:
        self._finish(JobOutcome.from_wire(event[1]["outcome"]))

    def _finish(self, outcome: JobOutcome) -> None:
        job = self._jobs.pop(outcome.key, None)
        if job is None:
            return
        if job.future is not None:
            job.future.release()
        if outcome.ended_at:
            self._durations.note(job.spec.kind, outcome.ended_at - outcome.started_at)
        if outcome.key in job.queue:
            job.queue.remove(outcome.key)
            self._extensible.append(job.queue)
        self._placement.release(outcome.key)
        self._pump_soon()
        self._on_outcome(outcome)

    def _on_cluster_event(self, event: tuple[float, dict[str, Any]]) -> None:
        message = event[1]
        if message.get("action") == "remove-worker" and message.get("worker") in self._infos:
            self._lose_worker(message["worker"])

    def _lose_worker(self, address: str) -> None:
        info = self._infos.pop(address)
        _log.error("%s on %s was lost", info.name, info.host)
        self._placement.remove_worker(address)
        there = {key: job for key, job in self._jobs.items() if job.worker == address}
        waiting = {key: job for key, job in there.items() if job.queue[0] != key}
        for key, job in waiting.items():
            self._wait_again(key, job)
        for key in there.keys() - waiting.keys():
            there[key].queue.clear()
            reason = f"worker {info.name} on {info.host} died while running it"
            self._finish(JobOutcome(key, OutcomeKind.LOST, worker=info.name, host=info.host, reason=reason))
        for key, job in self._jobs.items():
            if address in job.shared_by:
                self._kill(key, job, f"worker {info.name} on {info.host}, which had tasks of it, died")
        for key in self._placement.unplaceable():
            refusal = self._placement.refusal(self._jobs[key].request)
            self._finish(JobOutcome(key, OutcomeKind.FAILED, reason=str(refusal)))

    def _kill(self, key: str, job: _Job, reason: str) -> None:
        """Let the worker that runs a job's body end it; its outcome comes as any other."""
        kill = self._link.client.run(runner.kill_job, key, reason, workers=[job.worker or ""], on_error="ignore")
        self._kills.add(task := asyncio.ensure_future(kill))
        task.add_done_callback(self._kills.discard)

    def _wait_again(self, key: str, job: _Job) -> None:
        """Put a job that was sent to a worker, and waited there for its turn, back into the queue."""
        if job.future is not None:
            job.future.release()
        job.worker, job.future, job.queue = None, None, deque()
        self._placement.enqueue(key, job.request, job.priority)
        self._pump_soon()

    async def _sweep(self) -> None:
        """Report jobs as lost whose Future failed in Dask without an outcome of the runner."""
        while not self._closed:
            await asyncio.sleep(_SWEEP_S)
            # A client that lost its scheduler has given up all Futures, even if it finds it again.
            if self._link.client.status != "running":
                self._on_broken(
                    PoolError(
                        "The Dask scheduler is gone, and with it the connection to all workers.",
                        seen=f"the client of rank 1 is {self._link.client.status}; {len(self._jobs)} jobs were open.",
                        next_step="look at rank-0.log of this run; the same command continues the workflow.",
                    )
                )
                return
            for key, job in list(self._jobs.items()):
                if job.future is not None and job.future.status in ("error", "cancelled", "lost"):
                    info = self._infos.get(job.worker or "")
                    worker, host = (info.name, info.host) if info else ("", "")
                    error = await job.future.exception() if job.future.status == "error" else None
                    reason = f"Dask gave it up: {error!r}" if error else "Dask gave it up"
                    self._finish(JobOutcome(key, OutcomeKind.LOST, worker=worker, host=host, reason=reason))

    async def _cancel(self) -> None:
        self._closed = True
        for key in [key for key, job in self._jobs.items() if job.worker is None]:
            self._placement.withdraw(key)
            del self._jobs[key]
        if self._infos:
            await self._link.client.run(runner.cancel_jobs, on_error="ignore")

    async def _close(self) -> None:
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        for topic in (OUTCOME_TOPIC, "all"):
            self._link.client.unsubscribe_topic(topic)
