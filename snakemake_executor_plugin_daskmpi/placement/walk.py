"""One walk through the queue by rank: each job that fits somewhere starts there.

Runs on: rank 1. Pure but for the clock of deadlines.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.placement.shelves import Pile, Rank, Shelf, Shelves
from snakemake_executor_plugin_daskmpi.placement.spread import Parts, spread_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from snakemake_executor_plugin_daskmpi.placement.assignment import Assignment
    from snakemake_executor_plugin_daskmpi.placement.capacity import Capacity
    from snakemake_executor_plugin_daskmpi.placement.fleet import Fleet
    from snakemake_executor_plugin_daskmpi.placement.limit import CoreLimit
    from snakemake_executor_plugin_daskmpi.placement.reservations import Reservations

# A pile to try next: its rank, its index on its shelf, the pile, the workers to try it on.
_Try = tuple[Rank, int, Pile, list["Capacity"]]


@dataclass(slots=True)
class Walk:
    """Finds out who can start where.

    It looks only at what may have changed: workers that got something back, and shelves that got something new. It only
    takes, so what it has passed by needs no second look, and time only runs out.

    Parameters
    ----------
    start
        Takes from workers what the oldest job of a pile needs.
    """

    waiting: Shelves
    fleet: Fleet
    limit: CoreLimit
    reservations: Reservations
    start: Callable[[Pile, Parts], Assignment]

    def through(self, freed: Iterable[Capacity]) -> list[Assignment]:
        """Start all that can start now; some workers may hold more than after the last walk."""
        freed, everyone = list(freed), list(self.fleet.workers.values())
        tries: list[_Try] = []
        some_leave, names_components = bool(self.fleet.deadlines), self.fleet.names_components
        for shelf in self.waiting.shelves:
            workers = everyone if shelf.fresh else freed
            if names_components:
                workers = [worker for worker in workers if worker.serves(shelf.kind.component)]
            if some_leave:
                workers = self.fleet.in_time(workers, self.waiting.least_minutes_of(shelf))
            self._push_next(tries, shelf, 0, workers)
            shelf.fresh = False
        started: list[Assignment] = []
        #: Ranks of what started, by the components that the worker serves.
        ranks: defaultdict[tuple[str, ...] | None, list[Rank]] = defaultdict(list)
        while tries:
            rank, index, pile, workers = heappop(tries)
            able = self.fleet.in_time(workers, self.waiting.minutes_of(pile)) if some_leave else workers
            while pile.keys and (parts := self._parts(pile, able)):
                started.append(self.start(pile, parts))
                ranks[parts[0][0].offer.components].append(rank)
                if index == 0:
                    pile.shelf.passed_over = 0
            self._push_next(tries, pile.shelf, index + bool(pile.keys), workers)
        for components, of_started in ranks.items():
            self.waiting.age(components, of_started)
        return started

    def _push_next(self, tries: list[_Try], shelf: Shelf, index: int, workers: list[Capacity]) -> None:
        """Push a shelf's first pile, from an index on, that may fit one of some workers."""
        if not workers or index == len(shelf.piles):
            return
        if shelf.kind.spanning_tasks:
            # Whether several workers hold it together shows when it is tried.
            if sum(worker.free.cores for worker in self.fleet.workers.values()) < shelf.kind.cores:
                return
        else:
            index = self.reservations.first_fitting(shelf, index, workers)
        if index < len(shelf.piles):
            pile = shelf.piles[index]
            heappush(tries, (pile.rank, index, pile, workers))

    def _parts(self, pile: Pile, workers: list[Capacity]) -> Parts:
        """Return what the next job of a pile can take now, of which of some workers; nothing if it has to wait."""
        if not self.limit.allows(pile, self.waiting):
            return []
        if (best := self._best(pile, workers)) is not None:
            return [(best, pile.needs)]
        if not pile.request.spans:
            return []
        minutes = self.waiting.minutes_of(pile)
        if not self.fleet.needs_several(pile.request, minutes):
            return []
        # What the others have may suffice together with what these got back.
        everyone = self.fleet.able(pile.request, minutes)
        rooms = [(worker, self.reservations.room(worker, pile)) for worker in everyone]
        return spread_of(pile.request, sorted(rooms, key=lambda room: (room[0].total.gpus, -room[1].cores)))

    def _best(self, pile: Pile, workers: list[Capacity]) -> Capacity | None:
        """Return the worker for a job: without GPUs that it would waste, then one that stays, then with least to spare.

        One that leaves before the others can be given back while it has no job. Best fit keeps room for large jobs.
        Zero-core jobs go where fewest run: little else bounds their number.
        """
        best, best_score = None, (0, False, 0, 0)
        for worker in workers:
            room = worker.free if worker.beside is None else self.reservations.room(worker, pile)
            if pile.needs.within(room):
                wasted = 0 if pile.needs.gpus else worker.total.gpus
                spare = worker.free[pile.dominant] if pile.needs.cores else len(worker.running)
                score = (wasted, worker.jobs_end_at < math.inf, spare, worker.free.mem_mb)
                if best is None or score < best_score:
                    best, best_score = worker, score
        return best
