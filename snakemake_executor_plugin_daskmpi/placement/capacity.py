"""What of one worker is free, and what is held back for a job that waits for it.

Runs on: rank 1. Pure.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from snakemake_executor_plugin_daskmpi import resources

if TYPE_CHECKING:
    from snakemake_executor_plugin_daskmpi.resources import JobResources, WorkerResources


class Amounts(NamedTuple):
    """How much of each resource, without saying which cores or GPUs."""

    cores: int = 0
    mem_mb: int = 0
    disk_mb: int = 0
    gpus: int = 0

    @classmethod
    def asked(cls, request: JobResources) -> Amounts:
        """Return what a job takes while it runs."""
        return cls(request.cores, request.mem_mb, request.disk_mb, request.gpus)

    @classmethod
    def of_task(cls, request: JobResources) -> Amounts:
        """Return what one task of an MPI program takes, rounded up; GPUs are not split."""
        cores, mem_mb, disk_mb = (-(-n // request.tasks) for n in (request.cores, request.mem_mb, request.disk_mb))
        return cls(cores, mem_mb, disk_mb, request.gpus)

    @classmethod
    def offered(cls, offer: WorkerResources) -> Amounts:
        """Return what an idle worker has."""
        return cls(len(offer.cores), offer.mem_mb, offer.disk_mb, len(offer.gpus))

    def within(self, other: Amounts) -> bool:
        """Say whether no resource exceeds that of another."""
        return self[0] <= other[0] and self[1] <= other[1] and self[2] <= other[2] and self[3] <= other[3]

    def plus(self, other: Amounts) -> Amounts:
        """Return the sum, resource by resource."""
        return Amounts(self[0] + other[0], self[1] + other[1], self[2] + other[2], self[3] + other[3])

    def minus(self, other: Amounts) -> Amounts:
        """Return the difference, resource by resource, which may be negative."""
        return Amounts(self[0] - other[0], self[1] - other[1], self[2] - other[2], self[3] - other[3])

    def times(self, number: int) -> Amounts:
        """Return so many of these together."""
        return Amounts(self[0] * number, self[1] * number, self[2] * number, self[3] * number)

    def holds(self, each: Amounts) -> int:
        """Return how many of something there is room for; one of no size counts as one.

        >>> Amounts(cores=8, mem_mb=3000).holds(Amounts(cores=2, mem_mb=1000))
        3
        """
        return min((have // need for have, need in zip(self, each, strict=True) if need), default=1)


class Capacity:
    """One worker: what it has, what of it is free, and which jobs have the rest.

    While it is reserved for a job, others may start only if they could run beside that job on the otherwise idle
    worker. All that ran before the reservation ends some time, and then the reserved job fits.
    """

    def __init__(self, name: str, offer: WorkerResources, step_group: str = "") -> None:
        self.name = name
        self.offer = offer
        #: Workers of one group can share the tasks of an MPI program; "" can share with none.
        self.step_group = step_group
        #: When what runs there is ended, on the clock of its deadline.
        self.jobs_end_at = math.inf
        self.total = self.free = Amounts.offered(offer)
        #: What is left beside the reserved job and those that started since; None without a reservation.
        self.beside: Amounts | None = None
        #: What each running job takes: amounts, core ids, GPU ids.
        self.running: dict[str, tuple[Amounts, list[int], list[str]]] = {}
        self._free_cores = sorted(offer.cores)
        self._free_gpus = list(offer.gpus)
        self._started_since: set[str] = set()

    def serves(self, component: str) -> bool:
        """Say whether it takes jobs of a component."""
        return resources.serves(self.offer, component)

    def room(self, *, heeding: bool) -> Amounts:
        """Return what may be taken now by a job that heeds the reservation, or by one that need not."""
        if self.beside is None or not heeding:
            return self.free
        (a, b, c, d), (e, f, g, h) = self.free, self.beside
        return Amounts(min(a, e), min(b, f), min(c, g), min(d, h))

    def start(self, key: str, needs: Amounts) -> tuple[tuple[int, ...], tuple[str, ...]]:
        """Take what a job needs, and return the ids of its cores (the lowest free ones) and of its GPUs."""
        cores, self._free_cores = self._free_cores[: needs.cores], self._free_cores[needs.cores :]
        gpus, self._free_gpus = self._free_gpus[: needs.gpus], self._free_gpus[needs.gpus :]
        self.running[key] = (needs, cores, gpus)
        self.free = self.free.minus(needs)
        if self.beside is not None:
            self.beside = self.beside.minus(needs)
            self._started_since.add(key)
        return tuple(cores), tuple(gpus)

    def end(self, key: str) -> None:
        """Give back what a job took."""
        needs, cores, gpus = self.running.pop(key)
        self._free_cores = sorted(self._free_cores + cores)
        self._free_gpus = sorted(self._free_gpus + gpus, key=self.offer.gpus.index)
        self.free = self.free.plus(needs)
        if self.beside is not None and key in self._started_since:
            self._started_since.remove(key)
            self.beside = self.beside.plus(needs)

    def hand_over(self, key: str, successor: str) -> None:
        """Let another job have what a job had."""
        self.running[successor] = self.running.pop(key)
        if key in self._started_since:
            self._started_since.remove(key)
            self._started_since.add(successor)

    def reserve(self, needs: Amounts) -> None:
        """Hold back what a job needs, in place of what was held back before."""
        self.beside = self.total.minus(needs)
        self._started_since.clear()

    def unreserve(self) -> None:
        """Hold nothing back any more."""
        self.beside = None
