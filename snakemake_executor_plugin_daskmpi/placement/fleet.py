"""The workers there are, and which of them, alone or together, could hold a job when idle.

Runs on: rank 1. Pure but for the clock of deadlines.

Some leave before the others: those have a deadline, by which a job there has to have ended. One that is *closed* takes
no jobs any more, and is none of those that could hold any.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.placement.capacity import Amounts, Capacity
from snakemake_executor_plugin_daskmpi.placement.refusal import NOBODY_CAME, NOBODY_IS_LEFT, refusal_of, too_late_for
from snakemake_executor_plugin_daskmpi.placement.spread import most_tasks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from snakemake_executor_plugin_daskmpi.placement.deadline import Deadline
    from snakemake_executor_plugin_daskmpi.placement.refusal import Refusal
    from snakemake_executor_plugin_daskmpi.resources import JobResources, WorkerResources


class Fleet:
    """All workers by name."""

    def __init__(self) -> None:
        #: Those that take jobs.
        self.workers: dict[str, Capacity] = {}
        #: Those that only let end what they run.
        self.closed: dict[str, Capacity] = {}
        #: Of those that leave before the others.
        self.deadlines: dict[str, Deadline] = {}
        #: Whether there was any, and how many were lost.
        self.had_some, self.n_lost = False, 0
        #: Whether any of them names the components that it serves.
        self.names_components = False
        self._serving: dict[str, list[Capacity]] = {}

    @property
    def most(self) -> Amounts:
        """The most that any worker offers of each resource."""
        totals = (worker.total for worker in self.workers.values())
        return Amounts(*(max(amounts) for amounts in zip(Amounts(), *totals, strict=True)))

    @property
    def idle(self) -> set[str]:
        """The workers that take jobs and have none, by name."""
        return {name for name, worker in self.workers.items() if not worker.running}

    def is_done(self, name: str) -> bool:
        """Say whether a worker that was closed has no job any more."""
        return name in self.closed and not self.closed[name].running

    # -- they come and go ----------------------------------------------------------------------

    def add(self, name: str, offer: WorkerResources, step_group: str, deadline: Deadline | None) -> Capacity:
        """Take in a worker; ValueError if one of this name is there."""
        if name in self.workers or name in self.closed:
            raise ValueError(f"worker {name} is already there")
        worker = self.workers[name] = Capacity(name, offer, step_group)
        if deadline is not None:
            self.deadlines[name], worker.jobs_end_at = deadline, deadline.jobs_end_at
        self.had_some = True
        self._note_components()
        return worker

    def close(self, name: str) -> Capacity | None:
        """Let a worker take no jobs any more, and return it if it did before."""
        worker = self.workers.pop(name, None)
        if worker is not None:
            self.closed[name] = worker
            self.deadlines.pop(name, None)
            self._note_components()
        return worker

    def remove(self, name: str) -> Capacity | None:
        """Forget a worker, and return it if there was one; one that was not closed before counts as lost."""
        self.n_lost += name in self.workers
        worker = self.close(name)
        return self.closed.pop(name, worker)

    # -- who could hold a job ------------------------------------------------------------------

    def serving(self, component: str) -> list[Capacity]:
        """Return the workers that take jobs of a component; not to be changed."""
        if component not in self._serving:
            self._serving[component] = [worker for worker in self.workers.values() if worker.serves(component)]
        return self._serving[component]

    def in_time(self, workers: list[Capacity], minutes: float) -> list[Capacity]:
        """Return those of some workers that are still there when a job that starts now ends; not to be changed."""
        if not self.deadlines:
            return workers
        ends_at = self._now() + 60 * minutes
        return [worker for worker in workers if worker.jobs_end_at >= ends_at]

    def able(self, request: JobResources, minutes: float) -> list[Capacity]:
        """Return the workers that serve a job and have time for it; not to be changed."""
        return self.in_time(self.serving(request.component), minutes)

    def needs_several(self, request: JobResources, minutes: float) -> bool:
        """Say whether a job may share several workers and fits no single one, even if that is idle."""
        return request.spans and not _one_holds(request, self.able(request, minutes))

    def can_hold(self, request: JobResources, minutes: float) -> bool:
        """Say whether a worker, or several together, could hold a job when idle, and have time for it."""
        return _hold(request, self.able(request, minutes))

    def refusal(self, request: JobResources, minutes: float) -> Refusal | None:
        """Say why no worker, nor several together, could hold a job even when idle; None if they could."""
        serving = self.serving(request.component)
        if self.can_hold(request, minutes):
            return None
        if not self.workers and not self.n_lost:
            return NOBODY_IS_LEFT if self.had_some else NOBODY_CAME
        if _hold(request, serving):
            alone = [worker for worker in serving if Amounts.asked(request).within(worker.total)]
            last = max(worker.jobs_end_at for worker in alone or serving)
            return too_late_for(minutes, (last - self._now()) / 60)
        together = most_tasks(request, serving)
        return refusal_of(request, list(dict.fromkeys(worker.offer for worker in self.workers.values())), together)

    def _now(self) -> float:
        """Return the time on the clock that all deadlines share."""
        return next(iter(self.deadlines.values())).clock()

    def _note_components(self) -> None:
        self._serving = {}
        self.names_components = any(worker.offer.components is not None for worker in self.workers.values())


def _one_holds(request: JobResources, workers: Sequence[Capacity]) -> bool:
    needs = Amounts.asked(request)
    return any(needs.within(worker.total) for worker in workers)


def _hold(request: JobResources, workers: Sequence[Capacity]) -> bool:
    if _one_holds(request, workers):
        return True
    return request.spans and most_tasks(request, workers) >= request.tasks
