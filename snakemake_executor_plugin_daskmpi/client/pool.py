"""The pool of workers as rank 1 sees it: the Dask client behind few verbs.

Runs on: rank 1. The Dask client lives in an event loop and daemon thread of its own, its
:class:`~snakemake_executor_plugin_daskmpi.world.link.Link`; methods without underscore are called from
Snakemake's threads, all others run in that loop, and so does :mod:`dispatch`.

Each Future is pinned to its worker, held until the job's outcome has come, and released before
that is reported: Dask would run a finished job again whose Future is held when its worker dies.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from snakemake_executor_plugin_daskmpi.client import workers
from snakemake_executor_plugin_daskmpi.client.dispatch import Dispatch
from snakemake_executor_plugin_daskmpi.client.pooled_job import PooledJob
from snakemake_executor_plugin_daskmpi.errors import PoolError
from snakemake_executor_plugin_daskmpi.messages import TOPIC, JobOutcome, JobSpec, OutcomeKind, RunContext
from snakemake_executor_plugin_daskmpi.rank import rank_log
from snakemake_executor_plugin_daskmpi.worker import rpc

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future

    from snakemake_executor_plugin_daskmpi.client.comebacks import Comebacks
    from snakemake_executor_plugin_daskmpi.client.early_end import Drain
    from snakemake_executor_plugin_daskmpi.messages import WorkerInfo
    from snakemake_executor_plugin_daskmpi.placement.deadline import Deadline
    from snakemake_executor_plugin_daskmpi.resources import JobResources, WorkerResources
    from snakemake_executor_plugin_daskmpi.world.link import Link, World

_log = logging.getLogger(__name__)

#: Seconds between two looks for jobs whose Future failed without an outcome.
_SWEEP_S = 1.0
#: Seconds for running jobs to end when the run is cancelled; the workers kill them after six.
_CANCEL_S = 8.0
#: Seconds that a cancelled run still waits for its workers when it is told to hurry.
_HURRY_S = 1.0


class Pool:
    """Queue, placement and running jobs of one run.

    Parameters
    ----------
    link
        The connection to the world.
    on_outcome
        Called in the link's thread, once for each submitted job that is not set aside.
    on_note
        The same, with each line that a worker has for the user.
    on_broken
        Called in the link's thread if the run cannot go on: the scheduler is gone, or a bug of ours.
    drain
        Told in the link's thread what starts, what will not, and when nothing is left to do.
    comebacks
        Asked in the link's thread which lost workers come back.
    bind
        Whether jobs are pinned to their cores.
    max_cores
        How many cores all jobs together may take; None for all that there are.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - its collaborators, by name
        self,
        link: Link,
        on_outcome: Callable[[JobOutcome], None],
        on_note: Callable[[str], None],
        on_broken: Callable[[Exception], None],
        drain: Drain,
        comebacks: Comebacks,
        *,
        bind: bool,
        max_cores: int | None = None,
    ) -> None:
        self._link = link
        self._on_note, self._on_broken = on_note, on_broken
        self._drained = drain
        self._comebacks = comebacks
        self._dispatch = Dispatch(link, on_outcome, drain, bind=bind, max_cores=max_cores)
        self._pump_is_due = self._closed = False
        self._sweeper: asyncio.Task[None] | None = None
        #: What is to happen near the deadline.
        self._alarms: list[asyncio.TimerHandle] = []
        #: Orders on their way to workers, held so that they are not collected.
        self._orders: set[asyncio.Task[Any]] = set()
        self._cancelling: Future[None] | None = None
        #: Whether workers take only jobs of certain components; known once open.
        self.names_components = False

    # -- called by the executor, in Snakemake's threads ------------------------------------

    def open(self, world: World, context: RunContext, timeout_s: float) -> Mapping[str, WorkerResources]:
        """Wait for all workers, prepare them for a run, and return what they offer by name."""
        return self._link.call(self._open(world, context, timeout_s))

    def watch(self, deadline: Deadline) -> None:
        """Keep a deadline: start nothing that would not end in time, drain before it, then end what still runs."""
        self._link.loop.call_soon_threadsafe(self._guarded(self._watch), deadline)

    def submit(self, spec: JobSpec, request: JobResources, priority: int, floor: JobResources | None = None) -> None:
        """Queue a job, which is content with a floor where no worker offers all that it requests.

        Its outcome is reported even if no worker can ever hold it.
        """
        job = PooledJob(spec, request, floor or request, priority, request)
        self._link.loop.call_soon_threadsafe(self._guarded(self._enqueue), job)

    def drain(self, why: str) -> None:
        """Start nothing any more, for a reason in words; running jobs go on. May be called by a signal's handler."""
        self._link.loop.call_soon_threadsafe(self._guarded(self._drain), why)

    def cancel(self) -> None:
        """Forget the queue and end all running jobs; returns when their processes are gone."""
        self._cancelling = asyncio.run_coroutine_threadsafe(self._cancel(), self._link.loop)
        self._cancelling.result(_CANCEL_S)

    def hurry(self) -> None:
        """Let a :meth:`cancel` be quick: SIGKILL now. May be called by a signal's handler."""
        self._link.loop.call_soon_threadsafe(self._guarded(self._hurry), None)

    def close(self) -> None:
        """Stop listening. The world stays."""
        self._link.call(self._close(), timeout_s=_CANCEL_S)

    # -- in the link's thread ----------------------------------------------------------------

    async def _open(self, world: World, context: RunContext, timeout_s: float) -> Mapping[str, WorkerResources]:
        client = self._link.client
        self._context, self._timeout_s = context, timeout_s
        for info in await workers.workers_of(self._link, world, timeout_s):
            self._dispatch.add_worker(info)
        offers = self._dispatch.offers
        self.names_components = any(offer.components is not None for offer in offers.values())
        client.subscribe_topic(TOPIC, self._guarded(self._on_worker_event))
        client.subscribe_topic("all", self._guarded(self._on_cluster_event))
        await client.run_on_scheduler(rank_log.open_rank_log, context.run_dir)
        await client.run(rpc.prepare, context)
        self._sweeper = asyncio.create_task(self._sweep())
        return {self._dispatch.infos[address].name: offer for address, offer in offers.items()}

    def _enqueue(self, job: PooledJob) -> None:
        if self._dispatch.enqueue(job):
            self._pump_soon()

    def _pump_soon(self) -> None:
        """Place once for all that happens in this turn of the loop."""
        if not self._pump_is_due:
            self._pump_is_due = True
            self._link.loop.call_soon(self._guarded(self._pump), None)

    def _pump(self, _: None) -> None:
        self._pump_is_due = False
        self._dispatch.pump()

    def _guarded(self, handler: Callable[[Any], None]) -> Callable[[Any], None]:
        """Return an event handler whose errors break the run, instead of leaving it to wait for ever."""

        def guarded(event: Any) -> None:
            try:
                handler(event)
            except Exception as error:  # noqa: BLE001 - becomes the executor's error
                _log.exception("in %s", handler.__name__)
                self._on_broken(error)

        return guarded

    def _on_worker_event(self, event: tuple[float, dict[str, Any]]) -> None:
        if note := event[1].get("note"):
            self._on_note(note)
        elif self._dispatch.finish(JobOutcome.from_wire(event[1]["outcome"])):
            self._pump_soon()

    def _on_cluster_event(self, event: tuple[float, dict[str, Any]]) -> None:
        message = event[1]
        address = message.get("worker", "")
        info = self._dispatch.infos.get(address)
        if message.get("action") == "remove-worker" and info is not None:
            self._lose(info)
        elif message.get("action") == "add-worker" and info is None and not self._closed:
            self._keep(self._welcome(address))

    async def _welcome(self, address: str) -> None:
        """Take in a worker that was started anew."""
        client = self._link.client
        try:
            info: WorkerInfo = (await client.run(rpc.describe, workers=[address]))[address]
            await client.run(rpc.prepare, self._context, workers=[address])
        except Exception:  # noqa: BLE001 - it died again, perhaps: then the others do the rest
            _log.exception("a worker at %s came, and could not be taken in", address)
            return
        self._dispatch.add_worker(info)
        self._comebacks.note_return(info)
        self._dispatch.stop_awaiting()
        self._pump_soon()

    def _give_up(self, name: str) -> None:
        if self._comebacks.give_up(name):
            self._dispatch.stop_awaiting()
            self._pump_soon()

    def _lose(self, info: WorkerInfo) -> None:
        _log.error("%s on %s was lost", info.name, info.host)
        if not self._closed and self._comebacks.note_loss(info):
            self._dispatch.await_worker()
            self._link.loop.call_later(self._timeout_s, self._guarded(self._give_up), info.name)
        for key, job in self._dispatch.lose_worker(info.address):
            reason = f"worker {info.name} on {info.host}, which had tasks of it, died"
            # The worker that runs the body ends it; its outcome comes as any other.
            self._order(rpc.kill_job, key, reason, workers=[job.worker or ""])
        self._pump_soon()

    def _order(self, what: Callable[..., Any], *arguments: Any, **options: Any) -> None:
        """Have workers do something that is not waited for."""
        self._keep(self._link.client.run(what, *arguments, on_error="ignore", **options))

    def _keep(self, coroutine: Any) -> None:
        """Have something done that is not waited for."""
        self._orders.add(task := asyncio.ensure_future(coroutine))
        task.add_done_callback(self._orders.discard)

    # -- looking after it --------------------------------------------------------------------

    async def _sweep(self) -> None:
        """Report jobs as lost whose Future failed in Dask without an outcome, and say when nothing is left to do."""
        while not self._closed:
            await asyncio.sleep(_SWEEP_S)
            # A client that lost its scheduler has given up all Futures, even if it finds it again.
            if self._link.client.status != "running":
                self._on_broken(
                    PoolError(
                        "The Dask scheduler is gone, and with it the connection to all workers.",
                        seen=f"the client of rank 1 is {self._link.client.status}; {len(self._dispatch.jobs)} jobs "
                        "were open.",
                        next_step="look at rank-0.log of this run; the same command continues the workflow.",
                    )
                )
                return
            for key, job in list(self._dispatch.jobs.items()):
                if job.future is not None and job.future.status in ("error", "cancelled", "lost"):
                    info = self._dispatch.infos.get(job.worker or "")
                    worker, host = (info.name, info.host) if info else ("", "")
                    error = await job.future.exception() if job.future.status == "error" else None
                    reason = f"Dask gave it up: {error!r}" if error else "Dask gave it up"
                    if self._dispatch.finish(
                        JobOutcome(key, OutcomeKind.LOST, worker=worker, host=host, reason=reason)
                    ):
                        self._pump_soon()
            # Jobs that are too long by now are found where something starts or ends, and here.
            self._pump_soon()
            self._guarded(self._drained.look)(self._dispatch.is_idle)

    # -- the end -----------------------------------------------------------------------------

    def _watch(self, deadline: Deadline) -> None:
        self._dispatch.deadline = deadline
        in_time = ((deadline.drains_in_s, self._drain), (deadline.ends_jobs_in_s, self._end_running))
        why = deadline.end_text()
        self._alarms = [self._link.loop.call_later(s, self._guarded(what), why) for s, what in in_time]

    def _drain(self, why: str) -> None:
        if not self._closed and not self._dispatch.is_draining:
            running = sum(job.worker is not None for job in self._dispatch.jobs.values())
            self._drained.begin(why, running)
            self._dispatch.drain()

    def _end_running(self, why: str) -> None:
        """End what still runs, in time for an end in order."""
        if self._closed:
            return
        self._drain(why)
        self._drained.end_local_jobs()
        if not self._dispatch.is_idle:
            self._order(rpc.end_jobs, OutcomeKind.TIMED_OUT, why)

    async def _cancel(self) -> None:
        self._closed = True
        self._dispatch.forget_waiting()
        if self._dispatch.infos:
            await self._link.client.run(rpc.end_jobs, OutcomeKind.CANCELLED, on_error="ignore")

    def _hurry(self, _: None) -> None:
        self._order(rpc.end_jobs, OutcomeKind.CANCELLED, at_once=True)
        if self._cancelling is not None:
            self._link.loop.call_later(_HURRY_S, self._cancelling.cancel)

    async def _close(self) -> None:
        self._closed = True
        for alarm in self._alarms:
            alarm.cancel()
        if self._sweeper is not None:
            self._sweeper.cancel()
        self._link.client.unsubscribe_topic(TOPIC)
        self._link.client.unsubscribe_topic("all")
