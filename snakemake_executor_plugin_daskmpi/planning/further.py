"""Further Slurm jobs for a run that goes on: workers for what waits.

Runs on: rank 1. Pure.

Each is of one component. A heterogeneous job starts when all of its components can, and what has joined a run waits for
nobody: so each kind of worker is asked for by itself. For the same reason several small jobs are asked for where one
large one would do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.errors import LaunchError
from snakemake_executor_plugin_daskmpi.planning import feasibility
from snakemake_executor_plugin_daskmpi.planning.components import further_component
from snakemake_executor_plugin_daskmpi.planning.drafts import n_nodes
from snakemake_executor_plugin_daskmpi.planning.grouping import parts_of
from snakemake_executor_plugin_daskmpi.planning.shortage import shortage
from snakemake_executor_plugin_daskmpi.planning.sizing import Caps, best_sizing, nodes_taken
from snakemake_executor_plugin_daskmpi.settings.durations import parse_walltime
from snakemake_executor_plugin_daskmpi.slurm.plan import Component, Plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from snakemake_executor_plugin_daskmpi.planning.demand import Shape
    from snakemake_executor_plugin_daskmpi.planning.grouping import Part
    from snakemake_executor_plugin_daskmpi.planning.sizing import Sizing
    from snakemake_executor_plugin_daskmpi.settings.flags import Settings
    from snakemake_executor_plugin_daskmpi.slurm.site import Site

#: Walltime for each minute that a job is forecast to be of use: it is sent away when it is not, so that this is a limit
#: for the queue's planning; and for start and end.
_MARGIN, _ENDS_MIN = 2.0, 2.0
#: Walltime of a job that somebody asks for by hand without one.
_BY_HAND_MIN = 60
#: Walltimes are multiples of so many minutes.
_STEP_MIN = 5


@dataclass(frozen=True, slots=True)
class Size:
    """How large a job is to be that somebody asks for by hand; what is None is left open."""

    workers: int | None = None
    #: Of each worker.
    cores: int | None = None
    mem_mb: int | None = None
    gpus: int | None = None
    partition: str | None = None
    walltime: str | None = None

    @property
    def is_said(self) -> bool:
        """Whether it says how large, and not only where and for how long."""
        return any(value is not None for value in (self.workers, self.cores, self.mem_mb, self.gpus))


@dataclass(slots=True)
class FurtherPlans:
    """What a run is to ask for, and what it cannot."""

    plans: list[Plan] = field(default_factory=list)
    #: Shapes of jobs that no node of the site, or no worker of the size that the settings fix, can hold; and why.
    impossible: list[tuple[Shape, LaunchError]] = field(default_factory=list)


def further_plans(
    shapes: Sequence[Shape], site: Site, settings: Settings, target_min: float, most: int
) -> FurtherPlans:
    """Return Slurm jobs whose workers would do some jobs in a time, as far as possible.

    Parameters
    ----------
    shapes
        Of the jobs that no worker which is there, or comes, will do in that time.
    target_min
        In minutes, from when they have joined.
    most
        How many there may be.
    """
    found = FurtherPlans()
    possible = []
    for shape in shapes:
        try:
            parts_of([shape], site, settings)
            possible.append(shape)
        except LaunchError as error:
            found.impossible.append((shape, error))
    if not possible or most < 1:
        return found
    parts, _ = parts_of(possible, site, settings)
    for number, part in enumerate(sorted(parts, key=lambda part: -part.work)):
        left = most - len(found.plans)
        if left < 1:
            break
        plans = _plans_for(part, settings, target_min, share_of(left, len(parts) - number))
        found.plans += plans
        if not plans:
            found.impossible += [(shape, shortage([part], settings, site)) for shape in part.shapes]
    return found


def share_of(left: int, n_parts: int) -> int:
    """Return how many of the jobs that are left a part may have: each of those that follow should get one, too.

    >>> share_of(4, 3), share_of(1, 3)
    (2, 1)
    """
    return max(1, left - (n_parts - 1))


def n_jobs_of(part: Part, sizing: Sizing, most: int) -> int:
    """Return to how many jobs the workers of a part are shared out."""
    return max(1, min(most, sizing.workers, nodes_taken(part, sizing.size, sizing.workers)))


def _plans_for(part: Part, settings: Settings, target_min: float, most: int) -> list[Plan]:
    sizing = _sizing(part, settings, target_min)
    if sizing is None:
        return []
    n_jobs = n_jobs_of(part, sizing, most)
    each, more = divmod(sizing.workers, n_jobs)
    component = further_component(part, sizing, settings)
    walltime_min = _walltime_min(part, settings, target_min)
    return [
        Plan((replace(component, n_tasks=each + (number < more)),), walltime_min, has_head=False)
        for number in range(n_jobs)
    ]


def _sizing(part: Part, settings: Settings, target_min: float) -> Sizing | None:
    """Return the best workers for a part; None if no workers within the limits hold all its jobs."""
    nodes, most = n_nodes(part.partition), settings.workers or settings.max_workers
    # On one of them may be ranks 0 and 1: a job that wants all nodes would wait for the end of the run.
    for left in (nodes - 1, nodes):
        caps = Caps(most, settings.max_cores, min(left, part.partition.max_nodes or left))
        if sizing := best_sizing(part, settings, caps, target_min, roomy=False):
            return sizing
    return None


def _walltime_min(part: Part, settings: Settings, target_min: float) -> int:
    if settings.grow_walltime:
        return parse_walltime(settings.grow_walltime)
    longest = max(shape.need.minutes for shape in part.shapes)
    minutes = max(target_min, longest) * _MARGIN + _ENDS_MIN
    walltime_min = math.ceil(minutes / _STEP_MIN) * _STEP_MIN
    return min(walltime_min, part.partition.max_minutes or walltime_min)


def plan_by_hand(site: Site, settings: Settings, size: Size) -> Plan:
    """Return a further job of a size that somebody names; what they leave open is a whole node of the partition.

    Raises
    ------
    LaunchError
        If there is no such partition, or no node of it is so large.
    """
    default = site.partition(None)
    name = size.partition or settings.partition or (default.name if default else "")
    if not name:
        raise feasibility.no_default_partition(site)
    partition = feasibility.usable_partition(name, "", site)
    cores, mem_mb, gpus = size.cores or 1, size.mem_mb or 1, size.gpus or 0
    holding = [n for n in partition.nodes if n.cpus >= cores and n.mem_mb >= mem_mb and n.n_gpus >= gpus]
    if not holding:
        raise LaunchError(
            f"No node of partition {name} is so large.",
            seen=f"asked for {cores} cores, {mem_mb} MB, {gpus} GPUs for each worker; its nodes have "
            + "; ".join(f"{n.cpus} CPUs, {n.mem_mb} MB, {n.n_gpus} GPUs" for n in partition.nodes),
            next_step="less for each worker, or another partition: sinfo -s lists them.",
        )
    node = holding[0]
    cores = size.cores or node.cpus
    mem_mb = size.mem_mb or node.mem_mb * cores // node.cpus
    walltime_min = parse_walltime(size.walltime, "--walltime") if size.walltime else None
    if walltime_min is None and settings.grow_walltime:
        walltime_min = parse_walltime(settings.grow_walltime, "--daskmpi-grow-walltime")
    component = Component(
        name="workers",
        serves=(),
        n_tasks=size.workers or 1,
        cpus_per_task=cores,
        mem_per_cpu_mb=max(1, mem_mb // cores),
        gpus_per_task=gpus,
        partition=name,
        account=settings.account or "",
        qos=settings.qos or "",
        constraint=settings.constraint or "",
    )
    walltime_min = walltime_min or min(_BY_HAND_MIN, partition.max_minutes or _BY_HAND_MIN)
    return Plan((component,), walltime_min, has_head=False)
