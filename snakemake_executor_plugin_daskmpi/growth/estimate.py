"""How long what waits would take on workers that are there, or come. Pure.

Runs on: rank 1.

Cheap bounds, since this is asked every few seconds of up to 100,000 jobs: no job is placed. Jobs that ask for the same
are one shape.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.placement.capacity import Amounts
from snakemake_executor_plugin_daskmpi.resources import serves

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from snakemake_executor_plugin_daskmpi.planning.demand import Shape
    from snakemake_executor_plugin_daskmpi.resources import WorkerResources


def slots(shape: Shape, offer: WorkerResources) -> int:
    """Return how many jobs of a shape an idle worker runs at a time; of those that need no cores, one for each core."""
    if not serves(offer, shape.need.resources.component):
        return 0
    has, needs = Amounts.offered(offer), _asked(shape)
    return has.holds(needs) if needs.within(has) else 0


def _asked(shape: Shape) -> Amounts:
    needs = Amounts.asked(shape.need.resources)
    return needs._replace(cores=max(1, needs.cores))


def minutes_left(shapes: Iterable[Shape], offers: Sequence[WorkerResources]) -> float:
    """Return a lower bound of the minutes that jobs take on workers; those that fit none are left out.

    Each shape takes as long as the workers that hold it need for so many. And for each set of workers that are all that
    some shape can have: the work of all shapes that can go nowhere else, resource by resource.
    """
    kinds = Counter(map(_kind, offers))
    longest = 0.0
    work_for: dict[frozenset[WorkerResources], list[float]] = {}
    for shape in shapes:
        able = {kind: number for kind in kinds if (number := slots(shape, kind))}
        if not able:
            continue
        longest = max(longest, shape.count * shape.need.minutes / sum(n * kinds[kind] for kind, n in able.items()))
        work = work_for.setdefault(frozenset(able), [0.0] * len(Amounts._fields))
        for number, amount in enumerate(_asked(shape)):
            work[number] += amount * shape.count * shape.need.minutes
    for these in work_for:
        inside = [work for others, work in work_for.items() if others <= these]
        totals = [Amounts.offered(kind).times(kinds[kind]) for kind in these]
        for works, has in zip(zip(*inside, strict=True), zip(*totals, strict=True), strict=True):
            longest = max(longest, sum(works) / sum(has) if sum(works) else 0.0)
    return longest


def homeless(shapes: Iterable[Shape], offers: Sequence[WorkerResources]) -> list[Shape]:
    """Return the shapes that no worker holds."""
    kinds = set(map(_kind, offers))
    return [shape for shape in shapes if not any(slots(shape, kind) for kind in kinds)]


def uncovered(
    waiting: Sequence[Shape], offers: Sequence[WorkerResources], target_min: float, running: Sequence[Shape] = ()
) -> list[Shape]:
    """Return what of some shapes workers would not have done in a time, beside what they run already."""
    nowhere = homeless(waiting, offers)
    others = [shape for shape in waiting if shape not in nowhere]
    # What runs has half of its time left, in the mean.
    halves = [replace(shape, need=replace(shape.need, minutes=shape.need.minutes / 2)) for shape in running]
    takes_min = minutes_left([*others, *halves], offers)
    if takes_min <= target_min:
        return nowhere
    part = 1 - target_min / takes_min
    left = minutes_left(others, offers) / takes_min
    # As much of what waits as there is too much of both.
    part = min(1.0, part / left) if left else 0.0
    return [*nowhere, *(replace(shape, count=math.ceil(shape.count * part)) for shape in others)]


def _kind(offer: WorkerResources) -> WorkerResources:
    """Return what alike workers have in common: which cores and GPUs are theirs makes no difference."""
    gpus = tuple(map(str, range(len(offer.gpus))))
    return replace(offer, cores=tuple(range(len(offer.cores))), gpus=gpus, guessed=())
