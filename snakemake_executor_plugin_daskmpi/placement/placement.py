"""Which job goes to which worker now, with which cores and GPUs.

Runs on: rank 1. Pure: no clock, no I/O, no Dask.

A waiting job's *rank* is its urgency (Snakemake's priority, then the chain that waits for it, longest first), then
whether it needs a GPU, its size (largest first) and its expected runtime (longest first). Its size is the sum of the
squares of its shares of the largest worker's resources. A pass walks the queue by rank and starts each job that fits
somewhere on the worker that has least to spare. It looks only at what may have changed: workers that got something
back, and shelves that got something new. So its cost does not grow with the queue.

**Ageing.** When jobs of lower rank have started ``patience`` times while the first pile of a shelf fitted nowhere,
a worker is reserved for it: jobs of lower rank start there only if they could run *beside* the reserved job. What
ran there before ends some time, so no stream of lower rank holds up a job for ever.

**Components.** Where workers name the components that they serve, a job goes to no other worker, and only what starts
on its own ones makes it age.

**Several workers.** A job whose MPI tasks fit no idle worker, but several that one step can span, is *wide*: it takes
from all of them at once, and ages to reservations on all of them at once. It gives all back together.
"""

from __future__ import annotations

from collections import defaultdict
from heapq import heappop, heappush
from types import MappingProxyType
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.placement.assignment import Assignment
from snakemake_executor_plugin_daskmpi.placement.capacity import Capacity
from snakemake_executor_plugin_daskmpi.placement.fleet import Fleet
from snakemake_executor_plugin_daskmpi.placement.limit import CoreLimit
from snakemake_executor_plugin_daskmpi.placement.reservations import Reservations
from snakemake_executor_plugin_daskmpi.placement.shelves import Pile, Rank, Shelf, Shelves
from snakemake_executor_plugin_daskmpi.placement.spread import Parts, spread_of, tasks_on
from snakemake_executor_plugin_daskmpi.placement.urgency import Urgency
from snakemake_executor_plugin_daskmpi.placement.waiting import Why, why_waiting

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from snakemake_executor_plugin_daskmpi.placement.refusal import Refusal
    from snakemake_executor_plugin_daskmpi.resources import JobResources, WorkerResources

# A pile to try next: its rank, its index on its shelf, the pile, the workers to try it on.
_Try = tuple[Rank, int, Pile, list[Capacity]]


