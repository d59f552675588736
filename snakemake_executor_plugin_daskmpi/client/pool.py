"""The pool of workers as rank 1 sees it: a Dask client that carries out what the state of the run asks for.

Runs on: rank 1. The Dask client lives in an event loop and daemon thread of its own, its
:class:`~snakemake_executor_plugin_daskmpi.world.link.Link`; methods without underscore are called from
Snakemake's threads, all others run in that loop, each under the one :mod:`guard`.

Jobs are no tasks of Dask's, which costs more than a short job does: they go to their workers on streams, over Dask's
connections. Dask knows who is there and who is lost.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.client import actions as do
from snakemake_executor_plugin_daskmpi.client.drains import Drains
from snakemake_executor_plugin_daskmpi.client.guard import Guard
from snakemake_executor_plugin_daskmpi.client.reception import Reception
from snakemake_executor_plugin_daskmpi.client.worker_streams import WorkerStreams
from snakemake_executor_plugin_daskmpi.errors import PoolError
from snakemake_executor_plugin_daskmpi.rank import graces

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from concurrent.futures import Future

    from snakemake_executor_plugin_daskmpi.client.actions import Action
    from snakemake_executor_plugin_daskmpi.client.grower import Grower
    from snakemake_executor_plugin_daskmpi.client.job import Job
    from snakemake_executor_plugin_daskmpi.client.recorder import Recorder
    from snakemake_executor_plugin_daskmpi.client.reports import Reports
    from snakemake_executor_plugin_daskmpi.client.run_state import RunState
    from snakemake_executor_plugin_daskmpi.messages import Grant, JobOutcome, RunContext
    from snakemake_executor_plugin_daskmpi.placement.deadline import Deadline
    from snakemake_executor_plugin_daskmpi.resources import WorkerResources
    from snakemake_executor_plugin_daskmpi.world.link import World

#: Seconds between two looks for what no event tells of.
_SWEEP_S = 1.0
#: Each time that Snakemake is told of jobs that are done, it takes some 10 ns for each job that it takes for running.
#: It is told so many seconds for each of these later, and at most so many: then that costs a percent.
_GATHER_S_PER_JOB, _LONGEST_GATHER_S = 1e-6, 0.1


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
    recorder
        Notes what happens.
    """

    def __init__(self, world: World, state: RunState, snakemake: Reports, recorder: Recorder) -> None:
        self._world, self._link = world, world.link
        self._state, self._snakemake, self._recorder = state, snakemake, recorder
        #: Jobs that Snakemake's threads have submitted and the loop has yet to see.
        self._inbox: deque[Job] = deque()
        self._has_mail = False
        self._turn_is_due = self._is_closed = False
        self._sweeper: asyncio.TimerHandle | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._telling: asyncio.TimerHandle | None = None
        self.guard = Guard(self._break)
        self._streams = WorkerStreams(
            self._link.client, self.guard, self._lose, self._on_outcomes, self._snakemake.warn
        )
        self._reception = Reception(world, state, recorder, self.guard, self._streams, self._do)
        self._has_looked = False
        self._cancelling: Future[None] | None = None

    # -- called by the executor, in Snakemake's threads ------------------------------------

    def open(self, context: RunContext, timeout_s: float) -> Mapping[str, WorkerResources]:
        """Wait for all workers of the world, prepare them for a run, and return what they offer by name."""
        return self._link.call(self._open(context, timeout_s))

    def watch(self, deadline: Deadline) -> None:
        """Keep a deadline."""
        self._recorder.deadline(deadline)
        self._tell(lambda: self._state.on_deadline_known(deadline))

    def submit(self, job: Job) -> None:
        """Queue a job. Its outcome is reported even if no worker can ever hold it."""
        self._inbox.append(job)
        if not self._has_mail:
            self._has_mail = True
            self._tell(self._take_in)

    def drain(self, what: Drains) -> None:
        """Start nothing any more; running jobs go on. May be called by a signal's handler."""
        self._tell(lambda: self._state.on_drain(what))

    def cancel(self) -> None:
        """Forget the queue and end all running jobs; returns when their processes are gone."""
        self._cancelling = asyncio.run_coroutine_threadsafe(self._cancel(), self._link.loop)
        self._cancelling.result(graces.CANCEL_S)

    def hurry(self) -> None:
        """Let a :meth:`cancel` be quick: SIGKILL now. May be called by a signal's handler."""
        self._link.loop.call_soon_threadsafe(self.guard.step(self._hurry))

    def close(self) -> None:
        """Stop listening. The world stays."""
        self._link.call(self._close(), timeout_s=graces.CANCEL_S)

    def tell(self, step: Callable[[], None]) -> None:
        """Have something done in the loop; an error in it breaks the run. May be called by a signal's handler."""
        self._link.loop.call_soon_threadsafe(self.guard.step(step))

    def _tell(self, event: Callable[[], list[Action]]) -> None:
        self.tell(lambda: self._do(event()))

    def _take_in(self) -> list[Action]:
        self._has_mail = False
        actions = []
        while self._inbox:
            actions += self._state.on_submitted(job := self._inbox.popleft())
            self._recorder.submitted(job)
        return actions

    def _break(self, error: Exception) -> None:
        if self._is_closed:
            return
        if self._snakemake.is_heard:
            self._snakemake.on_broken(error)
        else:
            self._link.loop.call_later(_SWEEP_S, self._break, error)

    # -- called by whoever lets the run grow, in the loop's thread -------------------------------

    @property
    def grower(self) -> Grower | None:
        """Who lets the run grow, if anybody does."""
        return self._reception.grower

    @grower.setter
    def grower(self, grower: Grower | None) -> None:
        self._reception.grower = grower

    def dismiss(self, addresses: Iterable[str], why: str) -> None:
        """Let workers take no further jobs, and each of them leave as soon as it has none."""
        self._do(self._state.on_dismiss(addresses, why))

    def refuse_held(self, keys: Iterable[str], why: str) -> None:
        """Hold jobs no longer for a worker that could run them: none will come, and why."""
        self._do(self._state.on_no_growth(keys, why))

    # -- what happens --------------------------------------------------------------------------

    async def _open(self, context: RunContext, timeout_s: float) -> Mapping[str, WorkerResources]:
        offers = await self._reception.open(context, timeout_s)
        self._sweep_later()
        return offers

    async def _lose(self, address: str) -> None:
        await self._reception.lose(address)

    def _on_outcomes(self, outcomes: list[JobOutcome]) -> None:
        self._do([action for outcome in outcomes for action in self._state.on_outcome(outcome)])

    def _stop_if_failed(self) -> list[Action]:
        stops = self._snakemake.stops and (self._state.queue.waiting or self._state.held)
        return self._state.on_drain(Drains.FAILURE) if stops else []

    def _sweep_later(self) -> None:
        self._sweeper = self._link.loop.call_later(_SWEEP_S, self.guard.step(self._sweep))

    def _sweep(self) -> None:
        """Look for what no event tells of: a lost scheduler, a run with nothing to do."""
        if self._is_closed:
            return
        # Even if the client finds it again: who was lost meanwhile would never be told.
        if self._link.client.status != "running":
            n_open = len(self._state.queue.jobs)
            raise PoolError(
                "The Dask scheduler is gone, and with it the connection to all workers.",
                seen=f"the client of rank 1 is {self._link.client.status}; {n_open} jobs were open.",
                next_step="look at rank-0.log of this run; the same command continues the workflow.",
            )
        self._sweep_later()
        if not self._has_looked:
            self._has_looked = True
            self._reception.look()
        self._tell_of_done()
        self._do(self._stop_if_failed())  # of a local rule perhaps, or without its output
        if self.grower is not None:
            self.grower.on_sweep()
        self._recorder.waiting(self._state.reasons)
        self._recorder.set_aside(self._state.set_aside.values(), self._state.why_draining)
        self._recorder.show_life()
        if self._state.may_be_over:
            set_aside = tuple(self._state.set_aside.values())
            self._do(self._state.on_look(nothing_else=self._snakemake.has_nothing_else(set_aside)))
        # Jobs that are too long by now are found where something starts or ends, and here.
        self._take_turn_soon()

    def _take_turn_soon(self) -> None:
        """Place once for all that happens in this turn of the loop."""
        if not self._turn_is_due:
            self._turn_is_due = True
            self._link.loop.call_soon(self.guard.step(self._take_turn))

    def _take_turn(self) -> None:
        self._turn_is_due = False
        self._carry_out(self._state.on_turn())
        self._recorder.drain(self._state.why_draining)
        self._recorder.flush()

    def _wake_at_the_next_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if (in_s := self._state.next_alarm_s()) is not None and not self._is_closed:
            self._alarm = self._link.loop.call_later(in_s, self.guard.step(lambda: self._do(self._state.on_time())))

    # -- what is done --------------------------------------------------------------------------

    def _do(self, actions: list[Action]) -> None:
        """Carry out what an event asks for, and look at once who can start now."""
        self._carry_out(actions)
        if self._snakemake.has_failed:
            self._carry_out(self._stop_if_failed())
        self._take_turn_soon()
        self._wake_at_the_next_alarm()

    def _carry_out(self, actions: list[Action]) -> None:  # noqa: C901, PLR0912 - a table
        for action in actions:
            match action:
                case do.Start(job, grant):
                    self._start(job, grant)
                case do.Report(job, outcome):
                    self._snakemake.report(job, outcome)
                case do.TakeBack(job, outcome):
                    self._snakemake.take_back(job, outcome)
                case do.WaitAgain(job, outcome, again):
                    self._snakemake.undo(job, outcome)
                    self._recorder.submitted(again, again_of=job.key)
                case do.EndJob(key, worker, reason):
                    self._streams.end_job(worker, key, reason)
                case do.EndJobs(kind, reason, at_once, worker):
                    self._streams.end_jobs(kind, reason, at_once=at_once, address=worker)
                case do.Dismiss(worker):
                    self._streams.dismiss(worker)
                case do.EndLocalJobs():
                    if self._snakemake.end_local_jobs():
                        self._carry_out(self._state.on_local_jobs_ended())
                case do.EndRun(set_aside):
                    why = self._state.why_draining
                    self._recorder.set_aside(set_aside, why)
                    self._snakemake.end_run(set_aside, ends_by_itself=why == Drains.FAILURE.value)
                case do.Respawn(name):
                    self._world.respawn(name)
                case do.Say(text, is_warning):
                    self._snakemake.say(text, is_warning=is_warning)
        if self._snakemake.done and self._telling is None:
            in_s = min(len(self._state.queue.jobs) * _GATHER_S_PER_JOB, _LONGEST_GATHER_S)
            self._telling = self._link.loop.call_later(in_s, self.guard.step(self._tell_of_done))

    def _tell_of_done(self) -> None:
        self._telling = None
        self._snakemake.tell_of_done()

    def _start(self, job: Job, grant: Grant) -> None:
        self._snakemake.mark(job)
        worker = job.worker or ""
        self._recorder.started(job, self._state.queue.workers[worker].name, grant)
        self._streams.run(worker, job.spec, grant)

    # -- the end -------------------------------------------------------------------------------

    async def _cancel(self) -> None:
        self._tell_of_done()
        for action in self._state.on_cancel():
            if isinstance(action, do.EndJobs):
                await self._streams.end_jobs(action.kind, action.reason, at_once=False)

    def _hurry(self) -> None:
        self._carry_out(self._state.on_hurry())
        if self._cancelling is not None:
            self._link.loop.call_later(graces.HURRY_S, self._cancelling.cancel)

    async def _close(self) -> None:
        self._is_closed = True
        self._tell_of_done()
        for handle in (self._alarm, self._sweeper, self._telling):
            if handle is not None:
                handle.cancel()
        self._reception.close()
        self._streams.close()
