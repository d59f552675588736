"""The workers there are, and which of them, alone or together, could hold a job when idle.

Runs on: rank 1. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.placement.capacity import Amounts, Capacity
from snakemake_executor_plugin_daskmpi.placement.refusal import Refusal, refusal_of
from snakemake_executor_plugin_daskmpi.placement.spread import most_tasks

if TYPE_CHECKING:
    from snakemake_executor_plugin_daskmpi.resources import JobResources, WorkerResources


class Fleet:
    """All workers by name."""

    def __init__(self) -> None:
        self.workers: dict[str, Capacity] = {}
        #: Whether any of them names the components that it serves.
        self.names_components = False
        self._serving: dict[str, list[Capacity]] = {}

    @property
    def most(self) -> Amounts:
        """The most that any worker offers of each resource."""
        totals = (worker.total for worker in self.workers.values())
        return Amounts(*(max(amounts) for amounts in zip(Amounts(), *totals, strict=True)))

    def add(self, name: str, offer: WorkerResources, step_group: str) -> Capacity:
        """Take in a worker; ValueError if one of this name is there."""
        if name in self.workers:
            raise ValueError(f"worker {name} is already there")
        worker = self.workers[name] = Capacity(name, offer, step_group)
        self._note_components()
        return worker

    def remove(self, name: str) -> Capacity | None:
        """Forget a worker, and return it if there was one."""
        worker = self.workers.pop(name, None)
        self._note_components()
        return worker

    def serving(self, component: str) -> list[Capacity]:
        """Return the workers that take jobs of a component; not to be changed."""
        if component not in self._serving:
            self._serving[component] = [worker for worker in self.workers.values() if worker.serves(component)]
        return self._serving[component]

    def needs_several(self, request: JobResources) -> bool:
        """Say whether a job may share several workers and fits no single one, even if that is idle."""
        return request.spans and not self._one_holds(request)

    def can_hold(self, request: JobResources) -> bool:
        """Say whether a worker, or several together, could hold a job when idle."""
        if self._one_holds(request):
            return True
        return request.spans and most_tasks(request, self.serving(request.component)) >= request.tasks

    def refusal(self, request: JobResources) -> Refusal | None:
        """Say why no worker, nor several together, could hold a job even when idle; None if they could."""
        if self.can_hold(request):
            return None
        together = most_tasks(request, self.serving(request.component))
        return refusal_of(request, list(dict.fromkeys(worker.offer for worker in self.workers.values())), together)

    def _one_holds(self, request: JobResources) -> bool:
        needs = Amounts.asked(request)
        return any(needs.within(worker.total) for worker in self.serving(request.component))

    def _note_components(self) -> None:
        self._serving = {}
        self.names_components = any(worker.offer.components is not None for worker in self.workers.values())
