"""The pool of workers as rank 1 sees it: a Dask client that carries out what the state of the run asks for.

Runs on: rank 1. The Dask client lives in an event loop and daemon thread of its own, its
:class:`~snakemake_executor_plugin_daskmpi.world.link.Link`; methods without underscore are called from
Snakemake's threads, all others run in that loop, each under the one :mod:`guard`.

Each Future is pinned to its worker, held until the job's outcome has come, and released before
that is reported: Dask would run a finished job again whose Future is held when its worker dies.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from typing import TYPE_CHECKING, Any

from snakemake_executor_plugin_daskmpi.client.actions import (
    EndJob,
    EndJobs,
    EndLocalJobs,
    EndRun,
    Release,
    Report,
    Respawn,
    Say,
    Start,
    TakeBack,
)
from snakemake_executor_plugin_daskmpi.client.guard import Guard
from snakemake_executor_plugin_daskmpi.errors import PoolError
from snakemake_executor_plugin_daskmpi.messages import TOPIC, JobOutcome, RunContext
from snakemake_executor_plugin_daskmpi.rank import graces, rank_log
from snakemake_executor_plugin_daskmpi.worker import rpc
from snakemake_executor_plugin_daskmpi.world.workers import workers_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future

    import distributed

    from snakemake_executor_plugin_daskmpi.client.actions import Action
    from snakemake_executor_plugin_daskmpi.client.job import Job
    from snakemake_executor_plugin_daskmpi.client.reports import Reports
    from snakemake_executor_plugin_daskmpi.client.run_state import Drains, RunState
    from snakemake_executor_plugin_daskmpi.messages import Grant, WorkerInfo
    from snakemake_executor_plugin_daskmpi.placement.deadline import Deadline
    from snakemake_executor_plugin_daskmpi.resources import WorkerResources
    from snakemake_executor_plugin_daskmpi.world.link import World

_log = logging.getLogger(__name__)

#: Seconds between two looks for what no event tells of.
_SWEEP_S = 1.0


class Pool:
    """The workers of a run.

    Parameters
    ----------
    world
        Whose workers they are.
    state
        Decides; this carries out.
    snakemake
        Is told.
    """

    def __init__(self, world: World, state: RunState, snakemake: Reports) -> None:
        self._world, self._link = world, world.link
        self._state, self._snakemake = state, snakemake
        self._futures: dict[str, distributed.Future[Any]] = {}
        self._submissions = itertools.count()
        self._turn_is_due = self._is_closed = False
        self._sweeper: asyncio.TimerHandle | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._guard = Guard(self._break)
        self._cancelling: Future[None] | None = None
        #: Whether workers take only jobs of certain components; known once open.
        self.names_components = False

    # -- called by the executor, in Snakemake's threads ------------------------------------

    def open(self, context: RunContext, timeout_s: float) -> Mapping[str, WorkerResources]:
        """Wait for all workers, prepare them for a run, and return what they offer by name."""
        return self._link.call(self._open(context, timeout_s))

    def watch(self, deadline: Deadline) -> None:
        """Keep a deadline."""
        self._tell(lambda: self._state.on_deadline_known(deadline))

    def submit(self, job: Job) -> None:
        """Queue a job. Its outcome is reported even if no worker can ever hold it."""
        self._tell(lambda: self._state.on_submitted(job))

    def drain(self, what: Drains) -> None:
        """Start nothing any more; running jobs go on. May be called by a signal's handler."""
        self._tell(lambda: self._state.on_drain(what))

    def cancel(self) -> None:
        """Forget the queue and end all running jobs; returns when their processes are gone."""
        self._cancelling = asyncio.run_coroutine_threadsafe(self._cancel(), self._link.loop)
        self._cancelling.result(graces.CANCEL_S)

    def hurry(self) -> None:
        """Let a :meth:`cancel` be quick: SIGKILL now. May be called by a signal's handler."""
        self._link.loop.call_soon_threadsafe(self._guard.step(self._hurry))

    def close(self) -> None:
        """Stop listening. The world stays."""
        self._link.call(self._close(), timeout_s=graces.CANCEL_S)

    def _tell(self, event: Callable[[], list[Action]]) -> None:
        self._link.loop.call_soon_threadsafe(self._guard.step(lambda: self._do(event())))

    def _break(self, error: Exception) -> None:
        if self._is_closed:
            return
        if self._snakemake.is_heard:
            self._snakemake.on_broken(error)
        else:
            self._link.loop.call_later(_SWEEP_S, self._break, error)

    # -- what happens --------------------------------------------------------------------------

    async def _open(self, context: RunContext, timeout_s: float) -> Mapping[str, WorkerResources]:
        client = self._link.client
        self._context = context
        for info in await workers_of(self._world, timeout_s):
            self._do(self._state.on_worker_added(info))
        offers = self._state.queue.offers
        self.names_components = any(offer.components is not None for offer in offers.values())
        client.subscribe_topic(TOPIC, lambda event: self._guard.step(lambda: self._on_worker_event(event[1]))())
        client.subscribe_topic("all", lambda event: self._guard.step(lambda: self._on_cluster_event(event[1]))())
        await client.run_on_scheduler(rank_log.open_rank_log, context.run_dir)
        await client.run(rpc.prepare, context)
        self._sweep_later()
        return {self._state.queue.workers[address].name: offer for address, offer in offers.items()}

    def _on_worker_event(self, message: dict[str, Any]) -> None:
        if note := message.get("note"):
            self._snakemake.say(note, is_warning=True)
        else:
            self._do(self._state.on_outcome(JobOutcome.from_wire(message["outcome"])))

    def _on_cluster_event(self, message: dict[str, Any]) -> None:
        address = message.get("worker", "")
        is_known = address in self._state.queue.workers
        if message.get("action") == "remove-worker" and is_known:
            _log.error("%s was lost", self._state.queue.workers[address].name)
            self._do(self._state.on_worker_lost(address))
        elif message.get("action") == "add-worker" and not is_known and not self._state.is_cancelled:
            self._guard.in_background(self._welcome(address))

    async def _welcome(self, address: str) -> None:
        """Take in a worker that was started anew."""
        client = self._link.client
        try:
            info: WorkerInfo = (await client.run(rpc.describe, workers=[address]))[address]
            await client.run(rpc.prepare, self._context, workers=[address])
        except Exception:  # noqa: BLE001 - it died again, perhaps: then the others do the rest
            _log.exception("a worker at %s came, and could not be taken in", address)
            return
        self._do(self._state.on_worker_added(info))

    def _sweep_later(self) -> None:
        self._sweeper = self._link.loop.call_later(_SWEEP_S, self._guard.step(self._sweep))

    def _sweep(self) -> None:
        """Look for what no event tells of: a lost scheduler, jobs that Dask has given up, a run with nothing to do."""
        if self._is_closed:
            return
        # A client that lost its scheduler has given up all Futures, even if it finds it again.
        if self._link.client.status != "running":
            n_open = len(self._state.queue.jobs)
            raise PoolError(
                "The Dask scheduler is gone, and with it the connection to all workers.",
                seen=f"the client of rank 1 is {self._link.client.status}; {n_open} jobs were open.",
                next_step="look at rank-0.log of this run; the same command continues the workflow.",
            )
        self._sweep_later()
        for key, future in list(self._futures.items()):
            if future.status in ("error", "cancelled", "lost"):
                self._guard.in_background(self._note_given_up(key, future))
        if self._state.may_be_over:
            set_aside = tuple(self._state.set_aside.values())
            self._do(self._state.on_look(nothing_else=self._snakemake.has_nothing_else(set_aside)))
        # Jobs that are too long by now are found where something starts or ends, and here.
        self._take_turn_soon()

    async def _note_given_up(self, key: str, future: distributed.Future[Any]) -> None:
        error = await future.exception() if future.status == "error" else None
        reason = f"Dask gave it up: {error!r}" if error else "Dask gave it up"
        if self._futures.get(key) is future:
            self._do(self._state.on_given_up(key, reason))

    def _take_turn_soon(self) -> None:
        """Place once for all that happens in this turn of the loop."""
        if not self._turn_is_due:
            self._turn_is_due = True
            self._link.loop.call_soon(self._guard.step(self._take_turn))

    def _take_turn(self) -> None:
        self._turn_is_due = False
        self._carry_out(self._state.on_turn())

    def _wake_at_the_next_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if (in_s := self._state.next_alarm_s()) is not None and not self._is_closed:
            self._alarm = self._link.loop.call_later(in_s, self._guard.step(lambda: self._do(self._state.on_time())))

    # -- what is done --------------------------------------------------------------------------

    def _do(self, actions: list[Action]) -> None:
        """Carry out what an event asks for, and look at once who can start now."""
        self._carry_out(actions)
        self._take_turn_soon()
        self._wake_at_the_next_alarm()

    def _carry_out(self, actions: list[Action]) -> None:  # noqa: C901, PLR0912 - a table
        for action in actions:
            match action:
                case Start(job, grant):
                    self._start(job, grant)
                case Release(key):
                    if (future := self._futures.pop(key, None)) is not None:
                        future.release()
                case Report(job, outcome):
                    self._snakemake.report(job, outcome)
                case TakeBack(job, outcome):
                    self._snakemake.take_back(job, outcome)
                case EndJob(key, worker, reason):
                    self._order(rpc.kill_job, key, reason, workers=[worker])
                case EndJobs(kind, reason, at_once):
                    self._order(rpc.end_jobs, kind, reason, at_once=at_once)
                case EndLocalJobs():
                    if self._snakemake.end_local_jobs():
                        self._carry_out(self._state.on_local_jobs_ended())
                case EndRun(set_aside):
                    self._snakemake.end_run(set_aside)
                case Respawn(name):
                    self._world.respawn(name)
                case Say(text, is_warning):
                    self._snakemake.say(text, is_warning=is_warning)

    def _start(self, job: Job, grant: Grant) -> None:
        self._snakemake.mark(job)
        self._futures[job.key] = self._link.client.submit(
            rpc.run_job,
            job.spec,
            grant,
            key=f"daskmpi-{job.key}-{next(self._submissions)}",
            workers=[job.worker],
            allow_other_workers=False,
            retries=0,
            pure=False,
        )

    def _order(self, what: Callable[..., Any], *arguments: Any, **options: Any) -> None:
        """Have workers do something that is not waited for."""
        self._guard.in_background(self._link.client.run(what, *arguments, on_error="ignore", **options))

    # -- the end -------------------------------------------------------------------------------

    async def _cancel(self) -> None:
        for action in self._state.on_cancel():
            if isinstance(action, EndJobs):
                await self._link.client.run(rpc.end_jobs, action.kind, on_error="ignore")

    def _hurry(self) -> None:
        self._carry_out(self._state.on_hurry())
        if self._cancelling is not None:
            self._link.loop.call_later(graces.HURRY_S, self._cancelling.cancel)

    async def _close(self) -> None:
        self._is_closed = True
        for handle in (self._alarm, self._sweeper):
            if handle is not None:
                handle.cancel()
        self._link.client.unsubscribe_topic(TOPIC)
        self._link.client.unsubscribe_topic("all")
