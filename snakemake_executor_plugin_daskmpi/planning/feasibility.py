"""What cannot be, said before anything is submitted: what was asked, what the site offers, what to change.

Runs on: the login node. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.errors import LaunchError, did_you_mean, nearest
from snakemake_executor_plugin_daskmpi.resources import UNLIMITED_DISK_MB, WorkerResources
from snakemake_executor_plugin_daskmpi.settings.durations import duration_text, render_walltime

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from snakemake_executor_plugin_daskmpi.planning.demand import Shape
    from snakemake_executor_plugin_daskmpi.resources import Steering
    from snakemake_executor_plugin_daskmpi.slurm.site import NodeType, Partition, Site


#: Minutes that a world takes to start, generously.
_START_MIN = 2


def usable_partition(name: str, rule: str, site: Site) -> Partition:
    """Return a partition by name.

    Parameters
    ----------
    rule : str
        The rule that names it; "" if the settings do.

    Raises
    ------
    LaunchError
        If there is none of this name, or it is down.
    """
    partition = site.partition(name)
    if partition is None:
        known = [p.name for p in site.partitions]
        near = nearest(name, known)
        raise LaunchError(
            f"There is no partition {name!r}.{did_you_mean(near)}",
            seen=f"{_asker(rule, '--daskmpi-partition')} asks for it; {site.cluster} has {_listed(known)}.",
            next_step=_change(rule, "slurm_partition", "--daskmpi-partition", near or _default_name(site)),
        )
    if not partition.is_up or not partition.nodes:
        others = [p.name for p in site.partitions if p.is_up and p.nodes and p is not partition]
        why = "it has no node that is up" if partition.is_up else "it is not up"
        raise LaunchError(
            f"Partition {name} takes no jobs now: {why}.",
            seen=f"{_asker(rule, '--daskmpi-partition')} asks for it; partitions that are up: {_listed(others)}.",
            next_step=_change(rule, "slurm_partition", "--daskmpi-partition", next(iter(others), "NAME"))
            + f", or wait: sinfo -p {name}",
        )
    return partition


def whole_nodes(steering: Steering, site: Site) -> list[WorkerResources]:
    """Return what a worker would offer that is all of a node, of the nodes that a job may go to."""
    chosen = site.partition(steering.partition) if steering.partition else None
    return [
        WorkerResources(
            cores=tuple(range(node.cpus)),
            mem_mb=node.mem_mb,
            disk_mb=UNLIMITED_DISK_MB,
            gpus=tuple(map(str, range(gpus_of(node, steering.gpu_model)))),
        )
        for partition in ([chosen] if chosen else site.partitions)
        for node in partition.nodes
    ]


def no_default_partition(site: Site) -> LaunchError:
    """Return the error of a site where every job has to name its partition."""
    return LaunchError(
        "The workflow does not say in which partition to run, and the site has no default.",
        seen=f"{site.cluster} has {_listed(p.name for p in site.partitions)}.",
        next_step=f"--daskmpi-partition {_default_name(site)}",
    )


def check_account(account: str, qos: str, rule: str, partition: Partition, site: Site) -> None:
    """Raise a LaunchError if an account or a quality of service may not be used here, where the site tells."""
    wanted = (
        ("account", account, "--daskmpi-account", "slurm_account", site.accounts, partition.accounts),
        ("quality of service", qos, "--daskmpi-qos", "slurm_qos", site.qos, partition.qos),
    )
    for noun, name, flag, resource, of_site, of_partition in wanted:
        for place, allowed in ((site.cluster, of_site), (f"partition {partition.name}", of_partition)):
            if name and allowed is not None and name not in allowed:
                near = nearest(name, allowed)
                raise LaunchError(
                    f"The {noun} {name!r} cannot be used in {place}.{did_you_mean(near)}",
                    seen=f"{_asker(rule, flag)} asks for it; {place} takes {_listed(allowed)}.",
                    next_step=_change(rule, resource, flag, near or min(allowed, default="NAME")),
                )


def unmatched_constraint(constraint: str, rule: str, partition: Partition) -> LaunchError:
    """Return the error of features that no node of a partition has."""
    features = sorted({word for node in partition.nodes for word in node.features})
    near = nearest(constraint, features)
    return LaunchError(
        f"No node of partition {partition.name} has the features {constraint!r}.{did_you_mean(near)}",
        seen=f"{_asker(rule, '--daskmpi-constraint')} asks for them; there are {_listed(features)}.",
        next_step=_change(rule, "constraint", "--daskmpi-constraint", near or next(iter(features), "''")),
    )


def too_large(shape: Shape, model: str, partition: Partition, nodes: Sequence[NodeType], site: Site) -> LaunchError:
    """Return the error of a job that no node of a partition can hold."""
    asked, rule = shape.need.resources, shape.rules[0]
    each = asked.tasks if asked.spans else 1
    have = max(nodes, key=lambda node: (gpus_of(node, model) >= asked.gpus, node.mem_mb, node.cpus))
    most_gpus = max(gpus_of(node, model) for node in nodes)
    checks = (
        ("gpu", asked.gpus, most_gpus, f"{rule}:gpu={most_gpus}"),
        ("threads", -(-asked.cores // each), max(node.cpus for node in nodes), ""),
        ("mem_mb", -(-asked.mem_mb // each), max(node.mem_mb for node in nodes), f"{rule}:mem_mb={have.mem_mb * each}"),
    )
    name, wanted, most, change = next(
        (check for check in checks if check[1] > check[2]),
        ("mem_mb", asked.mem_mb, have.mem_mb, f"{rule}:mem_mb={have.mem_mb}"),  # no node has all of it together
    )
    kind = f" of model {model!r}" if name == "gpu" and model else ""
    elsewhere = [p for p in site.partitions if p.is_up and any(holds(node, shape, model) for node in p.nodes)]
    step = f"--set-threads {rule}={most}" if name == "threads" else f"--set-resources {change}"
    per_task = asked.cores // asked.tasks
    if name == "threads" and each < asked.tasks and per_task <= most:
        kind, step = f" ({asked.tasks} tasks of {per_task})", f"--set-resources {rule}:tasks={most // per_task}"
    if elsewhere:
        step = f"--set-resources {rule}:slurm_partition={elsewhere[0].name}"
    elif name == "gpu" and model and not most_gpus:
        models = sorted({m for p in site.partitions for node in p.nodes for m, _ in node.gpus if m})
        near = nearest(model, models) or next(iter(models), "")
        step = f"--set-resources {rule}:gpu_model={near}" if near else f"--set-resources {rule}:gpu=0"
    return LaunchError(
        f"Rule {rule} asks for {name}={wanted}{kind}, more than any node of partition {partition.name} has: {most}.",
        seen=f"{site.cluster} has {'; '.join(_partition_text(p) for p in site.partitions)}.",
        next_step=step,
    )


def job_too_long(rule: str, minutes: float, partition: Partition, site: Site) -> LaunchError:
    """Return the error of a job that lasts longer than its partition allows."""
    limit_min = partition.max_minutes or 0
    longer = _long_enough(minutes, site)
    change = f"slurm_partition={longer[0]}" if longer else f"runtime={limit_min}"
    return LaunchError(
        f"A job of rule {rule} takes {duration_text(minutes)}, longer than partition {partition.name} allows: "
        f"{duration_text(limit_min)}.",
        seen=f"longest walltimes at {site.cluster}: {_limits(site)}.",
        next_step=f"--set-resources {rule}:{change}",
    )


def limits_apart(longest: Shape, where: Partition, rule: str, strictest: Partition, n_kinds: int) -> LaunchError:
    """Return the error of jobs in two partitions, one of which allows less than a job in the other takes.

    Parameters
    ----------
    longest, where
        That job, and its partition.
    rule, strictest
        A rule of the other partition, and that.
    n_kinds
        Kinds of workers, which further Slurm jobs would bring each by itself.
    """
    slow, takes = longest.rules[0], duration_text(longest.need.minutes)
    return LaunchError(
        f"A job of rule {slow}, in partition {where.name}, takes {takes}, and partition {strictest.name}, that of rule "
        f"{rule}, allows {duration_text(strictest.max_minutes or 0)}: one Slurm job has one walltime.",
        seen=f"{slow}: slurm_partition={where.name}; {rule}: slurm_partition={strictest.name}.",
        next_step=f"--daskmpi-grow {n_kinds}, with which the workers of each partition come in Slurm jobs of their own;"
        f" or --set-resources {rule}:slurm_partition={where.name} for all rules of {strictest.name}",
    )


def walltime_too_short(rule: str, minutes: float, asked_min: int) -> LaunchError:
    """Return the error of a walltime in which a job cannot end."""
    return LaunchError(
        f"A job of rule {rule} takes {duration_text(minutes)}, longer than the walltime.",
        seen=f"--daskmpi-walltime is {render_walltime(asked_min)}.",
        next_step=f"--daskmpi-walltime {render_walltime(minutes + _START_MIN)}, or more",
    )


def walltime_above(asked_min: int, partition: Partition, site: Site) -> LaunchError:
    """Return the error of a walltime that a partition does not give."""
    longest = partition.max_minutes or 0
    longer = _long_enough(asked_min, site)
    other = f", or --daskmpi-partition {longer[0]}" if longer else ""
    return LaunchError(
        f"A walltime of {duration_text(asked_min)} is above the limit of partition {partition.name}.",
        seen=f"--daskmpi-walltime is {render_walltime(asked_min)}; longest at {site.cluster}: {_limits(site)}.",
        next_step=f"--daskmpi-walltime {render_walltime(longest)}{other}",
    )


def admits(constraint: str, features: frozenset[str]) -> bool:
    """Say whether nodes with some features meet a constraint; True for forms that only Slurm understands.

    >>> [admits(c, frozenset({"a100", "ib"})) for c in ("", "a100", "a100&ib", "v100|ib", "a100,v100", "[x*2]")]
    [True, True, True, True, False, True]
    """
    if not constraint or set(constraint) & set("[]()*!"):
        return True
    return any(
        all(word.strip() in features for word in choice.replace(",", "&").split("&"))
        for choice in constraint.split("|")
    )


def gpus_of(node: NodeType, model: str) -> int:
    """Return how many GPUs of a model a node has, of any for ""."""
    return sum(count for its_model, count in node.gpus if not model or its_model == model)


def holds(node: NodeType, shape: Shape, model: str = "") -> bool:
    """Say whether an empty node holds a job, or one task of an MPI program that may lie on several."""
    asked = shape.need.resources
    each = asked.tasks if asked.spans else 1
    return asked.cores <= node.cpus * each and asked.mem_mb <= node.mem_mb * each and asked.gpus <= gpus_of(node, model)


def _asker(rule: str, flag: str) -> str:
    return f"rule {rule}" if rule else flag


def _change(rule: str, resource: str, flag: str, value: str) -> str:
    return f"--set-resources {rule}:{resource}={value}" if rule else f"{flag} {value}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _default_name(site: Site) -> str:
    default = site.partition(None) or next((p for p in site.partitions if p.is_up), None)
    return default.name if default else "NAME"


def _long_enough(minutes: float, site: Site) -> list[str]:
    """Return the partitions that allow so long a walltime."""
    return [p.name for p in site.partitions if p.is_up and (p.max_minutes is None or p.max_minutes >= minutes)]


def _limits(site: Site) -> str:
    texts = ("no limit" if p.max_minutes is None else duration_text(p.max_minutes) for p in site.partitions)
    return ", ".join(f"{p.name} {text}" for p, text in zip(site.partitions, texts, strict=True))


def _partition_text(partition: Partition) -> str:
    kinds = []
    for node in partition.nodes:
        gpus = ", ".join(f"{count} GPU{'s' * (count != 1)}{' ' * bool(model)}{model}" for model, count in node.gpus)
        kinds.append(f"{node.count} x ({node.cpus} CPUs, {node.mem_mb} MB{', ' * bool(gpus)}{gpus})")
    return f"{partition.name}: {', '.join(kinds) or 'no nodes'}"
