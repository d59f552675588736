"""Why jobs wait, in words. Pure.

Runs on: rank 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.record.events import Cause, Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from snakemake_executor_plugin_daskmpi.client.job import Job
    from snakemake_executor_plugin_daskmpi.messages import WorkerInfo
    from snakemake_executor_plugin_daskmpi.placement.waiting import Why
    from snakemake_executor_plugin_daskmpi.resources import JobResources

#: Jobs that are named.
_NAMED = 3
_UNITS = {Cause.CORES: "core", Cause.MEMORY: "MB", Cause.DISK: "MB of scratch space", Cause.GPUS: "GPU"}
_PLAIN = {
    Cause.TURN: "it fits, and starts next",
    Cause.LIMIT: "all jobs together have as many cores as --cores allows",
    Cause.AWAITED: "no worker that is there can hold it",
}
_FIELDS = {Cause.CORES: "cores", Cause.MEMORY: "mem_mb", Cause.DISK: "disk_mb", Cause.GPUS: "gpus"}


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
    holders = [jobs[key].spec.name for key in why.holders if key in jobs]
    where = workers[why.worker].name if why.worker in workers else ""
    text = _text(why, where, holders)
    return Reason(why.cause, pile.request.stated(), jobs[first].priority, len(pile.keys), text, first)


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
    if why.cause in _PLAIN:
        return _PLAIN[why.cause]
    if why.cause is Cause.RESERVED:
        whom = f" for {holders[0]}" if holders else ""
        return f"it would fit on {where}, which is held back{whom}: that has waited for long"
    if why.cause is Cause.TOGETHER:
        if not where:
            return f"its {why.pile.request.tasks} tasks need more than is free on all workers that can share them"
        return f"each thing that it needs is free on some worker, but not all on one; nearest is {where}{_by(holders)}"
    needs, free = (getattr(amounts, _FIELDS[why.cause]) for amounts in (why.pile.needs, why.free))
    return f"it needs {_amount(needs, why.cause)}, and {where}, which is nearest, has {free} free{_by(holders)}"


def _amount(number: int, cause: Cause) -> str:
    unit = _UNITS[cause]
    plural = "s" if number != 1 and cause in (Cause.CORES, Cause.GPUS) else ""
    return f"{number} {unit}{plural}"


def _by(holders: list[str]) -> str:
    return f": the rest is taken by {_list(holders)}" if holders else ""


def _list(names: list[str]) -> str:
    """Return some names, and how many more there are.

    >>> _list(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    """
    shown = ", ".join(names[:_NAMED])
    return f"{shown} and {len(names) - _NAMED} more" if len(names) > _NAMED else shown
