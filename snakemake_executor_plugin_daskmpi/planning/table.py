"""A plan to read: what the jobs ask for, what Slurm is asked for, and what will come of it.

Runs on: the login node. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.settings.durations import duration_text, render_walltime

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from snakemake_executor_plugin_daskmpi.planning.demand import Demand, Shape
    from snakemake_executor_plugin_daskmpi.planning.forecast import Forecast
    from snakemake_executor_plugin_daskmpi.slurm.plan import Component, Plan

#: From idle to all cores busy.
_BLOCKS = " ▁▂▃▄▅▆▇█"
#: Kinds of jobs that the table shows; the rest is counted.
_MAX_SHAPES = 20


def render_plan(plan: Plan, demand: Demand, forecast: Forecast, grow: int = 0) -> str:
    """Return all that a user wants to know before the job is submitted.

    Parameters
    ----------
    grow
        How many further Slurm jobs there may be at a time.
    """
    sections = [
        f"Jobs: {demand.n_worker_jobs} for workers, {len(demand.jobs) - demand.n_worker_jobs} local",
        *_shapes(demand.shapes(), plan, demand.recorded_runtime),
        "",
        f"Slurm job: {ranks_text(plan)}",
        *_components(plan.components, "ranks"),
        *_further(plan, grow),
        "",
        *_outlook(plan, demand, forecast),
        *_activity(plan, forecast),
        "",
        f"Why: {plan.why}",
        *(f"Note: {note}" for note in plan.notes),
    ]
    return "\n".join(sections) + "\n"


def render_here(plan: Plan, demand: Demand, forecast: Forecast) -> str:
    """Return what a user without Slurm wants to know of a run on this machine."""
    rows: list[tuple[object, ...]] = [("workers", "cores each", "MB each", "GPUs each")]
    for each in plan.components:
        mem_mb = each.cpus_per_task * each.mem_per_cpu_mb
        rows.append((each.n_tasks, each.cpus_per_task, mem_mb, each.gpus_per_task or "-"))
    sections = [
        f"Jobs: {demand.n_worker_jobs} for workers, {len(demand.jobs) - demand.n_worker_jobs} local",
        *_shapes(demand.shapes(), plan, demand.recorded_runtime),
        "",
        "There is no Slurm here. On this machine, with --daskmpi-launcher local:",
        *grid(rows, left=()),
        "",
        *_outlook(plan, demand, forecast),
        *_activity(plan, forecast),
        "",
        *(f"Note: {note}" for note in plan.notes),
        "Note: another size is named by --daskmpi-workers, --daskmpi-cores, --daskmpi-mem-mb and --daskmpi-gpus.",
        "Note: on the login node of a cluster, this shows the Slurm job that the workflow would get.",
    ]
    return "\n".join(sections) + "\n"


def ranks_text(plan: Plan) -> str:
    """Return the ranks spelled out.

    >>> from snakemake_executor_plugin_daskmpi.slurm.plan import Component, Plan
    >>> ranks_text(Plan((Component("workers", ("",), n_tasks=6, cpus_per_task=1, mem_per_cpu_mb=1024),), 60))
    '6 ranks: scheduler, client and 4 workers; one component'
    >>> ranks_text(Plan((Component("head", (), n_tasks=2, cpus_per_task=1, mem_per_cpu_mb=512),), 60))
    '2 ranks: scheduler and client'
    """
    workers, components = plan.n_workers, len(plan.components)
    if not workers:
        return f"{plan.n_ranks} ranks: scheduler and client"
    kind = f"heterogeneous, {components} components" if plan.is_heterogeneous else "one component"
    return f"{plan.n_ranks} ranks: scheduler, client and {workers} worker{'s' * (workers != 1)}; {kind}"


def grid(rows: Sequence[Sequence[object]], *, left: Sequence[int] = (0,)) -> list[str]:
    """Return lines of aligned columns, numbers to the right; the first row is the heading.

    >>> grid([("rule", "jobs"), ("a", 10), ("bcd", 5)])
    ['  rule  jobs', '  a       10', '  bcd      5']
    """
    texts = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    return [
        "  "
        + "  ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in texts
    ]


def _shapes(shapes: Sequence[Shape], plan: Plan, recorded: Sequence[str]) -> Iterator[str]:
    """Yield the table of what jobs ask for, those with most work where there are too many.

    A runtime that the rule does not say is one that a record knows (``~``), or assumed (``?``).
    """
    shown = sorted(shapes, key=lambda shape: -shape.work)[:_MAX_SHAPES]
    rows: list[tuple[object, ...]] = [("rules", "jobs", "threads", "mem_mb", "gpu", "runtime", "component")]
    for shape in (shape for shape in shapes if shape in shown):
        asked = shape.need.resources
        tasks = f"{asked.tasks} x {asked.cores // asked.tasks}" if asked.tasks > 1 else asked.cores
        runtime = duration_text(shape.need.minutes)
        if not asked.runtime_min:
            runtime = f"~{runtime}" if shape.rules[0] in recorded else f"{runtime} ?"
        able = ", ".join(c.name for c in (*plan.components, *plan.further) if _takes(c, shape))
        rows.append((_names(shape.rules), shape.count, tasks, asked.mem_mb, asked.gpus, runtime, able))
    yield from grid(rows, left=(0, 6))
    if len(shapes) > len(shown):
        rest = sum(shape.count for shape in shapes if shape not in shown)
        yield f"  and {len(shapes) - len(shown)} more kinds with {rest} jobs"


def _takes(component: Component, shape: Shape) -> bool:
    asked = shape.need.resources
    if asked.component not in component.serves or asked.gpus > component.gpus_per_task:
        return False
    each = asked.tasks if asked.spans else 1
    mem_mb = component.cpus_per_task * component.mem_per_cpu_mb
    return asked.cores <= component.cpus_per_task * each and asked.mem_mb <= mem_mb * each


def _names(rules: Sequence[str]) -> str:
    few = 3
    return ", ".join(rules[:few]) + (", …" if len(rules) > few else "")


def _further(plan: Plan, grow: int) -> Iterator[str]:
    """Yield the table of workers that come and go, if there are any."""
    if plan.further:
        yield ""
        yield f"Further Slurm jobs, at most {grow} at a time, as forecast:"
        yield from _components(plan.further, "workers")


def _components(components: Sequence[Component], tasks: str) -> Iterator[str]:
    """Yield the table of what Slurm is asked for."""
    rows: list[tuple[object, ...]] = [("component", tasks, "CPUs each", "MB each", "GPUs each", "partition", "further")]
    for component in components:
        gpus = f"{component.gpus_per_task} {component.gpu_model}".strip() if component.gpus_per_task else "-"
        mem_mb = component.cpus_per_task * component.mem_per_cpu_mb
        asked = (
            ("account", component.account),
            ("qos", component.qos),
            ("constraint", component.constraint),
            ("gres", component.gres),
        )
        words = [f"{name}={value}" for name, value in asked if value]
        words += ["multithread"] * component.multithread + list(component.extra)
        cells = (component.n_tasks, component.cpus_per_task, mem_mb, gpus, component.partition, " ".join(words))
        rows.append((component.name, *cells))
    yield from grid(rows, left=(0, 5, 6))


def _outlook(plan: Plan, demand: Demand, forecast: Forecast) -> Iterator[str]:
    how = f"with {forecast.utilisation:.0%} of the workers' cores busy"
    if plan.further:
        how = "with these workers there whenever jobs wait"
    yield (
        f"Forecast: {duration_text(forecast.makespan_min)} {how}; "
        f"the longest chain of jobs takes {duration_text(demand.critical_path_min())}."
    )
    if plan.walltime_min:
        yield f"Walltime: {render_walltime(plan.walltime_min)}"


def _activity(plan: Plan, forecast: Forecast) -> Iterator[str]:
    """Yield a line of blocks per component: how many of its cores are busy, from the start to the end."""
    width = max((len(each.component) for each in forecast.activities), default=0)
    for each in forecast.activities:
        levels = (0 if busy <= 0 else 1 + min(int(busy / each.cores * 8), 7) for busy in each.busy)
        bar = "".join(_BLOCKS[level] for level in levels)
        yield (
            f"  {each.component.ljust(width)} |{bar}| {forecast.utilisation_of(each):.0%} of {each.cores} cores, "
            f"{each.jobs} jobs"
        )
    if forecast.activities and plan.components:
        end = duration_text(forecast.makespan_min)
        yield f"  {' ' * width}  0{end.rjust(len(forecast.activities[0].busy) - 1)}"
