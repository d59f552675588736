"""Why jobs wait: what is free where they come nearest to starting, and who has the rest.

Runs on: rank 1. Pure.
"""

from __future__ import annotations

from heapq import nsmallest
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from snakemake_executor_plugin_daskmpi.placement.capacity import Amounts
from snakemake_executor_plugin_daskmpi.record.events import Cause

if TYPE_CHECKING:
    from collections.abc import Sequence

    from snakemake_executor_plugin_daskmpi.placement.capacity import Capacity
    from snakemake_executor_plugin_daskmpi.placement.fleet import Fleet
    from snakemake_executor_plugin_daskmpi.placement.limit import CoreLimit
    from snakemake_executor_plugin_daskmpi.placement.reservations import Reservations
    from snakemake_executor_plugin_daskmpi.placement.shelves import Pile, Shelves

_CAUSES = Amounts._fields
_CAUSE_OF = {"cores": Cause.CORES, "mem_mb": Cause.MEMORY, "disk_mb": Cause.DISK, "gpus": Cause.GPUS}


class Why(NamedTuple):
    """Why a pile of jobs waits."""

    pile: Pile
    cause: Cause
    #: The worker that comes nearest; "" if several would be needed, or none is in question.
    worker: str = ""
    #: What is free there; of a limit, the cores that it leaves.
    free: Amounts = Amounts()
    #: Keys of the jobs that have the rest, those that have most of what is missing first; for a reservation, one of
    #: the jobs that it is for.
    holders: tuple[str, ...] = ()
    #: A worker that has room, and leaves before such a job would have ended; "" if there is none.
    too_late: str = ""


def why_waiting(
    shelves: Shelves, fleet: Fleet, limit: CoreLimit, reservations: Reservations, at_most: int
) -> list[Why]:
    """Return why jobs wait, by piles, those of the highest rank first, and at most so many."""
    piles = nsmallest(at_most, shelves.piles, key=attrgetter("rank"))
    return [_why_in_time(pile, shelves, fleet, limit, reservations) for pile in piles]


def _why_in_time(pile: Pile, shelves: Shelves, fleet: Fleet, limit: CoreLimit, reservations: Reservations) -> Why:
    """Return why a pile waits where there is time for its jobs, and which worker would have room, but not the time."""
    serving = fleet.serving(pile.request.component)
    in_time = fleet.in_time(serving, shelves.minutes_of(pile))
    why = _why(pile, in_time, shelves, limit, reservations)
    if len(in_time) == len(serving):
        return why
    too_late = {worker.name for worker in serving}.difference(worker.name for worker in in_time)
    has_room = (worker.name for worker in serving if worker.name in too_late and pile.needs.within(worker.free))
    return why._replace(too_late=next(has_room, ""))


def _why(
    pile: Pile, workers: Sequence[Capacity], shelves: Shelves, limit: CoreLimit, reservations: Reservations
) -> Why:
    if not limit.allows(pile, shelves):
        return Why(pile, Cause.LIMIT, free=Amounts(cores=limit.left))
    able = [worker for worker in workers if pile.needs.within(worker.total)]
    if not able:
        # It needs several workers, or one that is awaited.
        return Why(pile, Cause.TOGETHER if pile.request.spans else Cause.AWAITED)
    fitting = [worker for worker in able if pile.needs.within(worker.free)]
    for worker in fitting:
        if pile.needs.within(reservations.room(worker, pile)):
            return Why(pile, Cause.TURN, worker.name, worker.free)
    if fitting:
        holder = reservations.holder(fitting[0])
        return Why(pile, Cause.RESERVED, fitting[0].name, fitting[0].free, tuple(holder.keys)[:1] if holder else ())
    nearest = min(able, key=lambda worker: _lacks(pile, worker))
    missing = [name for name in _CAUSES if getattr(pile.needs, name) > getattr(nearest.free, name)]
    most = {name: max(getattr(worker.free, name) for worker in able) for name in missing}
    nowhere = [name for name in missing if getattr(pile.needs, name) > most[name]]
    cause = _CAUSE_OF[nowhere[0]] if nowhere else Cause.TOGETHER
    index = _CAUSES.index((nowhere or missing)[0])
    holders = sorted(nearest.running, key=lambda key: -nearest.running[key][0][index])
    return Why(pile, cause, nearest.name, nearest.free, tuple(key for key in holders if nearest.running[key][0][index]))


def _lacks(pile: Pile, worker: Capacity) -> float:
    """Return how much a worker lacks for a job, as parts of what the worker has in all."""
    parts = zip(pile.needs, worker.free, worker.total, strict=True)
    return sum(max(0, need - free) / (total or 1) for need, free, total in parts)
