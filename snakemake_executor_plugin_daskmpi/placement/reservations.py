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
    from snakemake_executor_plugin_daskmpi.placement.shelves import Pile, Shelf


class Reservations:
    """At most one reservation on each worker, for the first job of a pile."""

    def __init__(self) -> None:
        self._holder: dict[str, Pile] = {}

    def room(self, worker: Capacity, pile: Pile) -> Amounts:
        """Return what a pile may take of a worker now: a reservation binds what ranks lower."""
        if worker.beside is None:
            return worker.free
        return worker.room(heeding=pile.rank > self._holder[worker.name].rank)

    @property
    def piles(self) -> list[Pile]:
        """The piles that workers are held back for."""
        return list(dict.fromkeys(self._holder.values()))

    def holder(self, worker: Capacity) -> Pile | None:
        """Return the pile that a worker is held back for, if any."""
        return self._holder.get(worker.name)

    def first_fitting(self, shelf: Shelf, index: int, workers: list[Capacity]) -> int:
        """Return the index, from one on, of a shelf's first pile that may fit one of some workers, else the length."""
        pile, mem_mb, disk_mb = shelf.piles[index], -1, -1
        cores, _, _, gpus = pile.needs
        for worker in workers:
            room = worker.free if worker.beside is None else self.room(worker, pile)
            if room.cores >= cores and room.gpus >= gpus:
                mem_mb, disk_mb = max(mem_mb, room.mem_mb), max(disk_mb, room.disk_mb)
        return shelf.first_within(mem_mb, disk_mb, index)

    def reserve(self, pile: Pile, workers: Iterable[Capacity], *, wide: bool) -> list[Capacity]:
        """Hold back what a pile needs where there is least to wait for, if possible; return workers set free by that.

        Parameters
        ----------
        wide
            Whether it needs several workers.
        """
        # A reservation gives way to one of higher rank, but only where no other worker is able.
        open_to_it = [w for w in workers if w.name not in self._holder or pile.rank < self._holder[w.name].rank]
        open_to_it.sort(key=lambda w: (w.name in self._holder, -w.free[pile.dominant]))
        able = next((worker for worker in open_to_it if pile.needs.within(worker.total)), None)
        parts: Parts = [] if able is None else [(able, pile.needs)]
        if wide:
            parts = spread_of(pile.request, ((worker, worker.total) for worker in open_to_it))
        displaced = [self._holder[worker.name] for worker, _ in parts if worker.name in self._holder]
        freed = [worker for other in displaced for worker in self.give_up(other)]
        for worker, needs in parts:
            worker.reserve(needs)
            self._holder[worker.name] = pile
        pile.reserved = tuple(worker for worker, _ in parts)
        return freed

    def give_up(self, pile: Pile) -> tuple[Capacity, ...]:
        """Give up the reservations for a pile, and return the workers that were held back for it."""
        workers, pile.reserved = pile.reserved, ()
        for worker in workers:
            worker.unreserve()
            del self._holder[worker.name]
        return workers

    def give_up_on(self, worker: Capacity) -> tuple[Capacity, ...]:
        """Give up the reservation that a worker is part of, if any, and return all workers that were held back."""
        holder = self._holder.get(worker.name)
        return () if holder is None else self.give_up(holder)
