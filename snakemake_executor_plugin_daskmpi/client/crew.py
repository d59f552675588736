"""Which workers of a run are awaited since they were lost, and which leave it. Pure but for the clock.

Runs on: rank 1, in the link's thread.

A worker leaves when its own time ends, or nothing is left for it. From then on it takes no jobs, what it has may end,
and as soon as it has none it is dismissed. What still runs when its time is over is ended, and waits again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import TYPE_CHECKING, NamedTuple

from snakemake_executor_plugin_daskmpi.client.actions import Dismiss, EndJobs, Respawn, Say
from snakemake_executor_plugin_daskmpi.client.wait_reasons import listed
from snakemake_executor_plugin_daskmpi.messages import OutcomeKind
from snakemake_executor_plugin_daskmpi.placement.deadline import Deadline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from snakemake_executor_plugin_daskmpi.client.actions import Action
    from snakemake_executor_plugin_daskmpi.client.job import Job
    from snakemake_executor_plugin_daskmpi.client.job_queue import JobQueue
    from snakemake_executor_plugin_daskmpi.messages import JobOutcome, WorkerInfo

#: Those of an allocation end together but for parts of a second: seconds within which they are one event.
_TOGETHER_S = 1.0


class _Alarm(NamedTuple):
    """When something is due for a worker."""

    when: float
    address: str
    #: Whether what runs there is to be ended; else no jobs start there any more.
    is_end: bool


@dataclass(slots=True)
class Crew:
    """Who is awaited, and who leaves.

    Parameters
    ----------
    queue
        Has the jobs of the workers that are there.
    patience_s
        Seconds to wait for a lost worker that is started anew.
    clock
        Seconds that never go back.
    """

    queue: JobQueue
    patience_s: float
    clock: Callable[[], float]
    #: When to give up a lost worker, by its name.
    awaited: dict[str, float] = field(default_factory=dict)
    #: Why workers leave, by address, in words.
    leaving: dict[str, str] = field(default_factory=dict)
    #: Those that were told to.
    _dismissed: set[str] = field(default_factory=set)
    #: Those whose jobs were told to end, since their time is over.
    _over: set[str] = field(default_factory=set)
    #: Why workers left that were lost while they did, by name: they may be started anew all the same.
    _unwanted: dict[str, str] = field(default_factory=dict)
    _deadlines: dict[str, Deadline] = field(default_factory=dict)
    #: A heap; those of workers that have gone count no more.
    _alarms: list[_Alarm] = field(default_factory=list)

    def next_in_s(self) -> float | None:
        """Return in how many seconds something is due; None if at no certain time."""
        while self._alarms and self._alarms[0].address not in self._deadlines:
            heappop(self._alarms)
        due = [*self.awaited.values(), *(alarm.when for alarm in self._alarms[:1])]
        return min(due) - self.clock() if due else None

    def why_dismissed(self, address: str) -> str | None:
        """Return why a worker was told to leave; None if it was not."""
        return self.leaving[address] if address in self._dismissed else None

    # -- they come -----------------------------------------------------------------------------

    def welcome(self, info: WorkerInfo) -> list[Action]:
        """Take in a worker, and say if it is one that was lost; let it leave at once if nobody wants it any more."""
        deadline = self._deadline_of(info)
        self.queue.add_worker(info, deadline)
        is_back = self.awaited.pop(info.name, None) is not None
        actions: list[Action] = [Say(f"worker {info.name} on {info.host} is back.")] if is_back else []
        if deadline is not None and deadline.drains_in_s <= 0:
            return [*actions, *self.let_leave([info.address], _end_text(deadline))]
        if info.name in self._unwanted:
            return [*actions, *self.let_leave([info.address], self._unwanted[info.name])]
        return actions

    def _deadline_of(self, info: WorkerInfo) -> Deadline | None:
        """Return by when a worker leaves if the others stay, and set its alarms."""
        if info.ends_in_s is None:
            return None
        now = self.clock()
        deadline = self._deadlines[info.address] = Deadline(
            ends_at=now + info.ends_in_s,
            length_s=max(info.length_s, info.ends_in_s),
            said_by=f"Slurm job {info.allocation}" if info.allocation else f"the time of {info.name}",
            clock=self.clock,
        )
        heappush(self._alarms, _Alarm(now + deadline.drains_in_s, info.address, is_end=False))
        heappush(self._alarms, _Alarm(now + deadline.ends_jobs_in_s, info.address, is_end=True))
        return deadline

    # -- they are lost -------------------------------------------------------------------------

    def lose(self, info: WorkerInfo, *, comes_back: bool) -> list[Action]:
        """Await a lost worker if it is started anew and was not about to leave, and say so."""
        why = self.leaving.get(info.address)
        self.forget(info.address)
        if why is not None:
            self._unwanted[info.name] = why
            return []
        if not comes_back:
            return []
        self.awaited[info.name] = self.clock() + self.patience_s
        more = f"; {info.lives_left - 1} more if need be" if info.lives_left > 1 else ", for the last time"
        text = f"worker {info.name} on {info.host} was lost, and is started anew{more}."
        # Those of a further allocation have keepers, as all ranks of an MPI world have.
        return [Say(text, is_warning=True), *([] if info.allocation else [Respawn(info.name)])]

    def give_up(self) -> list[Action]:
        """Give up the lost workers that did not come back in time, and say so."""
        now = self.clock()
        late = [name for name, when in self.awaited.items() if when <= now]
        for name in late:
            del self.awaited[name]
        text = "worker {} did not come back in time (--daskmpi-startup-timeout)."
        return [Say(text.format(name), is_warning=True) for name in late]

    # -- they leave ----------------------------------------------------------------------------

    def let_leave(self, addresses: Iterable[str], why: str, *, quietly: bool = False) -> list[Action]:
        """Let workers take no jobs any more, dismiss those that have none, and say so unless somebody else does."""
        there = (self.queue.workers[address] for address in addresses if address in self.queue.workers)
        new = [info for info in there if info.address not in self.leaving]
        if not new:
            return []
        for info in new:
            self.leaving[info.address] = why
            self.queue.close_worker(info.address)
        who = f"worker {new[0].name} takes" if len(new) == 1 else f"workers {listed([i.name for i in new])} take"
        text = f"{who} no further jobs, and leave{'s' * (len(new) == 1)}: {why}."
        said = [] if quietly else [Say(text)]
        return [*said, *self.dismiss_idle()]

    def dismiss_idle(self) -> list[Action]:
        """Dismiss those that leave and have no job any more."""
        idle = [address for address in self.leaving.keys() - self._dismissed if self.queue.is_done(address)]
        self._dismissed.update(idle)
        return [Dismiss(address) for address in sorted(idle)]

    def at_their_ends(self) -> list[Action]:
        """Let workers leave whose time ends, and end what runs on those whose time is over."""
        leave: dict[str, list[str]] = {}
        over: dict[str, str] = {}
        for address, is_end in self._due():
            deadline = self._deadlines[address]
            if is_end:
                over[address] = _end_text(deadline)
            else:
                leave.setdefault(deadline.said_by, []).append(address)
        actions: list[Action] = []
        for addresses in leave.values():
            actions += self.let_leave(addresses, _end_text(self._deadlines[addresses[0]]))
        return [*actions, *self._end_jobs(over)] if over else actions

    def _due(self) -> list[tuple[str, bool]]:
        """Return for which workers something is due, and whether it is the end of their jobs."""
        now, due = self.clock(), []
        if self._alarms and self._alarms[0].when <= now:
            while self._alarms and self._alarms[0].when <= now + _TOGETHER_S:
                alarm = heappop(self._alarms)
                if alarm.address in self._deadlines:
                    due.append((alarm.address, alarm.is_end))
        return due

    def _end_jobs(self, over: dict[str, str]) -> list[Action]:
        """End what runs on workers, by address with the reason, and say so."""
        self._over |= over.keys()
        running = [job for job in self.queue.jobs.values() if job.worker in over]
        if not running:
            return []
        where = dict.fromkeys(job.worker or "" for job in running)
        names = listed([job.spec.name for job in running])
        text = f"{over[next(iter(where))]}: what still runs there is ended, and starts anew elsewhere: {names}."
        ends = [EndJobs(OutcomeKind.TIMED_OUT, over[address], worker=address) for address in where]
        return [Say(text, is_warning=True), *ends]

    def again(self, job: Job, outcome: JobOutcome) -> Job | None:
        """Return a job as it waits again if it was ended since its worker's time is over; None if it was not."""
        if outcome.kind not in (OutcomeKind.TIMED_OUT, OutcomeKind.CANCELLED) or job.worker not in self._over:
            return None
        return job.again(outcome.ended_at - outcome.started_at)

    def forget(self, address: str) -> None:
        """Forget a worker that is gone."""
        self.leaving.pop(address, None)
        self._deadlines.pop(address, None)
        self._dismissed.discard(address)
        self._over.discard(address)


def _end_text(deadline: Deadline) -> str:
    return f"{deadline.said_by} ends at {deadline.end_time()}"
