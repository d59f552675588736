"""The next Slurm job in several shapes: how long the same jobs would take on fewer and on more workers.

Runs on: the login node, or a laptop. Pure.

Each shape is played through the placement that rank 1 uses, with the times that jobs took. So it holds for the jobs of
the record, and for jobs that take as long with fewer threads as they did with those that they left idle.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.advise.advice import tidy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from snakemake_executor_plugin_daskmpi.advise.advice import Advice
    from snakemake_executor_plugin_daskmpi.advise.replay import Replay
    from snakemake_executor_plugin_daskmpi.planning.demand import Demand
    from snakemake_executor_plugin_daskmpi.resources import WorkerResources

    Workers = Sequence[tuple[WorkerResources, str]]

#: Times that differ by less are the same to a user.
ALIKE = 1.1
#: Memory is only given back where that costs no more time than this.
_SAME = 1.02
#: Parts of the workers' memory that are tried, and what a worker needs besides its jobs' memory, in MB.
_PARTS_OF_MEMORY, _OVERHEAD_MB = (1 / 8, 1 / 4, 1 / 2), 256
#: How many workers, as multiples of those that there were.
_FACTORS = ((0.25, "a quarter"), (0.5, "half"), (1.0, "the same workers"), (2.0, "double"))


@dataclass(frozen=True, slots=True)
class Shape:
    """Workers, and what a run on them comes to."""

    name: str
    workers: tuple[tuple[WorkerResources, str], ...]
    makespan_min: float
    #: The part of the workers' core time that jobs use.
    busy: float

    @property
    def n_cores(self) -> int:
        """Cores of all workers."""
        return sum(len(offer.cores) for offer, _ in self.workers)

    @property
    def core_hours(self) -> float:
        """What the workers take of the site, ranks 0 and 1 aside."""
        return self.n_cores * self.makespan_min / 60

    @property
    def workers_text(self) -> str:
        """The workers, equal ones counted, with the component that they are where they name any."""
        kinds = Counter(
            (offer.components, len(offer.cores), offer.mem_mb, len(offer.gpus)) for offer, _ in self.workers
        )
        texts = []
        for (components, cores, mem_mb, gpus), count in kinds.items():
            more = f", {gpus} GPU{'s' * (gpus != 1)}" if gpus else ""
            more += f" ({'+'.join(name or 'any' for name in components)})" if components and len(kinds) > 1 else ""
            texts.append(f"{count} x {cores} core{'s' * (cores != 1)}, {mem_mb} MB{more}")
        return "; ".join(texts)


@dataclass(frozen=True, slots=True)
class Shapes:
    """What a run would come to in several shapes."""

    #: The run itself, with what its rules asked for.
    as_it_was: Shape
    #: With what its rules should ask for, the smallest first; those that hold all jobs.
    advised: tuple[Shape, ...]

    @property
    def best(self) -> Shape | None:
        """The cheapest that takes no longer than the run itself would again; None if there is none."""
        limit_min = self.as_it_was.makespan_min * ALIKE
        return min(
            (shape for shape in self.advised if shape.makespan_min <= limit_min),
            key=lambda shape: shape.n_cores,
            default=None,
        )


def shapes_of(replay: Replay, advice: Mapping[str, Advice]) -> Shapes | None:
    """Return what a run and the next one come to; None if the simulation cannot hold what has run."""
    try:
        before = _shape("as it was", replay.workers, replay, replay.demand)
    except ValueError:
        return None
    demand = replay.advised(advice)
    found = []
    for factor, name in _FACTORS:
        workers = scaled(replay.workers, factor)
        if workers:
            try:
                found.append(_shape(name, workers, replay, demand))
            except ValueError:  # too small for some job
                continue
    shapes = Shapes(before, tuple(found))
    if shapes.best is None:
        return shapes
    slim = _with_less_memory(shapes.best, replay, demand)
    return Shapes(before, tuple(slim if shape is shapes.best else shape for shape in found))


def scaled(workers: Workers, factor: float) -> tuple[tuple[WorkerResources, str], ...]:
    """Return so many times the workers of each kind, empty if it cannot be.

    A single one that is to be less gets smaller.
    """
    scaled_ones: list[tuple[WorkerResources, str]] = []
    for worker, count in Counter(workers).items():
        offer, group = worker
        wanted = count * factor
        if wanted >= 1:
            scaled_ones += [worker] * -int(-wanted // 1)
            continue
        cores, gpus = int(len(offer.cores) * wanted), int(len(offer.gpus) * wanted)
        if not cores or (offer.gpus and not gpus):
            return ()
        smaller = replace(offer, cores=offer.cores[:cores], gpus=offer.gpus[:gpus], mem_mb=int(offer.mem_mb * wanted))
        scaled_ones.append((smaller, group))
    return tuple(scaled_ones)


def _shape(name: str, workers: Workers, replay: Replay, demand: Demand) -> Shape:
    makespan_min = replay.predicted_min(workers, demand)
    used = sum(job.need.cores * job.need.minutes for job in demand.jobs)
    offered = sum(len(offer.cores) for offer, _ in workers) * makespan_min
    return Shape(name, tuple(workers), makespan_min, used / offered if offered else 0.0)


def _with_less_memory(shape: Shape, replay: Replay, demand: Demand) -> Shape:
    """Return a shape with the least memory that makes it take no longer."""
    for part in _PARTS_OF_MEMORY:
        workers = [
            (replace(offer, mem_mb=min(offer.mem_mb, tidy(offer.mem_mb * part + _OVERHEAD_MB))), group)
            for offer, group in shape.workers
        ]
        try:
            slim = _shape(shape.name, workers, replay, demand)
        except ValueError:
            continue
        if slim.makespan_min <= shape.makespan_min * _SAME:
            return slim
    return shape
