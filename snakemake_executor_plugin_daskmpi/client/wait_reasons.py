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
    from snakemake_executor_plugin_daskmpi.placement.refusal import Refusal
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
    if why.too_late in workers:
        text += f"; {workers[why.too_late].name} has room, but leaves before it would have ended"
    holders = tuple(keys[:MOST_HOLDERS])
    return Reason(why.cause, pile.request.stated(), jobs[first].priority, len(pile.keys), text, first, where, holders)


def awaited(held: Iterable[tuple[Job, Refusal]], lost: Iterable[str], *, may_grow: bool) -> list[Reason]:
    """Return why jobs wait that no worker that is there can hold, by what they ask for.

    Parameters
    ----------
    held
        Each with why it is not put on a worker that is there.
    lost
        Names of workers that were, and are awaited.
    may_grow
        Whether further ones may come.
    """
    by_request: dict[JobResources, list[tuple[Job, Refusal]]] = {}
    for one in held:
        by_request.setdefault(one[0].request, []).append(one)
    names = listed(sorted(lost))
    reasons = []
    for request, same in by_request.items():
        (job, refusal), *_ = same
        if names:
            text = f"no worker that is there can hold it; it is held for {names}, which may come back"
            text += ", or for a further Slurm job" if may_grow else ""
        else:
            does = "has" if refusal.lacks.startswith("has") else "does"
            text = f"no worker that is here {refusal.lacks}; a further Slurm job that {does} is awaited"
        reasons.append(Reason(Cause.AWAITED, request.stated(), job.priority, len(same), text, job.key))
    return reasons


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
    return _lack_text(why, where, its) + (f": the rest is taken by {listed(holders)}" if holders else "")


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


def listed(names: list[str]) -> str:
    """Return some names, and how many more there are.

    >>> listed(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    """
    shown = ", ".join(names[:_NAMED])
    return f"{shown} and {len(names) - _NAMED} more" if len(names) > _NAMED else shown