class Placement:
    """The queue of waiting jobs, and what is free on each worker.

    Parameters
    ----------
    patience : int
        How many jobs of lower rank may start while a job fits nowhere before a worker is reserved for it. Simulated on
        3 workers of 4 cores: 8 costs 1 to 1.5 % of the makespan of a queued load, 32 nothing; in a stream of small
        jobs, one that needs a whole worker waits 0.15 to 0.56 times as long with 32 as without.
    max_cores : int, optional
        How many cores all jobs together may take.
    """

    def __init__(self, *, patience: int = 32, max_cores: int | None = None) -> None:
        self._limit = CoreLimit(max_cores)
        self._patience = patience
        self._fleet = Fleet()
        self._waiting = Shelves()
        #: By placed job: the worker that it runs on, and those that share its tasks.
        self._running: dict[str, tuple[Capacity, ...]] = {}
        #: Urgency and request of each placed job, and what it got.
        self._placed_as: dict[str, tuple[Urgency, JobResources, Assignment]] = {}
        #: The job that takes over what a placed job has.
        self._successors: dict[str, str] = {}
        self._reservations = Reservations()
        #: Workers that may hold more than at the end of the last pass.
        self._freed: dict[str, Capacity] = {}

    @property
    def workers(self) -> Mapping[str, WorkerResources]:
        """What each worker offers when idle, by name."""
        return MappingProxyType({name: worker.offer for name, worker in self._fleet.workers.items()})

    @property
    def names_components(self) -> bool:
        """Whether some worker names the components that it serves."""
        return self._fleet.names_components

    @property
    def queued(self) -> int:
        """Number of jobs that wait."""
        return len(self._waiting.pile_of)

    @property
    def running(self) -> int:
        """Number of jobs that were placed and not released."""
        return len(self._running)

    def add_worker(self, name: str, offer: WorkerResources, step_group: str = "") -> None:
        """Let a worker take jobs from the next pass on; ValueError if one of this name is there.

        Workers of one step group can share the tasks of a job; "" can share with none.
        """
        self._freed[name] = self._fleet.add(name, offer, step_group)
        self._waiting.measure(self._fleet.most)

    def remove_worker(self, name: str) -> list[str]:
        """Forget a worker, and return the keys of the jobs that it ran, which are forgotten too.

        What others gave to those is free again. A job that it only had tasks of stays, with what it has elsewhere.
        """
        if (worker := self._fleet.remove(name)) is None:
            return []
        self._free(self._reservations.give_up_on(worker))
        keys = []
        for key, workers in list(self._running.items()):
            if workers[0] is worker:
                keys.append(key)
                if key not in self._successors.values():
                    self._limit.give_back(self._placed_as[key][1])
                del self._running[key], self._placed_as[key]
                self._end(key, workers[1:])
            elif worker in workers:
                self._running[key] = tuple(other for other in workers if other is not worker)
        self._successors = {key: behind for key, behind in self._successors.items() if key in self._running}
        self._freed.pop(name, None)
        self._waiting.measure(self._fleet.most)
        return keys

    def enqueue(self, key: str, request: JobResources, priority: int = 0, n_behind: int = 0) -> None:
        """Let a job wait, for which a chain of ``n_behind`` jobs waits; ValueError if its key waits or runs already."""
        if key in self._waiting.pile_of or key in self._running:
            raise ValueError(f"job {key} is already there")
        self._waiting.put(key, request, Urgency.of(priority, n_behind))

    def withdraw(self, key: str) -> bool:
        """Drop a waiting job, and say whether there was one."""
        if key not in self._waiting.pile_of:
            return False
        pile = self._waiting.take(key)
        if not pile.keys:
            self._free(self._reservations.give_up(pile))
        return True

    def release(self, key: str) -> None:
        """Free what a placed job had. No effect if the key is not placed, or its worker was removed."""
        workers, successor = self._running.pop(key, ()), self._successors.pop(key, None)
        if not workers:
            return
        _, request, _ = self._placed_as.pop(key)
        if key not in workers[0].running:
            # A successor that ended before its turn: the one behind it moves up.
            before = next(k for k, its_successor in self._successors.items() if its_successor == key)
            del self._successors[before]
            if successor is not None:
                self._successors[before] = successor
        elif successor is not None:
            workers[0].hand_over(key, successor)
        else:
            self._limit.give_back(request)
            self._end(key, workers)

    def successor(self, key: str) -> Assignment | None:
        """Place the next job that asks for the same as a placed job behind it; None if there is none.

        It takes over the cores, memory and GPUs of that job when that is released, so nothing is ever taken twice.
        Only while no job of higher rank waits that could go there: that one would have been placed instead. A
        successor may have one too. Jobs that share several workers have none.
        """
        urgency, request, held = self._placed_as[key]
        if (pile := self._waiting.shape_at(urgency, request)) is None or key in self._successors or held.shared:
            return None
        serves = self._running[key][0].serves
        if any(shelf.piles[0].rank < pile.rank and serves(shelf.kind.component) for shelf in self._waiting.shelves):
            return None
        successor = next(iter(pile.keys))
        self._waiting.take(successor)
        self._successors[key], self._running[successor] = successor, self._running[key]
        assignment = held._replace(key=successor)
        self._placed_as[successor] = (urgency, request, assignment)
        return assignment

    def refusal(self, request: JobResources) -> Refusal | None:
        """Say why no worker, nor several together, could hold a job even when idle; None if they could."""
        return self._fleet.refusal(request)

    def unplaceable(self) -> list[str]:
        """Return the keys of the waiting jobs that no worker can ever hold, and drop them from the queue."""
        lost = [pile for pile in self._waiting.piles if not self._fleet.can_hold(pile.request)]
        keys = [key for pile in lost for key in pile.keys]
        for key in keys:
            self.withdraw(key)
        return keys

    def why_waiting(self, at_most: int) -> list[Why]:
        """Return why jobs wait, by piles, those of the highest rank first, and at most so many."""
        return why_waiting(self._waiting, self._fleet, self._limit, self._reservations, at_most)

    def assignments(self) -> list[Assignment]:
        """Place all jobs that can start now, and take what they need from their workers."""
        started: list[Assignment] = []
        while self._freed or any(shelf.fresh for shelf in self._waiting.shelves):
            started += self._pass()
            self._reserve()
        return started

    def _pass(self) -> list[Assignment]:
        """Walk the queue by rank once. A pass only takes, so what it has passed by needs no second look."""
        freed, everyone = list(self._freed.values()), list(self._fleet.workers.values())
        self._freed = {}
        tries: list[_Try] = []
        for shelf in self._waiting.shelves:
            workers = everyone if shelf.fresh else freed
            if self._fleet.names_components:
                workers = [worker for worker in workers if worker.serves(shelf.kind.component)]
            self._push_next(tries, shelf, 0, workers)
            shelf.fresh = False
        started: list[Assignment] = []
        #: Ranks of what started, by the components that the worker serves.
        ranks: defaultdict[tuple[str, ...] | None, list[Rank]] = defaultdict(list)
        while tries:
            rank, index, pile, workers = heappop(tries)
            while pile.keys and (parts := self._parts(pile, workers)):
                started.append(self._start(pile, parts))
                ranks[parts[0][0].offer.components].append(rank)
                if index == 0:
                    pile.shelf.passed_over = 0
            self._push_next(tries, pile.shelf, index + bool(pile.keys), workers)
        for components, of_started in ranks.items():
            self._waiting.age(components, of_started)
        return started

    def _push_next(self, tries: list[_Try], shelf: Shelf, index: int, workers: list[Capacity]) -> None:
        """Push a shelf's first pile, from an index on, that may fit one of some workers."""
        if not workers or index == len(shelf.piles):
            return
        if shelf.kind.spanning_tasks:
            # Whether several workers hold it together shows when it is tried.
            if sum(worker.free.cores for worker in self._fleet.workers.values()) < shelf.kind.cores:
                return
        else:
            index = self._reservations.first_fitting(shelf, index, workers)
        if index < len(shelf.piles):
            pile = shelf.piles[index]
            heappush(tries, (pile.rank, index, pile, workers))

    def _parts(self, pile: Pile, workers: list[Capacity]) -> Parts:
        """Return what the next job of a pile can take now, of which of some workers; nothing if it has to wait."""
        if not self._limit.allows(pile, self._waiting):
            return []
        if (best := self._best(pile, workers)) is not None:
            return [(best, pile.needs)]
        if not self._fleet.needs_several(pile.request):
            return []
        # What the others have may suffice together with what these got back.
        everyone = self._fleet.serving(pile.request.component)
        rooms = [(worker, self._reservations.room(worker, pile)) for worker in everyone]
        return spread_of(pile.request, sorted(rooms, key=lambda room: (room[0].total.gpus, -room[1].cores)))

    def _best(self, pile: Pile, workers: list[Capacity]) -> Capacity | None:
        """Return the worker for a job: one without GPUs that it would waste, then with the least to spare.

        Best fit keeps room for large jobs. Zero-core jobs go where fewest run: little else bounds their number.
        """
        best, best_score = None, (0, 0, 0)
        for worker in workers:
            room = worker.free if worker.beside is None else self._reservations.room(worker, pile)
            if pile.needs.within(room):
                wasted = 0 if pile.needs.gpus else worker.total.gpus
                spare = worker.free[pile.dominant] if pile.needs.cores else len(worker.running)
                score = (wasted, spare, worker.free.mem_mb)
                if best is None or score < best_score:
                    best, best_score = worker, score
        return best

    def _start(self, pile: Pile, parts: Parts) -> Assignment:
        """Move the oldest job of a pile from the queue to a worker, or to several."""
        key = next(iter(pile.keys))
        self._free(self._reservations.give_up(pile))
        self._waiting.take(key)
        (cores, gpus), *_ = [worker.start(key, needs) for worker, needs in parts]
        self._running[key] = workers = tuple(worker for worker, _ in parts)
        self._limit.take(pile.request)
        shared = tasks_on(pile.request, parts) if len(workers) > 1 else ()
        assignment = Assignment(key, parts[0][0].name, cores, gpus, shared)
        self._placed_as[key] = (pile.urgency, pile.request, assignment)
        return assignment

    def _reserve(self) -> None:
        """Reserve what the first pile of each shelf that aged needs, those of the highest rank first."""
        for pile in self._waiting.aged(self._patience):
            wide = self._fleet.needs_several(pile.request)
            freed = self._reservations.reserve(pile, self._fleet.serving(pile.request.component), wide=wide)
            if freed:  # else, with a limit of cores, everything would be looked at again, for ever
                self._free(freed)

    def _end(self, key: str, workers: tuple[Capacity, ...]) -> None:
        """Let workers have back what they gave to a job."""
        for worker in workers:
            worker.end(key)
        self._free(workers)

    def _free(self, workers: Iterable[Capacity]) -> None:
        """Note that workers may have more room than at the end of the last pass."""
        if self._limit.is_set:
            workers = self._fleet.workers.values()
        self._freed.update((worker.name, worker) for worker in workers)
