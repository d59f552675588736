"""How large the workers of a component are, and how many.

Runs on: the login node. Pure.

Tried are all sizes that divide a node well and hold the largest job. Of each is known, without simulating anything, a
lower bound of the time that so many of them need; that gives their number, and what they take from the site. The
cheapest of those that end in time is taken, and of equals the smallest, which finds a gap in the queue soonest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.planning.feasibility import gpus_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from snakemake_executor_plugin_daskmpi.planning.demand import Shape
    from snakemake_executor_plugin_daskmpi.planning.grouping import Part
    from snakemake_executor_plugin_daskmpi.settings.flags import Settings
    from snakemake_executor_plugin_daskmpi.slurm.site import NodeType

#: Memory in MB of a worker's own two processes, before any job: about 100 each, and what a parsed workflow takes.
OVERHEAD_MB = 256
#: Costs and times that differ by less are taken to be the same.
_ALIKE = 1.04


@dataclass(frozen=True, slots=True)
class Size:
    """What one worker has, and so one task."""

    cores: int
    mem_mb: int
    gpus: int = 0

    def per(self, node: NodeType, model: str = "") -> int:
        """Return how many of them a node holds."""
        by_gpus = gpus_of(node, model) // self.gpus if self.gpus else node.cpus
        return min(node.cpus // self.cores, node.mem_mb // self.mem_mb, by_gpus)


@dataclass(frozen=True, slots=True)
class Caps:
    """The most that a component may have."""

    workers: int
    cores: int | None
    nodes: int
    #: Tasks of the same size that ranks 0 and 1 take up, 0 or 2, and the memory that each of these needs.
    extra_tasks: int = 0
    extra_mem_mb: int = 0
    #: The fewest workers.
    least: int = 1


@dataclass(frozen=True, slots=True)
class Sizing:
    """Workers of one component."""

    size: Size
    workers: int
    #: Lower bound of the time until their jobs are done.
    minutes: float
    #: CPUs that the site cannot give to others meanwhile, those of ranks 0 and 1 included.
    cpus: float

    @property
    def cost(self) -> float:
        """CPU-minutes."""
        return self.minutes * self.cpus


@dataclass(frozen=True, slots=True)
class _Load:
    """One kind of pieces that workers hold: jobs, or single tasks of MPI programs that spread."""

    cores: int
    mem_mb: int
    gpus: int
    pieces: int
    #: How many have to run at the same time.
    together: int
    minutes: float

    @classmethod
    def of(cls, shape: Shape) -> _Load:
        asked = shape.need.resources
        tasks = asked.tasks if asked.spans else 1
        cores, mem_mb = -(-asked.cores // tasks), -(-asked.mem_mb // tasks)
        return cls(cores, mem_mb, asked.gpus, shape.count * tasks, tasks, shape.need.minutes)

    def slots(self, size: Size) -> int:
        """Return how many an idle worker holds."""
        pairs = ((size.cores, self.cores), (size.mem_mb, self.mem_mb), (size.gpus, self.gpus))
        return min((has // asks for has, asks in pairs if asks), default=self.pieces)


def _loads(shapes: Sequence[Shape]) -> list[_Load]:
    """Return the loads of shapes, similar ones as one: input functions may make a shape of each job."""
    similar: dict[tuple[int, ...], _Load] = {}
    for load in map(_Load.of, shapes):
        key = (load.cores, load.gpus, load.together, _magnitude(load.mem_mb), _magnitude(load.minutes))
        known = similar.get(key)
        if known is not None:
            pieces = known.pieces + load.pieces
            minutes = (known.pieces * known.minutes + load.pieces * load.minutes) / pieces
            load = replace(load, mem_mb=max(load.mem_mb, known.mem_mb), pieces=pieces, minutes=minutes)  # noqa: PLW2901
        similar[key] = load
    return list(similar.values())


def _magnitude(amount: float) -> int:
    """Return the same number for amounts that differ by less than a tenth or so."""
    return round(math.log(amount + 1) * 12)


def best_sizing(part: Part, settings: Settings, caps: Caps, target_min: float, *, roomy: bool) -> Sizing | None:
    """Return the best workers for a part; None if no workers within the caps hold all its jobs.

    Parameters
    ----------
    target_min : float
        When its jobs should be done.
    roomy : bool
        Whether some job may turn out to need more memory than is known: workers get their share of a node's then.
    """
    loads = _loads(part.shapes)
    choices = []
    for size in set(_sizes(part, loads, settings, caps, roomy=roomy)):
        sizing = _sizing(part, loads, size, caps, target_min)
        if sizing is not None:
            choices.append(sizing)
    if not choices:
        return None
    # Some memory for the worker's own processes if it costs little.
    needed = max(load.mem_mb for load in loads) + OVERHEAD_MB
    soonest = min(max(choice.minutes, target_min) for choice in choices)
    in_time = [choice for choice in choices if choice.minutes <= soonest * _ALIKE]
    cheapest = min(choice.cost for choice in in_time)
    return min(
        (choice for choice in in_time if choice.cost <= cheapest * _ALIKE),
        key=lambda choice: (choice.size.cores, choice.size.gpus, choice.size.mem_mb < needed, choice.size.mem_mb),
    )


def cpus_taken(part: Part, size: Size, tasks: int) -> float:
    """Return how many CPUs tasks keep from others: whole nodes, or their largest share of what a node has."""
    node = _typical(part)
    per_node = max(1, size.per(node, part.steering.gpu_model))
    if part.partition.whole_nodes:
        return math.ceil(tasks / per_node) * float(node.cpus)
    gpus = gpus_of(node, part.steering.gpu_model)
    shares = (size.cores / node.cpus, size.mem_mb / node.mem_mb, size.gpus / gpus if gpus else 0.0)
    return tasks * max(shares) * node.cpus


def nodes_taken(part: Part, size: Size, tasks: int) -> int:
    """Return how many nodes tasks fill, the roomiest first."""
    taken = 0
    for node in sorted(part.nodes, key=lambda node: -size.per(node, part.steering.gpu_model)):
        per_node = size.per(node, part.steering.gpu_model)
        here = min(node.count, -(-tasks // per_node)) if per_node else 0
        taken, tasks = taken + here, tasks - here * per_node
        if tasks <= 0:
            break
    return taken


def _typical(part: Part) -> NodeType:
    """Return the kind of node that there is most of."""
    return max(part.nodes, key=lambda node: (node.count, -node.cpus))


def _capacity(part: Part, size: Size, nodes: int) -> int:
    """Return how many tasks so many nodes hold, the roomiest first."""
    held = 0
    for per_node, count in sorted(((size.per(n, part.steering.gpu_model), n.count) for n in part.nodes), reverse=True):
        here = min(nodes, count)
        held, nodes = held + here * per_node, nodes - here
    return held


def _sizing(part: Part, loads: Iterable[_Load], size: Size, caps: Caps, target_min: float) -> Sizing | None:
    """Return how many workers of a size are needed, and what that means; None if the caps allow too few."""
    work = [0.0, 0.0, 0.0]
    alone = longest = widest = useful = 0.0
    least = caps.least
    for load in loads:
        slots = load.slots(size)
        if not slots:
            return None
        minutes = load.pieces * load.minutes
        for index, amount in enumerate((load.cores, load.mem_mb, load.gpus)):
            work[index] += amount * minutes
        alone += minutes if slots == 1 else 0.0
        widest = max(widest, minutes / slots)
        longest = max(longest, load.minutes)
        useful += load.pieces / slots
        least = max(least, -(-load.together // slots))
    has = (size.cores, size.mem_mb, size.gpus)
    bounds = [amount / each for amount, each in zip(work, has, strict=True) if each]
    bound = max(alone, widest, *bounds)
    most = min(caps.workers, _capacity(part, size, caps.nodes) - caps.extra_tasks)
    if caps.cores is not None:
        most = min(most, caps.cores // size.cores)
    if most < least:
        return None
    workers = min(max(math.ceil(bound / target_min), least), max(math.ceil(useful), least), most)
    taken = cpus_taken(part, size, workers + caps.extra_tasks)
    return Sizing(size, workers, max(bound / workers, longest), taken)


def _sizes(part: Part, loads: Sequence[_Load], settings: Settings, caps: Caps, *, roomy: bool) -> Iterable[Size]:
    """Yield sizes of a worker that hold each job."""
    most_cores = max(1, *(load.cores for load in loads))
    most_mem_mb = max(1, *(load.mem_mb for load in loads))
    most_gpus = max(load.gpus for load in loads)
    core_minutes = sum(load.cores * load.pieces * load.minutes for load in loads) or 1.0
    mem_per_core = sum(load.mem_mb * load.pieces * load.minutes for load in loads) / core_minutes
    for cores, gpus in sorted(_cores_and_gpus(part, most_cores, most_gpus, settings)):
        per_cpu = part.partition.max_mem_per_cpu_mb
        for node in part.nodes:
            fair = node.mem_mb * cores // node.cpus
            need = max(most_mem_mb + OVERHEAD_MB, int(mem_per_core * cores) + OVERHEAD_MB, caps.extra_mem_mb)
            for mem_mb in (need, fair):
                mem = settings.mem_mb or (max(mem_mb, min(fair, _ROOMY_MB)) if roomy else mem_mb)
                mem = _rounded(mem, cores, node.mem_mb)
                allowed = per_cpu is None or mem <= per_cpu * cores
                if max(most_mem_mb, caps.extra_mem_mb) <= mem and allowed:
                    yield Size(cores, mem, gpus)


#: Memory in MB beyond which Snakemake's own default never asks.
_ROOMY_MB = 8000


def _rounded(mem_mb: int, cores: int, node_mem_mb: int) -> int:
    """Round memory up to a multiple of 16 MB per CPU, but not beyond what the node has."""
    per_cpu = min(-(-mem_mb // cores), node_mem_mb // cores)
    rounded = -(-per_cpu // 16) * 16
    return cores * (rounded if rounded * cores <= node_mem_mb else per_cpu)


def _cores_and_gpus(part: Part, cores: int, gpus: int, settings: Settings) -> set[tuple[int, int]]:
    """Return how many cores and GPUs workers may have: what divides a node, or what of it the largest jobs fill."""
    fixed_gpus = len([i for i in settings.gpus.split(",") if i.strip()]) if settings.gpus else None
    found = set()
    for node in part.nodes:
        have = gpus_of(node, part.steering.gpu_model)
        if gpus:
            shares = {(max(cores, node.cpus * g // have), g) for g in range(gpus, have + 1, gpus)}
            shares |= {(cores * (g // gpus), g) for g in range(gpus, have + 1, gpus)}
        else:
            shares = {(node.cpus // k, 0) for k in range(1, node.cpus + 1)}
            shares |= {(node.cpus // cores // k * cores, 0) for k in range(1, node.cpus // cores + 1)}
        if part.partition.max_mem_per_cpu_mb and node.mem_mb > part.partition.max_mem_per_cpu_mb * cores:
            shares.add((node.cpus, have if gpus else 0))
        found |= {(c, g) for c, g in shares if cores <= c <= node.cpus}
    if settings.cores:
        found = {(settings.cores, g) for _, g in found}
    if fixed_gpus is not None:
        found = {(c, fixed_gpus) for c, _ in found}
    return found
