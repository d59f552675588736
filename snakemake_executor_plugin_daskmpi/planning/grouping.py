"""Which jobs share a component: by what their rules ask of the site, and by what their nodes have to offer.

Runs on: the login node. Pure.

Jobs of one :attr:`JobResources.component` are one *group*. A group is one *part* of the plan, and with it one
component, or several where its jobs differ: those with GPUs, those that only another partition's nodes can hold. All
parts of a group serve the whole group: where a job finds room it may run.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.errors import LaunchError
from snakemake_executor_plugin_daskmpi.planning import feasibility
from snakemake_executor_plugin_daskmpi.planning.walltimes import most_minutes
from snakemake_executor_plugin_daskmpi.resources import Steering

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from snakemake_executor_plugin_daskmpi.planning.demand import Shape
    from snakemake_executor_plugin_daskmpi.settings.flags import Settings
    from snakemake_executor_plugin_daskmpi.slurm.site import NodeType, Partition, Site

#: Name of the component of jobs that ask for none.
DEFAULT_NAME = "workers"


@dataclass(frozen=True)
class Part:
    """Jobs that one component is made for."""

    name: str
    #: What it serves, as :attr:`JobResources.component` names it.
    serves: tuple[str, ...]
    shapes: tuple[Shape, ...]
    #: What its rules and the settings ask of the site.
    steering: Steering
    partition: Partition
    #: The nodes of the partition with the features that are asked for.
    admitted: tuple[NodeType, ...]

    @cached_property
    def nodes(self) -> tuple[NodeType, ...]:
        """The nodes that hold any of its jobs; all that are admitted if none holds the largest of each resource."""
        model = self.steering.gpu_model
        return tuple(node for node in self.admitted if _holds_all(node, self.shapes, model)) or self.admitted

    @cached_property
    def work(self) -> float:
        """Core-minutes of its jobs."""
        return sum(shape.work for shape in self.shapes)

    @property
    def place(self) -> tuple[object, ...]:
        """What parts have to share so that one component can stand for them."""
        return (replace(self.steering, own=""), self.partition.name)


def parts_of(shapes: Sequence[Shape], site: Site, settings: Settings) -> tuple[list[Part], list[str]]:
    """Return the parts of a plan and what the user should know of them.

    Raises
    ------
    LaunchError
        If a part is impossible: no such partition, no node that holds one of its jobs, and the like.
    """
    groups: dict[str, list[Shape]] = {}
    for shape in shapes:
        groups.setdefault(shape.need.resources.component, []).append(shape)
    parts, notes = [], []
    for component in sorted(groups):
        group = groups[component]
        steering = _steering_of(component, group, settings)
        for partition, its_shapes in _by_partition(group, steering, site):
            nodes = _nodes_of(its_shapes, steering, partition, site)
            base = component or DEFAULT_NAME
            if not _names_partition(steering) and not partition.is_default:
                rules = ", ".join(dict.fromkeys(rule for shape in its_shapes for rule in shape.rules))
                notes.append(
                    f"{rules}: no node of the default partition is large enough, so partition {partition.name}."
                )
                base = f"{base}-{partition.name}"
            parts += _by_gpus(Part(base, (component,), tuple(its_shapes), steering, partition, nodes))
    return parts, notes


def mergeable(parts: Sequence[Part]) -> tuple[Part, Part] | None:
    """Return two parts that one component could stand for, those with least work; None if there are none."""
    pairs = [(a, b) for i, a in enumerate(parts) for b in parts[i + 1 :] if a.place == b.place]
    pairs = [
        (a, b)
        for a, b in pairs
        if any(_holds_all(node, (*a.shapes, *b.shapes), a.steering.gpu_model) for node in (*a.nodes, *b.nodes))
    ]
    # Parts of one group first: which of its workers runs a job is all the same to the user.
    return min(pairs, key=lambda pair: (pair[0].serves != pair[1].serves, pair[0].work + pair[1].work), default=None)


def merged(a: Part, b: Part) -> Part:
    """Return one part for two."""
    shapes = (*a.shapes, *b.shapes)
    serves = tuple(dict.fromkeys((*a.serves, *b.serves)))
    name = a.name if a.serves == b.serves else "+".join(name or DEFAULT_NAME for name in serves)
    return replace(a, name=name.replace("+", "-"), serves=serves, shapes=shapes)


def _steering_of(component: str, group: Iterable[Shape], settings: Settings) -> Steering:
    """Return what a group asks of the site, the settings filling in what rules leave open."""
    found: dict[str, dict[str, str]] = {}
    for shape in group:
        for field in fields(Steering):
            if value := getattr(shape.need.steering, field.name):
                found.setdefault(field.name, {}).setdefault(value, shape.rules[0])
    for name, values in found.items():
        if len(values) > 1:
            (one, rule), (other, other_rule) = list(values.items())[:2]
            raise LaunchError(
                f"Component {component!r} cannot have two values of {name}.",
                seen=f"rule {rule} asks for {name}={one}, rule {other_rule} for {name}={other}.",
                next_step=f"--set-resources {other_rule}:daskmpi_component={component}-{other}",
            )
    asked = {name: next(iter(values)) for name, values in found.items()}
    defaults = {
        "partition": settings.partition or "",
        "account": settings.account or "",
        "qos": settings.qos or "",
        "constraint": settings.constraint or "",
    }
    return Steering(**{**defaults, **asked})


def _names_partition(steering: Steering) -> bool:
    return bool(steering.partition)


def _by_partition(group: Sequence[Shape], steering: Steering, site: Site) -> list[tuple[Partition, list[Shape]]]:
    """Return which shapes of a group go to which partition.

    To the one that is named, of several to the first that allows for all of them; else to the default one, and what no
    node of it holds to the first that has one.
    """
    rule = _rule_with("partition", group)
    if _names_partition(steering):
        names = steering.partition.split(",")
        choices = [feasibility.usable_partition(name.strip(), rule, site) for name in names]
        longest_min = max(shape.need.resources.runtime_min or 0 for shape in group)
        choices.sort(key=lambda choice: most_minutes(choice) < longest_min)
    else:
        default = site.partition(None)
        if default is None:
            raise feasibility.no_default_partition(site)
        usable = [p for p in site.partitions if p.is_up and p.nodes and not p.is_default]
        usable = [p for p in usable if p.accounts is None or steering.account in p.accounts]
        choices = [feasibility.usable_partition(default.name, "", site), *sorted(usable, key=_smallness)]
    feasibility.check_account(steering.account, "", _rule_with("account", group), choices[0], site)
    feasibility.check_account("", steering.qos, _rule_with("qos", group), choices[0], site)
    found: dict[str, tuple[Partition, list[Shape]]] = {}
    for shape in group:
        able = (p for p in choices if _able(p.nodes, [shape], steering))
        partition = next(able, choices[0])
        found.setdefault(partition.name, (partition, []))[1].append(shape)
    order = [choice.name for choice in choices]
    return sorted(found.values(), key=lambda pair: order.index(pair[0].name))


def _rule_with(name: str, group: Iterable[Shape]) -> str:
    """Return the first rule that asks for something itself; "" if the settings do."""
    return next((shape.rules[0] for shape in group if getattr(shape.need.steering, name)), "")


def _smallness(partition: Partition) -> tuple[int, int]:
    """Order partitions so that large memory and GPUs are not taken by those who do without."""
    return (max(node.n_gpus for node in partition.nodes), max(node.mem_mb for node in partition.nodes))


def _able(nodes: Iterable[NodeType], shapes: Iterable[Shape], steering: Steering) -> list[NodeType]:
    """Return the nodes that may run shapes and hold at least one job of each."""
    return [
        node
        for node in nodes
        if feasibility.admits(steering.constraint, node.features) and _holds_all(node, shapes, steering.gpu_model)
    ]


def _holds_all(node: NodeType, shapes: Iterable[Shape], model: str = "") -> bool:
    return all(feasibility.holds(node, shape, model) for shape in shapes)


def _nodes_of(shapes: Sequence[Shape], steering: Steering, partition: Partition, site: Site) -> tuple[NodeType, ...]:
    """Return the nodes of a partition that a group's jobs may run on; for each job there is one that holds it."""
    admitted = [node for node in partition.nodes if feasibility.admits(steering.constraint, node.features)]
    if not admitted:
        raise feasibility.unmatched_constraint(steering.constraint, _rule_with("constraint", shapes), partition)
    for shape in shapes:
        if not _able(admitted, [shape], steering):
            raise feasibility.too_large(shape, steering.gpu_model, partition, admitted, site)
        if (shape.need.resources.runtime_min or 0) > most_minutes(partition):
            raise feasibility.job_too_long(shape.rules[0], shape.need.minutes, partition, site)
    return tuple(admitted)


def _by_gpus(part: Part) -> list[Part]:
    """Split jobs with GPUs from those without, as workers with GPUs should not be filled by others."""
    gpu = tuple(shape for shape in part.shapes if shape.need.resources.gpus)
    plain = tuple(shape for shape in part.shapes if not shape.need.resources.gpus)
    names = (part.name, f"{part.name}-gpu" if plain else part.name)
    return [replace(part, name=name, shapes=shapes) for name, shapes in zip(names, (plain, gpu), strict=True) if shapes]
