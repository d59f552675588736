"""What a workflow would take without Slurm: on workers of this machine, or of a size that one names.

Runs on: a laptop, or wherever there is no Slurm. Pure.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.errors import LaunchError
from snakemake_executor_plugin_daskmpi.placement.refusal import refusal_of
from snakemake_executor_plugin_daskmpi.planning.remarks import unknown
from snakemake_executor_plugin_daskmpi.resources import WorkerResources, shrunk
from snakemake_executor_plugin_daskmpi.slurm.plan import Component, Plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from snakemake_executor_plugin_daskmpi.planning.demand import Demand, Job, Need


def plan_here(demand: Demand, offers: Sequence[WorkerResources]) -> tuple[Plan, Demand]:
    """Return workers as a plan without ranks 0 and 1 and without a walltime, and what they are to do.

    A job that asks for more than was guessed to be there gets all of that, and takes longer where it is cores.

    Parameters
    ----------
    offers
        What each worker offers.

    Raises
    ------
    LaunchError
        If some job fits no worker.
    """
    sizes = Counter((len(offer.cores), offer.mem_mb // len(offer.cores), len(offer.gpus)) for offer in offers)
    components = tuple(
        Component("workers" if len(sizes) == 1 else f"{cores}-core", ("",), number, cores, mem_per_cpu_mb, gpus)
        for (cores, mem_per_cpu_mb, gpus), number in sizes.items()
    )
    # Of a worker's memory, a plan knows what there is for each core.
    rounded = [replace(offer, mem_mb=offer.mem_mb // len(offer.cores) * len(offer.cores)) for offer in offers]
    # Equal needs stay one object.
    needs: dict[int, Need] = {}
    for job in demand.jobs:
        if id(job.need) not in needs:
            needs[id(job.need)] = job.need if job.need.is_local else _held(job, rounded)
    plan = Plan(components, walltime_min=0, has_head=False, notes=tuple(unknown(demand)))
    return plan, replace(demand, jobs=tuple(replace(job, need=needs[id(job.need)]) for job in demand.jobs))


def _held(job: Job, offers: Sequence[WorkerResources]) -> Need:
    """Return a job's need as a worker can hold it; all workers take all jobs."""
    wish = replace(job.need.resources, component="")
    least = wish if job.need.least is None else replace(job.need.least, component="")
    given = shrunk(wish, least, offers)
    if refusal := refusal_of(given, offers):
        raise LaunchError(f"Rule {job.rule}: {refusal.happened}", seen=refusal.seen, next_step=refusal.next_step)
    times = -(-wish.cores // given.cores) if given.cores else 1
    return replace(job.need, resources=replace(given, counted_cores=0), least=None, minutes=job.need.minutes * times)
