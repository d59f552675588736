"""Which job goes to which worker now, with which cores and GPUs.

Runs on: rank 1. Pure: no clock but that of deadlines, no I/O, no Dask.

A waiting job's *rank* is its urgency (Snakemake's priority, then the chain that waits for it, longest first), then
whether it needs a GPU, its size (largest first) and its expected runtime (longest first). Its size is the sum of the
squares of its shares of the largest worker's resources. A :mod:`walk` through the queue by rank starts each job that
fits somewhere on the worker that has least to spare. It looks only at what may have changed: workers that got something
back, and shelves that got something new. So its cost does not grow with the queue.

**Ageing.** When jobs of lower rank have started ``patience`` times while the first pile of a shelf fitted nowhere,
a worker is reserved for it: jobs of lower rank start there only if they could run *beside* the reserved job. What
ran there before ends some time, so no stream of lower rank holds up a job for ever.

**Components.** Where workers name the components that they serve, a job goes to no other worker, and only what starts
on its own ones makes it age.

**Several workers.** A job whose MPI tasks fit no idle worker, but several that one step can span, is *wide*: it takes
from all of them at once, and ages to reservations on all of them at once. It gives all back together.

**Workers that leave.** A job goes to a worker that has a deadline only if it ends before that, by what it states and by
what jobs of its rule have taken; one of which nothing is known goes there until the worker is closed.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from snakemake_executor_plugin_daskmpi.placement.assignment import Assignment
from snakemake_executor_plugin_daskmpi.placement.fleet import Fleet
from snakemake_executor_plugin_daskmpi.placement.limit import CoreLimit
from snakemake_executor_plugin_daskmpi.placement.reservations import Reservations
from snakemake_executor_plugin_daskmpi.placement.shelves import Pile, Shelves
from snakemake_executor_plugin_daskmpi.placement.spread import Parts, tasks_on
from snakemake_executor_plugin_daskmpi.placement.urgency import Urgency
from snakemake_executor_plugin_daskmpi.placement.waiting import Why, why_waiting
from snakemake_executor_plugin_daskmpi.placement.walk import Walk

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from snakemake_executor_plugin_daskmpi.placement.capacity import Capacity
    from snakemake_executor_plugin_daskmpi.placement.deadline import Deadline
    from snakemake_executor_plugin_daskmpi.placement.refusal import Refusal
    from snakemake_executor_plugin_daskmpi.resources import JobResources, WorkerResources


class _Placed(NamedTuple):
    """A job that has what it needs, or will have."""

    urgency: Urgency
    request: JobResources
    rule: str
    assignment: Assignment


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
        self.fleet = Fleet()
        self._waiting = Shelves()
        #: By placed job: the worker that it runs on, and those that share its tasks.
        self._running: dict[str, tuple[Capacity, ...]] = {}
        self._placed_as: dict[str, _Placed] = {}
        #: The job that takes over what a placed job has.
        self._successors: dict[str, str] = {}
        self._reservations = Reservations()
        #: Workers that may hold more than at the end of the last walk.
        self._freed: dict[str, Capacity] = {}
        self._walk = Walk(self._waiting, self.fleet, self._limit, self._reservations, self._start)

    @property
    def workers(self) -> Mapping[str, WorkerResources]:
        """What each worker that takes jobs offers when idle, by name."""
        return MappingProxyType({name: worker.offer for name, worker in self.fleet.workers.items()})

    @property
    def queued(self) -> int:
        """Number of jobs that wait."""
        return len(self._waiting.pile_of)

    @property
    def running(self) -> int:
        """Number of jobs that were placed and not released."""
        return len(self._running)

    @property
    def may_take_min(self) -> dict[str, float]:
        """How many minutes a job of a rule may take; whoever knows sets it. Lower ones need :meth:`try_again`."""
        return self._waiting.may_take_min

    # -- workers -------------------------------------------------------------------------------

    def add_worker(
        self, name: str, offer: WorkerResources, step_group: str = "", deadline: Deadline | None = None
    ) -> None:
        """Let a worker take jobs from the next walk on; ValueError if one of this name is there.

        Workers of one step group can share the tasks of a job; "" can share with none. One with a deadline leaves
        before the others.
        """
        self._freed[name] = self.fleet.add(name, offer, step_group, deadline)
        self._waiting.measure(self.fleet.most)

    def close_worker(self, name: str) -> None:
        """Let a worker take no jobs any more; no effect if it is not there."""
        if (worker := self.fleet.close(name)) is not None:
            self._free(self._reservations.give_up_on(worker))
            self._freed.pop(name, None)
            self._waiting.measure(self.fleet.most)

    def remove_worker(self, name: str) -> list[str]:
        """Forget a worker, and return the keys of the jobs that it ran, which are forgotten too.

        What others gave to those is free again. A job that it only had tasks of stays, with what it has elsewhere.
        """
        if (worker := self.fleet.remove(name)) is None:
            return []
        self._free(self._reservations.give_up_on(worker))
        keys = []
        for key, workers in list(self._running.items()):
            if workers[0] is worker:
                keys.append(key)
                if key not in self._successors.values():
                    self._limit.give_back(self._placed_as[key].request)
                del self._running[key], self._placed_as[key]
                self._end(key, workers[1:])
            elif worker in workers:
                self._running[key] = tuple(other for other in workers if other is not worker)
        self._successors = {key: behind for key, behind in self._successors.items() if key in self._running}
        self._freed.pop(name, None)
        self._waiting.measure(self.fleet.most)
        return keys

    # -- jobs ----------------------------------------------------------------------------------

    def enqueue(self, key: str, request: JobResources, priority: int = 0, n_behind: int = 0, rule: str = "") -> None:
        """Let a job wait; ValueError if its key waits or runs already.

        Parameters
        ----------
        n_behind
            Length of the chain of jobs that waits for it.
        rule
            Where it matters how long jobs of its rule have taken.
        """
        if key in self._waiting.pile_of or key in self._running:
            raise ValueError(f"job {key} is already there")
        self._waiting.put(key, request, Urgency.of(priority, n_behind), rule)

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
        request = self._placed_as.pop(key).request
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

    def successor(self, key: str, ahead_min: float = 0.0) -> Assignment | None:
        """Place the next job that asks for the same as a placed job behind it, in some minutes; None if there is none.

        It takes over the cores, memory and GPUs of that job when that is released, so nothing is ever taken twice.
        Only while no job of higher rank waits that could go there: that one would have been placed instead. A
        successor may have one too. Jobs that share several workers have none.
        """
        placed, worker = self._placed_as[key], self._running[key][0]
        pile = self._waiting.shape_at(placed.urgency, placed.request, placed.rule)
        if pile is None or key in self._successors or placed.assignment.shared:
            return None
        if worker.name in self.fleet.closed:
            return None
        if not self.fleet.in_time([worker], ahead_min + self._waiting.minutes_of(pile)):
            return None
        serves = worker.serves
        if any(shelf.piles[0].rank < pile.rank and serves(shelf.kind.component) for shelf in self._waiting.shelves):
            return None
        successor = next(iter(pile.keys))
        self._waiting.take(successor)
        self._successors[key], self._running[successor] = successor, self._running[key]
        assignment = placed.assignment._replace(key=successor)
        self._placed_as[successor] = placed._replace(assignment=assignment)
        return assignment

    def refusal(self, request: JobResources, minutes: float = 0.0) -> Refusal | None:
        """Say why no worker, nor several together, could hold a job for so long even when idle; None if they could."""
        return self.fleet.refusal(request, minutes)

    def unplaceable(self) -> list[str]:
        """Return the keys of the waiting jobs that no worker can ever hold, and drop them from the queue."""
        can_hold, minutes_of = self.fleet.can_hold, self._waiting.minutes_of
        lost = [pile for pile in self._waiting.piles if not can_hold(pile.request, minutes_of(pile))]
        keys = [key for pile in lost for key in pile.keys]
        for key in keys:
            self.withdraw(key)
        return keys

    def try_again(self) -> None:
        """Let the next walk try all jobs on all workers: something else has changed."""
        for shelf in self._waiting.shelves:
            shelf.fresh = True

    def why_waiting(self, at_most: int) -> list[Why]:
        """Return why jobs wait, by piles, those of the highest rank first, and at most so many."""
        return why_waiting(self._waiting, self.fleet, self._limit, self._reservations, at_most)

    def assignments(self) -> list[Assignment]:
        """Place all jobs that can start now, and take what they need from their workers."""
        started: list[Assignment] = []
        if self.fleet.deadlines:
            self._give_up_late_reservations()
        while self._freed or any(shelf.fresh for shelf in self._waiting.shelves):
            freed, self._freed = self._freed, {}
            started += self._walk.through(freed.values())
            self._reserve()
        return started

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
        self._placed_as[key] = _Placed(pile.urgency, pile.request, pile.shelf.kind.rule, assignment)
        return assignment

    def _reserve(self) -> None:
        """Reserve what the first pile of each shelf that aged needs, those of the highest rank first."""
        for pile in self._waiting.aged(self._patience):
            minutes = self._waiting.minutes_of(pile)
            wide = self.fleet.needs_several(pile.request, minutes)
            freed = self._reservations.reserve(pile, self.fleet.able(pile.request, minutes), wide=wide)
            if freed:  # else, with a limit of cores, everything would be looked at again, for ever
                self._free(freed)

    def _give_up_late_reservations(self) -> None:
        """Give up reservations on workers that will have left before the job for which they are held back could end."""
        for pile in self._reservations.piles:
            reserved = list(pile.reserved)
            if self.fleet.in_time(reserved, self._waiting.minutes_of(pile)) != reserved:
                self._free(self._reservations.give_up(pile))

    def _end(self, key: str, workers: tuple[Capacity, ...]) -> None:
        """Let workers have back what they gave to a job."""
        for worker in workers:
            worker.end(key)
        self._free(workers)

    def _free(self, workers: Iterable[Capacity]) -> None:
        """Note that workers may have more room than at the end of the last walk."""
        if self._limit.is_set:
            workers = self.fleet.workers.values()
        takes_jobs = self.fleet.workers
        self._freed.update((worker.name, worker) for worker in workers if worker.name in takes_jobs)
