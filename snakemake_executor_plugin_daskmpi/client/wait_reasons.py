"""Why jobs wait, in words. Pure.

Runs on: rank 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.placement.limit import counted_cores
from snakemake_executor_plugin_daskmpi.record.events import MOST_HOLDERS, Cause, Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from snakemake_executor_plugin_daskmpi.client.job import Job
    from snakemake_executor_plugin_daskmpi.messages import WorkerInfo
    from snakemake_executor_plugin_daskmpi.placement.waiting import Why
    from snakemake_executor_plugin_daskmpi.resources import JobResources

#: Jobs that are named.
_NAMED = 3
#: Resources by the names of what is asked for, with one and several of their units.
_UNITS = {
    "cores": ("core", "cores"),
    "mem_mb": ("MB of memory", "MB of memory"),
    "disk_mb": ("MB of scratch space", "MB of scratch space"),
    "gpus": ("GPU", "GPUs"),
}


def reason_of(why: Why, jobs: Mapping[str, Job], workers: Mapping[str, WorkerInfo]) -> Reason:
    """Return why a pile of jobs waits.

    Parameters
    ----------
    jobs
        By key, those that run included.
    workers
        By address.
    """
    pile = why.pile
    first = next(iter(pile.keys))
    keys = [key for key in why.holders if key in jobs]
    where = workers[why.worker].name if why.worker in workers else ""
    text = _text(why, where, [jobs[key].spec.name for key in keys])
    holders = tuple(keys[:MOST_HOLDERS])
    return Reason(why.cause, pile.request.stated(), jobs[first].priority, len(pile.keys), text, first, where, holders)


def awaited(jobs: Iterable[Job], workers: Iterable[str]) -> list[Reason]:
    """Return why jobs wait that only a worker could hold that was lost, and is awaited, by what they ask for."""
    by_request: dict[JobResources, list[Job]] = {}
    for job in jobs:
        by_request.setdefault(job.request, []).append(job)
    text = f"no worker that is there can hold it; it is held for {_list(sorted(workers))}, which may come back"
    return [
        Reason(Cause.AWAITED, request.stated(), same[0].priority, len(same), text, same[0].key)
        for request, same in by_request.items()
    ]


def _text(why: Why, where: str, holders: list[str]) -> str:
    request = why.pile.request
    its = f" of component {request.component}" if request.component else ""
    match why.cause:
        case Cause.TURN:
            return f"it fits on {where}, and starts next"
        case Cause.LIMIT:
            return _limit_text(counted_cores(request), why.free.cores)
        case Cause.AWAITED:
            return f"no worker{its} that is there can hold it"
        case Cause.RESERVED:
            whom = f" for {holders[0]}" if holders else ""
            return f"it would fit on {where}, which is held back{whom}: that has waited for long"
    return _lack_text(why, where, its) + (f": the rest is taken by {_list(holders)}" if holders else "")


def _lack_text(why: Why, where: str, its: str) -> str:
    """Return what it lacks, and where it lacks least."""
    if not where:
        return f"its {why.pile.request.tasks} tasks need more than is free on all workers{its} that can share them"
    if why.cause is Cause.TOGETHER:
        all_free = f"all that it needs is free on workers{its}, but not on one"
        return f"it needs {_needed(why)}; {all_free}: nearest is {where}, with {_free(why)} free"
    nearest = f"{where}, nearest of those{its}," if its else f"{where}, which is nearest,"
    return f"it needs {_needed(why)}, and {nearest} has {_free(why)} free"


def _limit_text(needs: int, left: int) -> str:
    cores = _amount("cores", needs)
    if needs <= left:
        return f"it needs {cores}, and what --cores leaves is held back for a job that has waited for long"
    return f"it needs {cores}, and --cores leaves {left or 'none'}: running jobs have the others"


def _needed(why: Why) -> str:
    """Return what it needs of which too little is free."""
    return " and ".join(_amount(name, getattr(why.pile.needs, name)) for name in _missing(why))


def _free(why: Why) -> str:
    """Return how much of that is free."""
    return " and ".join(str(getattr(why.free, name) or "none") for name in _missing(why))


def _missing(why: Why) -> list[str]:
    return [name for name in _UNITS if getattr(why.pile.needs, name) > getattr(why.free, name)]


def _amount(name: str, number: int) -> str:
    return f"{number} {_UNITS[name][number != 1]}"


def _list(names: list[str]) -> str:
    """Return some names, and how many more there are.

    >>> _list(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    """
    shown = ", ".join(names[:_NAMED])
    return f"{shown} and {len(names) - _NAMED} more" if len(names) > _NAMED else shown
