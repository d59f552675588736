"""What happens in a run, as a state: events go in, actions come out. Pure but for the clock.

Runs on: rank 1, in the link's thread.

Each story is one function: a worker dies (:meth:`RunState.on_worker_lost`) or leaves (``on_dismiss``), the deadline
comes (``on_time``), the user presses Ctrl-C (``on_cancel``), a signal asks to drain (``on_drain``), a job ends
(``on_outcome``). The pool carries the actions out, in their order.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.client import wait_reasons
from snakemake_executor_plugin_daskmpi.client.actions import (
    EndJob,
    EndJobs,
    EndLocalJobs,
    EndRun,
    Report,
    Say,
    TakeBack,
    WaitAgain,
)
from snakemake_executor_plugin_daskmpi.client.crew import Crew
from snakemake_executor_plugin_daskmpi.client.drains import Drains
from snakemake_executor_plugin_daskmpi.client.withheld import Withheld
from snakemake_executor_plugin_daskmpi.messages import JobOutcome, OutcomeKind, WorkerInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable

    from snakemake_executor_plugin_daskmpi.client.actions import Action
    from snakemake_executor_plugin_daskmpi.client.job import Job
    from snakemake_executor_plugin_daskmpi.client.job_queue import JobQueue
    from snakemake_executor_plugin_daskmpi.placement.deadline import Deadline
    from snakemake_executor_plugin_daskmpi.placement.refusal import Refusal
    from snakemake_executor_plugin_daskmpi.record.events import Reason

#: Seconds between two looks for jobs that no worker has time for any more.
_LOOK_S = 1.0


@dataclass(slots=True)
class RunState:
    """The jobs and workers of a run.

    Parameters
    ----------
    queue
        Of the run, empty.
    is_world, is_slurm_step
        Whether the workers are ranks of an MPI world, and of a step of a Slurm job. Then a lost worker, or a body that
        was ended by SIGTERM, may be the first sign that all processes of the run are being ended.
    patience_s
        Seconds to wait for a lost worker that is started anew.
    may_grow
        Whether further workers may come: jobs that none of those that are there can hold wait for them. May change.
    clock
        Seconds that never go back.
    """

    queue: JobQueue
    is_world: bool = False
    is_slurm_step: bool = False
    patience_s: float = 300.0
    may_grow: bool = False
    clock: Callable[[], float] = time.monotonic
    #: Why nothing starts any more, in words; "" while jobs do.
    why_draining: str = ""
    #: Whether the run was cancelled: what comes after that is of no interest.
    is_cancelled: bool = False
    #: Jobs that will not start in this run, by key.
    set_aside: dict[str, Job] = field(default_factory=dict)
    #: Whether Snakemake was told to end.
    is_over: bool = False
    crew: Crew = field(init=False)
    #: Jobs that no worker that is there can hold, and why, by key; one that comes perhaps could.
    _held: dict[str, tuple[Job, Refusal]] = field(default_factory=dict)
    _withheld: Withheld = field(init=False)
    #: Whether what ran at the deadline was told to end.
    _has_ended_jobs: bool = False
    #: How many times in turn there was nothing left to do.
    _looks: int = 0
    #: When it was looked for jobs that no worker has time for any more.
    _looked_at: float = 0.0

    def __post_init__(self) -> None:
        """Begin without workers."""
        self.crew = Crew(self.queue, self.patience_s, self.clock)
        self._withheld = Withheld(self.is_world, self.is_slurm_step, self.clock)

    # -- what the pool asks --------------------------------------------------------------------

    @property
    def is_draining(self) -> bool:
        """Whether nothing starts any more."""
        return bool(self.why_draining) or self.is_cancelled

    @property
    def is_idle(self) -> bool:
        """Whether no job waits or runs."""
        return not (self.queue.jobs or self._held or self._withheld)

    @property
    def held(self) -> list[Job]:
        """The jobs that no worker that is there can hold, and that wait for one that could."""
        return [job for job, _ in self._held.values()]

    @property
    def may_be_over(self) -> bool:
        """Whether only Snakemake knows if anything is left to do: see :meth:`on_look`."""
        return self.is_idle and bool(self.set_aside) and not self.is_over

    def next_alarm_s(self) -> float | None:
        """Return in how many seconds :meth:`on_time` is due at the latest; None if at no certain time."""
        due = [self._withheld.next_in_s()]
        if not self.is_cancelled:
            due.append(self.crew.next_in_s())
            if (deadline := self.queue.deadline) is not None:
                due.append(None if self.why_draining else deadline.drains_in_s)
                due.append(None if self._has_ended_jobs else deadline.ends_jobs_in_s)
        known = [in_s for in_s in due if in_s is not None]
        return max(0.0, min(known)) if known else None

    def reasons(self) -> list[Reason]:
        """Return why jobs wait, those of the highest rank first."""
        held, awaited = self._held.values(), self.crew.awaited
        return [*self.queue.reasons(), *wait_reasons.awaited(held, awaited, may_grow=self.may_grow)]

    # -- workers -------------------------------------------------------------------------------

    def on_worker_added(self, info: WorkerInfo) -> list[Action]:
        """Take in a worker that is ready, the first time or again."""
        return [*self.crew.welcome(info), *self._put_held()]

    def on_worker_lost(self, address: str, unsent: Container[str] = ()) -> list[Action]:
        """Report the jobs that ran on a lost worker, queue those that waited there, and await it if it comes back.

        Parameters
        ----------
        unsent
            Keys of jobs that it was given, and never heard of.
        """
        if (info := self.queue.workers.get(address)) is None:
            return []
        lost = self.queue.lose_worker(address, unsent)
        actions = self.crew.lose(info, comes_back=bool(info.lives_left) and not self.is_cancelled)
        for job in lost.waits:
            actions += self._put(job)
        reason = f"worker {info.name} on {info.host} died while running it"
        for job in lost.ran:
            outcome = JobOutcome(job.key, OutcomeKind.LOST, worker=info.name, host=info.host, reason=reason)
            actions += self._report(job, outcome)
        for job in lost.unplaceable:
            actions += self._put(job)
        # The worker that runs the body ends it; its outcome comes as any other.
        reason = f"worker {info.name} on {info.host}, which had tasks of it, died"
        actions += [EndJob(job.key, job.worker or "", reason) for job in lost.shared]
        return [*actions, *self.crew.dismiss_idle()]

    def on_dismiss(self, addresses: Iterable[str], why: str) -> list[Action]:
        """Let workers take no further jobs, and each of them leave as soon as it has none."""
        leave = self.crew.let_leave(addresses, why, quietly=True)
        return leave if self.is_cancelled else [*leave, *self._put_unplaceable()]

    def on_worker_left(self, address: str) -> list[Action]:
        """Forget a worker that has left as it was told: it had no jobs."""
        if address not in self.queue.workers:
            return []
        self.crew.forget(address)
        return [action for job in self.queue.lose_worker(address).unplaceable for action in self._put(job)]

    def on_no_growth(self, keys: Iterable[str], why: str) -> list[Action]:
        """Report jobs that are held, since no worker will come that could hold them; try those that one may hold."""
        actions: list[Action] = []
        for job, _ in [self._held.pop(key) for key in keys if key in self._held]:
            if (refusal := self.queue.put(job)) is not None:
                actions.append(_refuse(job, replace(refusal, seen=f"{refusal.seen} {why}")))
        return actions

    # -- jobs ----------------------------------------------------------------------------------

    def on_submitted(self, job: Job) -> list[Action]:
        """Let a job wait for its turn, or say why that will not come."""
        return self._put(job)

    def on_turn(self) -> list[Action]:
        """Start all that can start; once for all that has happened in a turn of the event loop."""
        if self.is_draining:
            return []
        actions = self._set_aside(self.queue.take_out_late_ones())
        if self.queue.some_leave and self.clock() - self._looked_at >= _LOOK_S:
            self._looked_at = self.clock()
            actions += [*self.crew.at_their_ends(), *self._put_unplaceable()]
        return [*actions, *self.queue.start()]

    def on_outcome(self, outcome: JobOutcome) -> list[Action]:
        """Report the outcome of a job; nothing if it was reported before."""
        took_s = outcome.ended_at - outcome.started_at if outcome.ended_at else None
        job = self.queue.end(outcome.key, took_s)
        if job is None:
            return []
        if self.is_draining or self.is_over or (again := self.crew.again(job, outcome)) is None:
            return [*self._report(job, outcome), *self.crew.dismiss_idle()]
        return [WaitAgain(job, outcome, again), *self._put(again), *self.crew.dismiss_idle()]

    # -- the end -------------------------------------------------------------------------------

    def on_deadline_known(self, deadline: Deadline) -> list[Action]:
        """Start nothing that would not end in time, drain before the deadline, then end what still runs."""
        self.queue.deadline = deadline
        return []

    def on_time(self) -> list[Action]:
        """Do what is due: drain before the deadline, end what runs at it, give up workers, report what was withheld."""
        actions: list[Action] = []
        if not self.is_cancelled:
            actions += [*self.crew.at_their_ends(), *self._put_unplaceable()]
        if (deadline := self.queue.deadline) is not None and not self.is_cancelled:
            if deadline.drains_in_s <= 0:
                actions += self.on_drain(Drains.DEADLINE, deadline.end_text())
            if deadline.ends_jobs_in_s <= 0 and not self._has_ended_jobs:
                self._has_ended_jobs = True
                actions += [EndLocalJobs()]
                actions += [EndJobs(OutcomeKind.TIMED_OUT, deadline.end_text())] if self.queue.jobs else []
        if given_up := self.crew.give_up():
            actions += [*given_up, *self._put_held()]
        return [*actions, *self._withheld.due()]

    def on_drain(self, what: Drains, words: str = "") -> list[Action]:
        """Start nothing any more; what runs may end."""
        if self.is_draining:
            return []
        self.why_draining = words or what.value
        running = sum(job.worker is not None for job in self.queue.jobs.values())
        waiting = [*self.queue.waiting, *self.held]
        self.queue.take_out(waiting)
        self._held.clear()
        return [Say(what.text(self.why_draining, running), is_warning=True), *self._set_aside(waiting)]

    def on_cancel(self) -> list[Action]:
        """Forget what waits, and end what runs: the user presses Ctrl-C, or Snakemake gives up."""
        self.is_cancelled = True
        self.queue.take_out(self.queue.waiting)
        self._held.clear()
        return [EndJobs(OutcomeKind.CANCELLED)] if self.queue.workers else []

    def on_hurry(self) -> list[Action]:
        """End what runs at once: the user presses Ctrl-C again."""
        return [EndJobs(OutcomeKind.CANCELLED, at_once=True)]

    def on_look(self, *, nothing_else: bool) -> list[Action]:
        """End the run if Snakemake has had nothing left to hand over, twice in turn, but what was set aside."""
        self._looks = self._looks + 1 if nothing_else and self.may_be_over else 0
        return self._end() if self._looks > 1 else []

    def on_local_jobs_ended(self) -> list[Action]:
        """Let the run end: jobs of local rules were ended at the deadline."""
        return self._end()

    # -- steps of these ------------------------------------------------------------------------

    def _put(self, job: Job) -> list[Action]:
        if self.is_draining:
            return self._set_aside([job])
        refusal = self.queue.put(job, waits_for_time=self.may_grow)
        if refusal is None:
            return []
        if (self.crew.awaited or self.may_grow) and not refusal.is_final:
            self._held[job.key] = (job, refusal)
            return []
        return [_refuse(job, refusal)]

    def _put_held(self) -> list[Action]:
        held, self._held = self._held, {}
        return [action for job, _ in held.values() for action in self._put(job)]

    def _put_unplaceable(self) -> list[Action]:
        return [action for job in self.queue.take_out_unplaceable_ones() for action in self._put(job)]

    def _set_aside(self, jobs: Iterable[Job]) -> list[Action]:
        new = {job.key: job for job in jobs}
        self.set_aside |= new
        return self._end() if new and self.why_draining else []

    def _report(self, job: Job, outcome: JobOutcome) -> list[Action]:
        if outcome.kind in (OutcomeKind.TIMED_OUT, OutcomeKind.CANCELLED):
            return [*self._end(), TakeBack(job, outcome)]
        return [*self._withheld.report(job, outcome)]

    def _end(self) -> list[Action]:
        self.is_over = True
        return [EndRun(tuple(self.set_aside.values()))]


def _refuse(job: Job, refusal: Refusal) -> Report:
    return Report(job, JobOutcome(job.key, OutcomeKind.FAILED, reason=str(refusal)))
