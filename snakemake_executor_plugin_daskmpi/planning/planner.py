"""The one Slurm job that a workflow gets.

Runs on: the login node. Pure.

What the rules ask for and what the site has give parts (``grouping``), these give drafts of components with their cost
(``sizing``, ``drafts``). The best draft is played through once (``forecast``), a few times with more workers if it
would not end in time. What cannot be is refused on the way (``feasibility``, ``shortage``). A run that may grow can
begin without any of its workers (``growing``).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.errors import LaunchError
from snakemake_executor_plugin_daskmpi.planning import feasibility
from snakemake_executor_plugin_daskmpi.planning.components import components_of
from snakemake_executor_plugin_daskmpi.planning.drafts import Draft, Head, Terms, best_draft, n_nodes
from snakemake_executor_plugin_daskmpi.planning.forecast import forecast_of
from snakemake_executor_plugin_daskmpi.planning.grouping import parts_of
from snakemake_executor_plugin_daskmpi.planning.growing import Growing, growing_of
from snakemake_executor_plugin_daskmpi.planning.remarks import on_growing, remarks, why, why_growing
from snakemake_executor_plugin_daskmpi.planning.shortage import shortage
from snakemake_executor_plugin_daskmpi.planning.walltimes import TIME_TO_USE, Lifetime, most_minutes, walltime_for
from snakemake_executor_plugin_daskmpi.settings.durations import parse_walltime
from snakemake_executor_plugin_daskmpi.slurm.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from snakemake_executor_plugin_daskmpi.planning.demand import Demand
    from snakemake_executor_plugin_daskmpi.planning.forecast import Forecast
    from snakemake_executor_plugin_daskmpi.planning.grouping import Part
    from snakemake_executor_plugin_daskmpi.settings.flags import Settings
    from snakemake_executor_plugin_daskmpi.slurm.site import Partition, Site

#: Minutes of work that are worth the wait in a queue; more workers would not be. Arbitrary.
WORTH_QUEUEING_MIN = 10
#: Rank 1 in MB: 165 of its own, rounded up generously; and for each job of the DAG. ``snakemake -n`` grows by 12.6 kB a
#: job (93, 105, 218 MiB for 101, 1,001, 10,001 jobs; Snakemake 9.27); a run keeps a few objects more of each.
_HEAD_MB, _HEAD_MB_PER_JOB = 300, 0.03
#: How often a draft is played through with more workers, at most.
_ATTEMPTS = 4


def plan_of(demand: Demand, site: Site, settings: Settings) -> Plan:
    """Return the Slurm job for a demand.

    Raises
    ------
    LaunchError
        If there can be none, with what was asked, what the site offers, and what to change.
    SettingsError
        If the walltime is none.
    """
    demand = demand.within(lambda steering: feasibility.whole_nodes(steering, site))
    shapes = demand.shapes()
    if not shapes:
        raise LaunchError(
            "No job of this workflow goes to a worker: there is nothing to plan a Slurm job for.",
            seen=f"{len(demand.jobs)} jobs, all of local rules, which run in Snakemake's own process.",
            next_step="snakemake --executor local --cores 1, or take the rules out of 'localrules'.",
        )
    asked_min = parse_walltime(settings.walltime) if settings.walltime else None
    chain_min = demand.critical_path_min()
    parts, notes = parts_of(shapes, site, settings)
    places = _places(parts, site, settings)
    head = _head(parts, demand, settings, places, asked_min or chain_min)
    strictest = min((*(part.partition for part in parts), head.partition), key=most_minutes)
    longest = max(shapes, key=lambda shape: shape.need.resources.runtime_min or 0)
    lifetime = Lifetime(asked_min, chain_min, longest, strictest)
    _check_asked(lifetime)
    if not lifetime.can_begin and not settings.grow:
        raise _too_long(lifetime, parts, site)
    limit_min = lifetime.limit_min
    target_min = max(chain_min, float(WORTH_QUEUEING_MIN))
    if limit_min:
        in_time = limit_min * TIME_TO_USE
        target_min = in_time if asked_min else min(target_min, in_time)
    terms = Terms(head, settings, target_min, roomy=bool(demand.assumed_memory))
    found = _drafted(parts, terms, demand, limit_min)
    if found is None:
        raise shortage(parts, settings, site)
    draft, plan, forecast = found
    walltime_min = asked_min or walltime_for(plan.makespan_min, demand, strictest.max_minutes)
    plan = replace(plan, walltime_min=walltime_min, why=why(draft, settings))
    if settings.grow:
        growing = growing_of((draft, plan, forecast), lifetime, places, settings)
        if isinstance(growing, Growing) and (because := why_growing(growing, plan, lifetime, settings)):
            draft, plan = growing.draft, replace(growing.plan, why=because)
        elif lifetime.can_begin:
            notes.append(on_growing(growing, settings))
        else:
            raise _too_long(lifetime, parts, site)
    return replace(plan, notes=(*notes, *remarks(draft, plan, demand, settings)))


def _drafted(
    parts: Sequence[Part], terms: Terms, demand: Demand, limit_min: int | None
) -> tuple[Draft, Plan, Forecast] | None:
    """Return the best draft, the plan that it gives, and its forecast; with more workers where time is short."""
    best: tuple[Draft, Plan, Forecast] | None = None
    for _ in range(_ATTEMPTS):
        draft = best_draft(parts, terms)
        if draft is None:
            break
        if best is None or draft != best[0]:
            plan = Plan(components_of(draft, demand, terms.settings), walltime_min=0)
            forecast = forecast_of(plan, demand)
            plan = replace(plan, makespan_min=forecast.makespan_min, utilisation=forecast.utilisation)
            if best is None or plan.makespan_min < best[1].makespan_min:
                best = draft, plan, forecast
        if not limit_min or best[1].makespan_min <= limit_min * TIME_TO_USE:
            break
        terms = replace(terms, target_min=terms.target_min * 0.9)
    return best


def _places(parts: Sequence[Part], site: Site, settings: Settings) -> list[Partition]:
    """Return where ranks 0 and 1 may be if they are not among the workers, the best first."""
    chosen = feasibility.usable_partition(settings.partition, "", site) if settings.partition else None
    usual = next((part.partition for part in parts if "" in part.serves), None) or site.partition(None)
    places = [chosen, usual, *(part.partition for part in parts)]
    # Where the workers fill all nodes, ranks 0 and 1 may be anywhere that is open to all.
    places += [place for place in site.partitions if place.accounts is None and place.qos is None]
    return [place for place in places if place and place.is_up and place.nodes]


def _head(
    parts: Sequence[Part], demand: Demand, settings: Settings, places: Sequence[Partition], needed_min: float
) -> Head:
    """Return what ranks 0 and 1 need: memory for the DAG and for the largest local rule; and where they may be."""
    local = max((job.need.resources.mem_mb for job in demand.jobs if job.need.is_local), default=0)
    mem_mb = -(-int(_HEAD_MB + _HEAD_MB_PER_JOB * len(demand.jobs) + local) // 256) * 256
    taken = Counter(part.partition.name for part in parts)
    # They have to be there for no longer than the workers can.
    needed_min = min(needed_min, *(most_minutes(part.partition) for part in parts))
    lasting = [place for place in places if most_minutes(place) >= needed_min]
    fitting = [place for place in lasting if n_nodes(place) > taken[place.name]]
    return Head((fitting or lasting)[0], mem_mb, settings.hyperthread)


def _check_asked(lifetime: Lifetime) -> None:
    """Refuse a walltime in which some job cannot end, as far as its rule says."""
    if lifetime.asked_min is not None and lifetime.job_min > lifetime.asked_min:
        raise feasibility.walltime_too_short(lifetime.longest.rules[0], lifetime.job_min, lifetime.asked_min)


def _too_long(lifetime: Lifetime, parts: Sequence[Part], site: Site) -> LaunchError:
    """Return the error of ranks that cannot be there for as long as they have to."""
    strictest, longest = lifetime.strictest, lifetime.longest
    if lifetime.job_min <= most_minutes(strictest):
        return feasibility.walltime_above(lifetime.asked_min or 0, strictest, site)
    bound = next(part for part in parts if part.partition is strictest)
    where = next(part.partition for part in parts if longest in part.shapes)
    return feasibility.limits_apart(longest, where, bound.shapes[0].rules[0], strictest, len(parts))
