"""How the tasks of an MPI program are spread over several workers.

Runs on: rank 1. Pure.

Only workers of one group share a program: those that one ``srun`` step can span, which is one component of a
heterogeneous job. It starts on all of them at once or not at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.placement.capacity import Amounts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from snakemake_executor_plugin_daskmpi.placement.capacity import Capacity
    from snakemake_executor_plugin_daskmpi.resources import JobResources

#: What a job takes of which worker; the first one runs its body.
Parts = list[tuple["Capacity", Amounts]]


def spread_of(request: JobResources, rooms: Iterable[tuple[Capacity, Amounts]]) -> Parts:
    """Return what each worker gives to a job whose tasks share several; nothing if they have not room for all tasks.

    Parameters
    ----------
    rooms
        Workers, the preferred ones first, each with what may be taken of it. Of several groups, the one that needs
        fewest workers is taken.
    """
    each = Amounts.of_task(request)
    groups: dict[str, Parts] = {}
    left: dict[str, int] = {}
    for worker, room in rooms:
        missing = left.setdefault(worker.step_group, request.tasks)
        tasks = min(missing, room.holds(each))
        if tasks > 0 and worker.step_group:
            groups.setdefault(worker.step_group, []).append((worker, each.times(tasks)))
            left[worker.step_group] = missing - tasks
    return min((parts for group, parts in groups.items() if not left[group]), key=len, default=[])


def tasks_on(request: JobResources, parts: Parts) -> tuple[tuple[str, int], ...]:
    """Return the names of the workers that share a job, with the number of its tasks on each."""
    return tuple((worker.name, amounts.cores * request.tasks // request.cores) for worker, amounts in parts)


def most_tasks(request: JobResources, workers: Iterable[Capacity]) -> int:
    """Return how many tasks of a job the idle workers of one group hold together at most."""
    each = Amounts.of_task(request)
    held: dict[str, int] = {}
    for worker in workers:
        if worker.step_group:
            held[worker.step_group] = held.get(worker.step_group, 0) + worker.total.holds(each)
    return max(held.values(), default=0)
