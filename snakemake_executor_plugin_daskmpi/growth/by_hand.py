"""Orders by hand, carried out.

Runs on: rank 1, in the link's event loop.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.errors import DaskMpiError
from snakemake_executor_plugin_daskmpi.growth.decisions import target_min
from snakemake_executor_plugin_daskmpi.growth.further_job import Phase, text_of
from snakemake_executor_plugin_daskmpi.growth.orders import Answer
from snakemake_executor_plugin_daskmpi.planning.further import further_plans, plan_by_hand

if TYPE_CHECKING:
    from snakemake_executor_plugin_daskmpi.growth.grower import Grower
    from snakemake_executor_plugin_daskmpi.growth.orders import Order
    from snakemake_executor_plugin_daskmpi.growth.run import Run
    from snakemake_executor_plugin_daskmpi.settings.flags import Settings
    from snakemake_executor_plugin_daskmpi.slurm.plan import Plan


async def carry_out(order: Order, grower: Grower, run: Run, settings: Settings) -> Answer:
    """Carry out an order that somebody has given, and return what to tell them."""
    if not run.takes_workers:
        return Answer(is_done=False, text="This run is about to end: nothing starts any more.")
    if order.verb == "shrink":
        return await _shrink(order, grower)
    try:
        plan = await _plan(order, grower, run, settings)
        if plan is None:
            text = "Nothing waits in this run. snakemake-daskmpi grow --workers 1 submits a job all the same."
            return Answer(is_done=False, text=text)
        job = await grower.submit(plan, is_by_hand=True)
    except (DaskMpiError, OSError) as error:
        return Answer(is_done=False, text=str(error))
    if job is None:
        return Answer(is_done=False, text="The run has ended meanwhile.")
    return Answer(is_done=True, text=f"Slurm job {job.job_id} was submitted: {text_of(job.plan)}.")


async def _plan(order: Order, grower: Grower, run: Run, settings: Settings) -> Plan | None:
    """Return a job of the size that is asked for, or as what waits calls for; None if nothing does."""
    site, size = await grower.site.ask(), order.size
    if size.is_said:
        return plan_by_hand(site, settings, size)
    settings = dataclasses.replace(
        settings,
        grow_walltime=size.walltime or settings.grow_walltime,
        partition=size.partition or settings.partition,
    )
    waiting, _ = run.shapes()
    return next(iter(further_plans(waiting, site, settings, target_min(waiting, grower.start_s), 1).plans), None)


async def _shrink(order: Order, grower: Grower) -> Answer:
    if (job := grower.jobs.get(order.job)) is None:
        known = ", ".join(grower.jobs) or "none"
        text = f"Slurm job {order.job} is no further job of this run. Those in the queue or at work: {known}."
        return Answer(is_done=False, text=text)
    why = "somebody asked for it (snakemake-daskmpi shrink)"
    if job.phase is Phase.QUEUED:
        await grower.cancel(job, why)
        return Answer(is_done=True, text=f"Slurm job {job.job_id} was taken out of the queue.")
    grower.end(job, why)
    text = f"Slurm job {job.job_id} takes no jobs any more, and ends when those that run have ended."
    return Answer(is_done=True, text=text)
