"""Components that a workflow could have, and what they cost.

Runs on: the login node. Pure.

A draft says for each part of the workflow how large its workers are and how many, and where ranks 0 and 1 go: into a
small component of their own, or into that of a part, as two tasks of its workers' size. Components never share a node,
so one of their own needs a node to live on, and takes all of it where nodes are not shared.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.planning.grouping import Part, mergeable, merged
from snakemake_executor_plugin_daskmpi.planning.sizing import Caps, Sizing, best_sizing, cpus_taken, nodes_taken

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from snakemake_executor_plugin_daskmpi.settings.flags import Settings
    from snakemake_executor_plugin_daskmpi.slurm.site import Partition

#: A component more has to save so much of the cost of doing without: it needs a node of its own.
CLEARLY = 0.8
#: Costs that differ by less are the same.
_SAME = 1.01


@dataclass(frozen=True, slots=True)
class Head:
    """What ranks 0 and 1 need, and the partition that a component of their own would be in."""

    partition: Partition
    mem_mb: int
    hyperthread: bool = False

    @property
    def cpus(self) -> float:
        """CPUs that the site cannot give to others when ranks 0 and 1 are a component of their own."""
        node = min(self.partition.nodes, key=lambda node: (node.n_gpus, node.cpus))
        if self.partition.whole_nodes:
            return float(node.cpus)
        cpus = 1.0 if self.hyperthread and node.threads_per_core == 1 else 2.0
        return max(cpus, 2 * self.mem_mb / node.mem_mb * node.cpus)


@dataclass(frozen=True, slots=True)
class Terms:
    """What all drafts have to keep to."""

    head: Head
    #: Limits and sizes that the user sets.
    settings: Settings
    #: When all should be done, in minutes.
    target_min: float
    #: Whether some job may turn out to need more memory than is known.
    roomy: bool = False

    @property
    def max_components(self) -> int:
        """Most components of the Slurm job."""
        return self.settings.max_components


@dataclass(frozen=True, slots=True)
class Draft:
    """Components, sized."""

    parts: tuple[Part, ...]
    sizings: tuple[Sizing, ...]
    head: Head
    #: Index of the part among whose tasks ranks 0 and 1 are; None if they have a component of their own.
    host: int | None
    #: Groups of jobs that wanted components of their own and share one.
    n_merged: int = 0

    @property
    def n_components(self) -> int:
        """Components of the Slurm job."""
        return len(self.parts) + (self.host is None)

    @property
    def minutes(self) -> float:
        """Lower bound of the time until all is done."""
        return max(sizing.minutes for sizing in self.sizings)

    @property
    def cpus(self) -> float:
        """CPUs that the site cannot give to others."""
        return sum(sizing.cpus for sizing in self.sizings) + (self.head.cpus if self.host is None else 0.0)

    @property
    def cost(self) -> float:
        """CPU-minutes that the site cannot give to others."""
        return self.minutes * self.cpus

    @property
    def flaws(self) -> tuple[int, int]:
        """What is wrong with it whatever it costs: merged groups, GPUs that ranks 0 and 1 leave idle."""
        return self.n_merged, 0 if self.host is None else self.sizings[self.host].size.gpus

    def cpus_of_ranks_in(self, index: int) -> float:
        """CPUs that ranks 0 and 1 take as two tasks of a part's workers' size."""
        part, sizing = self.parts[index], self.sizings[index]
        with_them = cpus_taken(part, sizing.size, sizing.workers + 2)
        return with_them - cpus_taken(part, sizing.size, sizing.workers)


def best_draft(parts: Sequence[Part], terms: Terms) -> Draft | None:
    """Return the cheapest components that do the work in time, if possible; None if none keep to the limits."""
    best = _search(parts, terms)
    if best is not None and best.minutes > terms.target_min:
        # What one part cannot keep, the others need not.
        relaxed = _search(parts, replace(terms, target_min=best.minutes))
        if relaxed is not None and relaxed.flaws <= best.flaws and relaxed.cost < best.cost:
            best = relaxed
    return best


def _search(parts: Sequence[Part], terms: Terms) -> Draft | None:
    """Return the cheapest of all drafts that have all parts done at the same time, as far as that is possible."""
    best = _best_of(parts, terms)
    for divided in _divided(parts):
        other = _best_of(divided, terms)
        if other is not None and (best is None or _is_clearly_better(other, best, terms.target_min)):
            best = other
    return best


def _is_clearly_better(draft: Draft, other: Draft, target_min: float) -> bool:
    """Say whether a draft with a component more is clearly cheaper, or ends so much sooner that it is worth more."""
    cheaper = draft.cost < other.cost * CLEARLY
    sooner = max(draft.minutes, target_min) < other.minutes * CLEARLY
    worth_it = draft.cost * draft.minutes < other.cost * other.minutes * CLEARLY
    return draft.flaws <= other.flaws and (cheaper or (sooner and worth_it))


def _best_of(parts: Sequence[Part], terms: Terms) -> Draft | None:
    """Return the better of ranks 0 and 1 apart or among the workers; of equals the latter, which needs a node less."""
    drafts = []
    for apart in (False, True):
        fitting = _fitted(parts, terms, apart=apart)
        for host in [None] if apart else range(len(fitting or ())):
            sizings = fitting and _sized(fitting, host, terms)
            if fitting and sizings:
                n_merged = sum(len(part.serves) - 1 for part in fitting)
                drafts.append(Draft(tuple(fitting), tuple(sizings), terms.head, host, n_merged))
    if not drafts:
        return None
    # Nothing is worth a group that does not get what it asked for, nor GPUs that ranks 0 and 1 would leave idle.
    least_bad = min(draft.flaws for draft in drafts)
    drafts = [draft for draft in drafts if draft.flaws == least_bad]
    cheapest = min(draft.cost for draft in drafts)
    return next(draft for draft in drafts if draft.cost <= cheapest * _SAME)


def _fitted(parts: Sequence[Part], terms: Terms, *, apart: bool) -> list[Part] | None:
    """Merge parts until they are few enough for the limit and for the nodes; None if they cannot be."""
    parts = list(parts)
    while True:
        crowded = _crowded(parts, terms.head, apart=apart)
        if len(parts) + apart <= terms.max_components and not crowded:
            return parts
        candidates = [part for part in parts if not crowded or part.partition.name in crowded]
        pair = mergeable(candidates)
        if pair is None:
            return None
        index = parts.index(pair[0])
        parts[index] = merged(*pair)
        parts.remove(pair[1])


def _crowded(parts: Sequence[Part], head: Head, *, apart: bool) -> set[str]:
    """Return the partitions that have fewer nodes than components."""
    components = Counter(part.partition.name for part in parts)
    partitions = {part.partition.name: part.partition for part in parts}
    if apart:
        components[head.partition.name] += 1
        partitions[head.partition.name] = head.partition
    return {name for name, number in components.items() if number > n_nodes(partitions[name])}


def fewest(parts: Sequence[Part]) -> list[Part]:
    """Merge parts as long as some can stand for one another."""
    parts = list(parts)
    while (pair := mergeable(parts)) is not None:
        parts = [merged(*pair), *(part for part in parts if part not in pair)]
    return parts


def n_nodes(partition: Partition) -> int:
    """Return how many nodes of a partition are up."""
    return sum(node.count for node in partition.nodes)


def _sized(parts: Sequence[Part], host: int | None, terms: Terms) -> list[Sizing] | None:
    """Size all parts within the caps, which they share by their work; None if that is impossible."""
    settings, head = terms.settings, terms.head
    workers = settings.workers or settings.max_workers
    cores = settings.max_cores
    nodes = Counter({part.partition.name: n_nodes(part.partition) for part in parts})
    if host is None:
        nodes[head.partition.name] -= 1
    found: dict[int, Sizing] = {}
    # The smallest first: what it leaves of its share is for the others.
    order = sorted(range(len(parts)), key=lambda index: parts[index].work)
    for number, index in enumerate(order):
        part, rest = parts[index], [parts[other] for other in order[number + 1 :]]
        share = part.work / (part.work + sum(other.work for other in rest) or 1.0)
        reserved = sum(_most_cores(other) for other in rest)
        own_cores = None if cores is None else min(cores - reserved, max(_most_cores(part), int(cores * share)))
        others_here = sum(other.partition is part.partition for other in rest)
        most_nodes = nodes[part.partition.name] - others_here
        if part.partition.max_nodes is not None:
            most_nodes = min(most_nodes, part.partition.max_nodes)
        own_workers = min(workers - len(rest), max(1, round(workers * share)))
        extra, extra_mem_mb = (2, head.mem_mb) if index == host else (0, 0)
        # The number of workers that the user gives is what there has to be in the end.
        least = own_workers if settings.workers and not rest else 1
        caps = Caps(own_workers, own_cores, most_nodes, extra, extra_mem_mb, least)
        sizing = best_sizing(part, settings, caps, terms.target_min, roomy=terms.roomy)
        if sizing is None:
            return None
        found[index] = sizing
        workers -= sizing.workers
        cores = None if cores is None else cores - sizing.workers * sizing.size.cores
        nodes[part.partition.name] -= nodes_taken(part, sizing.size, sizing.workers + extra)
    return [found[index] for index in range(len(parts))]


def _most_cores(part: Part) -> int:
    """Return the cores of the smallest worker that holds each of a part's jobs."""
    asked = (shape.need.resources for shape in part.shapes)
    return max(1, *(-(-each.cores // (each.tasks if each.spans else 1)) for each in asked))


def _divided(parts: Sequence[Part]) -> Iterator[list[Part]]:
    """Yield the parts with one of them divided into jobs with little memory and jobs with much, where it jumps."""
    for index, part in enumerate(parts):
        amounts = sorted({shape.need.resources.mem_mb for shape in part.shapes})
        jumps = [(b / max(a, 1), a) for a, b in pairwise(amounts) if b >= 2 * a]
        for _, most in sorted(jumps, reverse=True)[:3]:
            small = tuple(shape for shape in part.shapes if shape.need.resources.mem_mb <= most)
            large = tuple(shape for shape in part.shapes if shape.need.resources.mem_mb > most)
            halves = replace(part, shapes=small), replace(part, name=f"{part.name}-large", shapes=large)
            yield [*parts[:index], *halves, *parts[index + 1 :]]
