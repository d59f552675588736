"""Why no components within the user's limits can do the work, and which limit to raise.

Runs on: the login node. Pure.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.errors import LaunchError
from snakemake_executor_plugin_daskmpi.planning.drafts import fewest, n_nodes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from snakemake_executor_plugin_daskmpi.planning.grouping import Part
    from snakemake_executor_plugin_daskmpi.settings.flags import Settings
    from snakemake_executor_plugin_daskmpi.slurm.site import Site


def shortage(parts: Sequence[Part], settings: Settings, site: Site) -> LaunchError:
    """Return the error that names what is too little."""
    few = fewest(parts)
    return next(
        iter((*_fixed_sizes(parts, settings), *_limits(few, settings), *_crowds(few))), _too_diverse(parts, site)
    )


def _fixed_sizes(parts: Sequence[Part], settings: Settings) -> Iterator[LaunchError]:
    """Yield what is wrong with workers of a size that the settings fix."""
    gpus = len([i for i in settings.gpus.split(",") if i.strip()]) if settings.gpus else None
    for part in parts:
        for shape in part.shapes:
            asked = shape.need.resources
            each = asked.tasks if asked.spans else 1
            pairs = (
                ("--daskmpi-cores", settings.cores, -(-asked.cores // each), "threads", str(-(-asked.cores // each))),
                (
                    "--daskmpi-mem-mb",
                    settings.mem_mb,
                    -(-asked.mem_mb // each),
                    "mem_mb",
                    str(-(-asked.mem_mb // each)),
                ),
                ("--daskmpi-gpus", gpus, asked.gpus, "gpu", ",".join(map(str, range(asked.gpus)))),
            )
            for flag, fixed, wanted, name, value in pairs:
                if fixed is not None and wanted > fixed:
                    yield LaunchError(
                        f"Rule {shape.rules[0]} asks for {name}={wanted}, more than a worker may have.",
                        seen=f"{flag} gives each worker {fixed}.",
                        next_step=f"{flag} {value}, or leave it out",
                    )


def _limits(few: Sequence[Part], settings: Settings) -> Iterator[LaunchError]:
    """Yield which of the user's limits are too low for one worker per part."""
    names = ", ".join(part.name for part in few)
    most = settings.max_components
    if len(few) > most:
        yield LaunchError(
            f"The workflow needs {len(few)} components, more than it may have.",
            seen=f"its rules ask for {names}, which differ in what they ask of the site; "
            f"--daskmpi-max-components is {most}.",
            next_step=f"--daskmpi-max-components {len(few)}",
        )
    workers = settings.workers or settings.max_workers
    if len(few) > workers:
        flag = "--daskmpi-workers" if settings.workers else "--daskmpi-max-workers"
        yield LaunchError(
            f"{len(few)} components need as many workers at least.",
            seen=f"they are for {names}; {flag} is {workers}.",
            next_step=f"{flag} {len(few)}",
        )
    # A program whose tasks spread needs the cores of all of them at a time.
    needed = sum(max(1, *(shape.need.cores for shape in part.shapes)) for part in few)
    if settings.max_cores is not None and needed > settings.max_cores:
        yield LaunchError(
            f"The largest jobs of all components need {needed} cores.",
            seen=f"they are for {names}; --daskmpi-max-cores is {settings.max_cores}.",
            next_step=f"--daskmpi-max-cores {needed}",
        )


def _crowds(few: Sequence[Part]) -> Iterator[LaunchError]:
    """Yield which partitions have fewer nodes than components: these never share one."""
    for name, number in Counter(part.partition.name for part in few).items():
        its_parts = [part for part in few if part.partition.name == name]
        nodes = n_nodes(its_parts[0].partition)
        if number > nodes:
            rule = its_parts[-1].shapes[0].rules[0]
            one = its_parts[0].serves[0] or "any"
            yield LaunchError(
                f"Partition {name} has too few nodes for {number} components, which never share one.",
                seen=f"{nodes} node{'s' * (nodes != 1)} for {', '.join(part.name for part in its_parts)}.",
                next_step=f"give them one component: --set-resources {rule}:daskmpi_component={one}",
            )


def _too_diverse(parts: Sequence[Part], site: Site) -> LaunchError:
    """Return the error of a component whose jobs fit some node each, but no worker all of them."""
    part = max(parts, key=lambda part: len(part.shapes))
    largest = max(part.shapes, key=lambda shape: (shape.need.resources.tasks, shape.need.resources.mem_mb))
    asked = largest.need.resources
    rule = largest.rules[0]
    nodes = ", ".join(f"{node.count} x ({node.cpus} CPUs, {node.mem_mb} MB)" for node in part.nodes)
    if n_nodes(part.partition) == 1:
        half = max(1, max(node.cpus for node in part.nodes) // 3)
        return LaunchError(
            f"Partition {part.partition.name} has no room for ranks 0 and 1 beside a worker.",
            seen=f"it has {nodes}; on one node they are two tasks as large as the worker, which has to hold "
            f"{asked.cores} cores and {asked.mem_mb} MB for rule {rule}.",
            next_step=f"--set-threads {rule}={half}, or a partition with more nodes: --daskmpi-partition NAME",
        )
    wide = f" for {asked.tasks} tasks at a time" if asked.spans else ""
    return LaunchError(
        f"No workers within the limits hold all jobs of component {part.name}.",
        seen=f"rule {rule} asks for {asked.cores} cores and {asked.mem_mb} MB{wide}; partition {part.partition.name} "
        f"of {site.cluster} has {nodes}.",
        next_step=f"--set-resources {rule}:daskmpi_component={rule}, or raise --daskmpi-max-workers or -max-components",
    )
