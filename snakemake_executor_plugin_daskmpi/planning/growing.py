"""The other shape of a run that may grow: ranks 0 and 1 alone, and workers that come and go.

Runs on: the login node. Pure.

The Slurm job is of two small tasks, and may last long. All workers come in further jobs while something waits for them,
and go when they idle. Forecast are those of the plan that has all workers from the start. That one is the measure: its
components wait for each other in the queue, and none of them goes before the last job has ended.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.planning.components import head_component
from snakemake_executor_plugin_daskmpi.planning.drafts import CLEARLY, Draft, n_nodes
from snakemake_executor_plugin_daskmpi.planning.forecast import merged_spans
from snakemake_executor_plugin_daskmpi.planning.further import n_jobs_of, share_of
from snakemake_executor_plugin_daskmpi.planning.sizing import cpus_taken
from snakemake_executor_plugin_daskmpi.planning.walltimes import TIME_TO_USE, most_minutes, walltime_alone
from snakemake_executor_plugin_daskmpi.settings.durations import minutes_of, parse_walltime

if TYPE_CHECKING:
    from collections.abc import Sequence

    from snakemake_executor_plugin_daskmpi.planning.forecast import Forecast
    from snakemake_executor_plugin_daskmpi.planning.walltimes import Lifetime
    from snakemake_executor_plugin_daskmpi.settings.flags import Settings
    from snakemake_executor_plugin_daskmpi.slurm.plan import Plan
    from snakemake_executor_plugin_daskmpi.slurm.site import Partition

#: The part of a further worker's time that is of use, at least: it has work for seven times as long as it takes to
#: start (growth.decisions).
_OF_USE = 0.875


@dataclass(frozen=True, slots=True)
class Growing:
    """A plan of that shape, and what it costs."""

    plan: Plan
    draft: Draft
    #: CPU-minutes that the site cannot give to others, of this one and of the one with all workers from the start.
    cost: float
    cost_of_all: float
    #: The longest walltime that there can be, in minutes.
    limit_min: float

    @property
    def is_clearly_cheaper(self) -> bool:
        """Whether it costs so much less that it is worth to wait in the queue for each worker."""
        return self.cost < self.cost_of_all * CLEARLY

    @property
    def n_kinds(self) -> int:
        """Kinds of workers: each comes in jobs of its own."""
        return len(self.plan.further)


def growing_of(
    drafted: tuple[Draft, Plan, Forecast], lifetime: Lifetime, places: Sequence[Partition], settings: Settings
) -> Growing | str:
    """Return the growing shape of a plan, or why there can be none.

    Parameters
    ----------
    drafted
        The plan with all workers from the start, what it was made of, and its forecast.
    places
        Where ranks 0 and 1 may be, the best first.
    """
    draft, plan, forecast = drafted
    if settings.grow_walltime:
        shapes = (shape for part in draft.parts for shape in part.shapes)
        longest = max(shapes, key=lambda shape: shape.need.resources.runtime_min or 0)
        if (longest.need.resources.runtime_min or 0) > parse_walltime(settings.grow_walltime):
            return (
                f"a job of rule {longest.rules[0]} takes longer than --daskmpi-grow-walltime {settings.grow_walltime}"
            )
    asked_min = lifetime.asked_min
    wanted_min = (asked_min,) if asked_min else (plan.makespan_min / TIME_TO_USE, lifetime.chain_min)
    place = _place(draft, places, wanted_min)
    if place is None:
        return "there is no node on which ranks 0 and 1 could be alone for long enough"
    alone = replace(draft, host=None, head=replace(draft.head, partition=place))
    first, *others = plan.components
    growing = replace(
        plan,
        components=(head_component(alone, settings),),
        walltime_min=asked_min or walltime_alone(plan.makespan_min, place.max_minutes),
        further=tuple(others) if draft.host is None else (replace(first, n_tasks=first.n_tasks - 2), *others),
    )
    cost_of_all = draft.cpus * plan.makespan_min
    limit_min = asked_min or most_minutes(place)
    return Growing(growing, alone, _cost(alone, forecast, settings), cost_of_all, limit_min)


def _place(draft: Draft, places: Sequence[Partition], wanted_min: Sequence[float]) -> Partition | None:
    """Return where ranks 0 and 1 have a node beside those of the workers, if possible for the first of some times."""
    taken = Counter(part.partition.name for part in draft.parts)
    roomy = [place for place in places if n_nodes(place) > taken[place.name]]
    return next((place for minutes in wanted_min for place in roomy if most_minutes(place) >= minutes), None)


def _cost(draft: Draft, forecast: Forecast, settings: Settings) -> float:
    """Return the CPU-minutes of ranks 0 and 1 until all is done, and of workers that come and go."""
    spans_of = {activity.component: activity.spans for activity in forecast.activities}
    workers, left = 0.0, settings.grow
    # Shared out as the run does it: planning.further.
    pairs = sorted(zip(draft.parts, draft.sizings, strict=True), key=lambda pair: -pair[0].work)
    for number, (part, sizing) in enumerate(pairs):
        n_jobs = n_jobs_of(part, sizing, share_of(left, len(pairs) - number))
        left -= n_jobs
        held_min = _held_min(spans_of[part.name], n_jobs, minutes_of(settings.shrink), forecast.makespan_min)
        workers += held_min * cpus_taken(part, sizing.size, sizing.workers) / sizing.workers
    return draft.head.cpus * forecast.makespan_min + workers / _OF_USE


def _held_min(spans: Sequence[tuple[tuple[float, float], ...]], n_jobs: int, idle_min: float, end_min: float) -> float:
    """Return for how many minutes workers are there, summed up, if all of one job go when they have idled together.

    >>> _held_min([((0, 10),), ((0, 100),)], 2, 5, 100), _held_min([((0, 10),), ((0, 100),)], 1, 5, 100)
    (115.0, 200.0)
    """
    held = 0.0
    for number in range(n_jobs):
        its = spans[len(spans) * number // n_jobs : len(spans) * (number + 1) // n_jobs]
        busy = merged_spans(span for worker in its for span in worker)
        idle = [after[0] - before[1] for before, after in pairwise((*busy, (end_min, end_min)))]
        held += len(its) * sum(end - start for start, end in busy)
        held += len(its) * sum(min(minutes, idle_min) for minutes in idle)
    return held
