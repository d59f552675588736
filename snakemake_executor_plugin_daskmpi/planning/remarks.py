"""Why a plan is as it is, and what its user should know, in sentences.

Runs on: the login node. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.placement.deadline import Deadline
from snakemake_executor_plugin_daskmpi.planning.demand import ASSUMED_MEM_MB, ASSUMED_RUNTIME_MIN
from snakemake_executor_plugin_daskmpi.planning.drafts import n_nodes
from snakemake_executor_plugin_daskmpi.planning.walltimes import TIME_TO_USE, most_minutes
from snakemake_executor_plugin_daskmpi.settings.durations import duration_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from snakemake_executor_plugin_daskmpi.planning.demand import Demand
    from snakemake_executor_plugin_daskmpi.planning.drafts import Draft
    from snakemake_executor_plugin_daskmpi.planning.growing import Growing
    from snakemake_executor_plugin_daskmpi.planning.walltimes import Lifetime
    from snakemake_executor_plugin_daskmpi.settings.flags import Settings
    from snakemake_executor_plugin_daskmpi.slurm.plan import Plan


def why(draft: Draft, settings: Settings) -> str:
    """Return why ranks 0 and 1 are where they are."""
    apart = draft.head.cpus
    where = draft.head.partition
    if draft.host is None:
        among = min(draft.cpus_of_ranks_in(index) for index in range(len(draft.parts)))
        costs = "a node" if where.whole_nodes else _cpus(apart)
        return (
            f"{draft.n_components} components: ranks 0 and 1 do little, and have a small one of their own, which "
            f"takes {costs}; as two tasks of a worker's size they would take {_cpus(among)}."
        )
    host = draft.parts[draft.host]
    among = draft.cpus_of_ranks_in(draft.host)
    name = f"component {host.name}" if len(draft.parts) > 1 else "the one component"
    begin = f"{_counted(draft.n_components, 'component')}: ranks 0 and 1 are the first two tasks of {name}, "
    if n_nodes(where) <= sum(part.partition is where for part in draft.parts):
        return (
            f"{begin}since partition {where.name} has {_counted(n_nodes(where), 'node')}, and one of their own would "
            "need a further node: components never share one."
        )
    if draft.n_components == settings.max_components and among > apart:
        return f"{begin}since --daskmpi-max-components allows no further one."
    costs = "a whole node" if where.whole_nodes else f"{_cpus(apart)} on a further node"
    if among > apart:
        costs = f"{_cpus(apart)}, and a node from the workers: components never share one"
    return f"{begin}which takes {_cpus(among)}; one of their own would take {costs}."


def why_growing(growing: Growing, plan: Plan, lifetime: Lifetime, settings: Settings) -> str:
    """Return why ranks 0 and 1 are alone, and workers come and go; "" if all workers should be there from the start.

    Parameters
    ----------
    plan, lifetime
        With all workers from the start.
    """
    most_min = most_minutes(lifetime.strictest)
    since = ""
    alone, of_all = map(_hours, (growing.cost, growing.cost_of_all))
    figures = f"about {alone} core-hours; with all workers from the start {of_all}"
    begin = "With --daskmpi-grow: ranks 0 and 1 alone, and workers that come and go"
    if not lifetime.can_be:
        since = "--daskmpi-walltime is" if lifetime.asked_min else "the longest chain of jobs takes"
        since = f", since {since} {duration_text(lifetime.needed_min)}"
        figures = f"about {alone} core-hours"
    elif growing.limit_min > most_min and plan.makespan_min > most_min * TIME_TO_USE:
        since = f", since all workers from the start would need {duration_text(plan.makespan_min)}"
    elif settings.workers or growing.n_kinds > settings.grow or not growing.is_clearly_cheaper:
        return ""
    if since:
        since += f", and partition {lifetime.strictest.name} allows {duration_text(most_min)}"
    return f"{begin}{since}: {figures}."


def on_growing(growing: Growing | str, settings: Settings) -> str:
    """Return why all workers are there from the start in a run that may grow.

    Parameters
    ----------
    growing
        What could be instead, or why nothing can.
    """
    begin = f"With --daskmpi-grow {settings.grow}: all workers of this plan from the start"
    if isinstance(growing, str):
        return f"{begin}, since {growing}."
    alone, of_all = map(_hours, (growing.cost, growing.cost_of_all))
    begin += f", about {of_all} core-hours; with ranks 0 and 1 alone, and workers that come and go, {alone}"
    if not growing.is_clearly_cheaper:
        return f"{begin}, which is not clearly less."
    if settings.workers:
        return f"{begin}, but --daskmpi-workers asks for {settings.workers}."
    return f"{begin}, but they are of {growing.n_kinds} kinds, more than there may be at a time."


def _hours(core_min: float) -> str:
    """Return core-minutes in hours.

    >>> _hours(312.3), _hours(3.33)
    ('5.2', '0.056')
    """
    hours = core_min / 60
    return f"{hours:.1f}" if hours >= 1 else f"{hours:.2g}"


def remarks(draft: Draft, plan: Plan, demand: Demand, settings: Settings) -> Iterator[str]:
    """Yield what is assumed, and which limits bind."""
    if plan.makespan_min > plan.walltime_min:
        yield (
            f"The walltime of {duration_text(plan.walltime_min)} ends before the workflow, which needs about "
            f"{duration_text(plan.makespan_min)}: the same command then continues with what is left"
            f"{'' if settings.resubmit else ', and --daskmpi-resubmit does so by itself'}."
        )
    for part in draft.parts:
        # Further jobs share nothing.
        if len(part.serves) > 1 and not plan.further:
            names = ", ".join(name or "the other jobs" for name in part.serves)
            yield (
                f"Component {part.name} is shared by {names}: there is no room for one each "
                f"(--daskmpi-max-components {settings.max_components}, and a node per component)."
            )
    yield from unknown(demand)
    if not plan.further:
        yield from _whole(plan, demand)
    if settings.hyperthread and draft.host is not None:
        yield "--daskmpi-hyperthread has no effect, since ranks 0 and 1 have no component of their own."
    if len(plan.further) > settings.grow:
        yield (
            f"The workers are of {len(plan.further)} kinds, and --daskmpi-grow {settings.grow} has not all of them at "
            "a time: it takes longer than this forecast."
        )
    workers = settings.workers or settings.max_workers
    n_workers = plan.n_workers + sum(component.n_tasks for component in plan.further)
    if n_workers == workers and not settings.workers and not settings.walltime:
        yield f"There are {workers} workers because of --daskmpi-max-workers."


def _whole(plan: Plan, demand: Demand) -> Iterator[str]:
    """Yield which rules ask for all the time that there is, of which start and end need some."""
    length_s = plan.walltime_min * 60
    allocation = Deadline(ends_at=length_s, length_s=length_s, said_by="Slurm", clock=lambda: 0.0)
    stated = [shape for shape in demand.shapes() if shape.need.resources.runtime_min is not None]
    if whole := [shape for shape in stated if allocation.is_asked_for_whole(shape.need.minutes)]:
        rules = list(dict.fromkeys(rule for shape in whole for rule in shape.rules))
        yield (
            f"Jobs of {_some(rules)} may take all of the walltime, {duration_text(plan.walltime_min)}, of which start "
            f"and end need about a minute: they get what is left when they start. Better, if they take less: "
            f"--set-resources {rules[0]}:runtime=MINUTES"
        )


def unknown(demand: Demand) -> Iterator[str]:
    """Yield what is not known of the jobs."""
    if demand.recorded_runtime:
        number = len(demand.recorded_runtime)
        yield (
            f"{'The runtime' if number == 1 else 'Runtimes'} of {_counted(number, 'rule')} "
            f"{'is that' if number == 1 else 'are those'} of {demand.recorded_in}, the mean of each rule's jobs: "
            f"{_some(demand.recorded_runtime)}. A rule that states its runtime has that."
        )
    if demand.assumed_runtime:
        yield (
            f"No runtime is given for {_some(demand.assumed_runtime)}: {ASSUMED_RUNTIME_MIN} minutes a job are "
            f"assumed. Better: --set-resources {demand.assumed_runtime[0]}:runtime=MINUTES"
        )
    if demand.assumed_memory:
        yield (
            f"How much memory {_some(demand.assumed_memory)} will need is not known yet: {ASSUMED_MEM_MB} MB a job are "
            f"assumed. Better: --set-resources {demand.assumed_memory[0]}:mem_mb=MB"
        )
    if demand.checkpoints:
        yield f"What follows from checkpoint {_some(demand.checkpoints)} is not known yet, and not in this plan."


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _cpus(number: float) -> str:
    return _counted(round(number), "CPU")


def _some(rules: Sequence[str]) -> str:
    """Return names, the first few of many."""
    few = 4
    return ", ".join(rules[:few]) + (f" and {len(rules) - few} more" if len(rules) > few else "")
