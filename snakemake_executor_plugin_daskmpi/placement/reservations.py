"""Which workers are held back for which waiting jobs.

Runs on: rank 1. Pure.

A job that takes from several workers has all its reservations at once or none, so two of them never wait for each
other, each with a part of what the other needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.placement.spread import Parts, spread_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from snakemake_executor_plugin_daskmpi.placement.capacity import Amounts, Capacity
    from snakemake_executor_plugin_daskmpi.placement.shelves import Shape, Shelf


class Reservations:
    """At most one reservation on each worker, for the first job of a shape."""

    def __init__(self) -> None:
        self._holder: dict[str, Shape] = {}

    def room(self, worker: Capacity, shape: Shape) -> Amounts:
        """Return what a shape may take of a worker now: a reservation binds what ranks lower."""
        if worker.beside is None:
            return worker.free
        return worker.room(heeding=shape.rank > self._holder[worker.name].rank)

    def first_fitting(self, shelf: Shelf, index: int, workers: list[Capacity]) -> int:
        """Return the index, from one on, of a shelf's first shape that may fit one of some workers, else the length."""
        shape, mem_mb, disk_mb = shelf.shapes[index], -1, -1
        cores, _, _, gpus = shape.needs
        for worker in workers:
            room = worker.free if worker.beside is None else self.room(worker, shape)
            if room.cores >= cores and room.gpus >= gpus:
                mem_mb, disk_mb = max(mem_mb, room.mem_mb), max(disk_mb, room.disk_mb)
        return shelf.first_within(mem_mb, disk_mb, index)

    def reserve(self, shape: Shape, workers: Iterable[Capacity], *, wide: bool) -> list[Capacity]:
        """Hold back what a shape needs where there is least to wait for, if possible; return workers set free by that.

        Parameters
        ----------
        wide
            Whether it needs several workers.
        """
        # A reservation gives way to one of higher rank, but only where no other worker is able.
        open_to_it = [w for w in workers if w.name not in self._holder or shape.rank < self._holder[w.name].rank]
        open_to_it.sort(key=lambda w: (w.name in self._holder, -w.free[shape.dominant]))
        able = next((worker for worker in open_to_it if shape.needs.within(worker.total)), None)
        parts: Parts = [] if able is None else [(able, shape.needs)]
        if wide:
            parts = spread_of(shape.request, ((worker, worker.total) for worker in open_to_it))
        displaced = [self._holder[worker.name] for worker, _ in parts if worker.name in self._holder]
        freed = [worker for other in displaced for worker in self.give_up(other)]
        for worker, needs in parts:
            worker.reserve(needs)
            self._holder[worker.name] = shape
        shape.reserved = tuple(worker for worker, _ in parts)
        return freed

    def give_up(self, shape: Shape) -> tuple[Capacity, ...]:
        """Give up the reservations for a shape, and return the workers that were held back for it."""
        workers, shape.reserved = shape.reserved, ()
        for worker in workers:
            worker.unreserve()
            del self._holder[worker.name]
        return workers

    def give_up_on(self, worker: Capacity) -> tuple[Capacity, ...]:
        """Give up the reservation that a worker is part of, if any, and return all workers that were held back."""
        holder = self._holder.get(worker.name)
        return () if holder is None else self.give_up(holder)
