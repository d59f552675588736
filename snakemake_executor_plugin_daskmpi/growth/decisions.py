"""Whether a run should grow, and for what; and whether what was asked for is still needed. Pure.

Runs on: rank 1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.growth.estimate import homeless, minutes_left, slots, uncovered
from snakemake_executor_plugin_daskmpi.growth.further_job import offer_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from snakemake_executor_plugin_daskmpi.growth.further_job import FurtherJob
    from snakemake_executor_plugin_daskmpi.planning.demand import Shape
    from snakemake_executor_plugin_daskmpi.resources import WorkerResources
    from snakemake_executor_plugin_daskmpi.slurm.plan import Plan

#: A further worker has to have work for so many times as long as it takes to start: seven eighths of what it costs are
#: of use then.
_WORTH = 7.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What further workers are wanted for."""

    #: Jobs that those which are there, or come, would not have done in time.
    shapes: list[Shape]
    #: That time, in minutes.
    target_min: float
    #: What they take for all that waits.
    takes_min: float


def target_min(waiting: Sequence[Shape], start_s: float) -> float:
    """Return the minutes for which further workers should have work, at least.

    Parameters
    ----------
    start_s
        Seconds that a worker takes to start.
    """
    return max([_WORTH * start_s / 60, *(shape.need.minutes for shape in waiting)])


def wanted(
    waiting: Sequence[Shape], running: Sequence[Shape], offers: Sequence[WorkerResources], start_s: float
) -> Wanted | None:
    """Return what further workers are wanted for; None if they are not.

    Parameters
    ----------
    offers
        Of the workers that are there, or come.
    """
    within_min = target_min(waiting, start_s)
    left = uncovered(waiting, offers, within_min, running)
    return Wanted(left, within_min, minutes_left([*waiting, *running], offers)) if left else None


def is_needed(job: FurtherJob, waiting: Sequence[Shape], others: Sequence[WorkerResources], start_s: float) -> bool:
    """Say whether something waits for a job in the queue that would not be done before it had started.

    Parameters
    ----------
    others
        What all workers but its own offer that are there, or come.
    """
    its = [shape for shape in waiting if slots(shape, offer_of(job.plan))]
    return bool(homeless(its, others)) or minutes_left(its, others) * 60 > start_s


def smaller(plan: Plan, shapes: Sequence[Shape]) -> Plan | None:
    """Return a job of about half the size, which may find room where a larger one has to wait.

    It has half as many workers; a single one, half as many cores. None if that would hold none of the shapes.
    """
    (component,) = plan.components
    if component.n_tasks > 1:
        component = replace(component, n_tasks=component.n_tasks // 2)
    else:
        component = replace(component, cpus_per_task=component.cpus_per_task // 2)
    less = replace(plan, components=(component,))
    return less if component.cpus_per_task and any(slots(shape, offer_of(less)) for shape in shapes) else None
