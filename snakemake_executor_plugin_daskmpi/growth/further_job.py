"""A further Slurm job of a run: what was asked for, and how far it is.

Runs on: rank 1. Pure data.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.resources import UNLIMITED_DISK_MB, WorkerResources

if TYPE_CHECKING:
    from pathlib import Path

    from snakemake_executor_plugin_daskmpi.slurm.plan import Plan
    from snakemake_executor_plugin_daskmpi.world.ticket import Ticket


class Phase(Enum):
    """How far it is."""

    QUEUED = "queued"
    #: Slurm has started it; some of its workers, or all, are still to come.
    STARTED = "started"
    #: All of its workers have come.
    JOINED = "joined"
    ENDED = "ended"


@dataclass(slots=True, eq=False)
class FurtherJob:
    """One further Slurm job."""

    #: Slurm's id.
    job_id: str
    plan: Plan
    #: Of its script and output.
    folder: Path
    ticket: Ticket
    #: On a clock that never goes back, in seconds: when it was submitted, has started, and was last seen at work.
    submitted_at: float
    started_at: float = 0.0
    busy_at: float = 0.0
    phase: Phase = Phase.QUEUED
    #: Addresses of its workers that are there.
    workers: set[str] = field(default_factory=set)
    #: How many have come.
    n_joined: int = 0
    #: Whether it was told to end.
    is_leaving: bool = False
    #: Whether somebody asked for it by hand: then only an idle time ends it.
    is_by_hand: bool = False

    def idle_min(self, now: float, idle: set[str]) -> float:
        """Return for how many minutes all of its workers have had nothing to do, 0 while none is there.

        Parameters
        ----------
        idle
            Addresses of workers that have nothing to do now.
        """
        if not self.workers or not self.workers <= idle:
            self.busy_at = now
        return (now - self.busy_at) / 60

    @property
    def offers(self) -> list[WorkerResources]:
        """What its workers offer that are still to come."""
        is_gone = self.is_leaving or self.phase is Phase.ENDED
        return [] if is_gone else [offer_of(self.plan)] * max(0, self.plan.n_workers - self.n_joined)


def offer_of(plan: Plan) -> WorkerResources:
    """Return what each worker of a further job will offer."""
    (component,) = plan.components
    return WorkerResources(
        cores=tuple(range(component.cpus_per_task)),
        mem_mb=component.cpus_per_task * component.mem_per_cpu_mb,
        disk_mb=UNLIMITED_DISK_MB,
        gpus=tuple(map(str, range(component.gpus_per_task))),
        components=component.serves or None,
    )


def text_of(plan: Plan) -> str:
    """Return what the workers of a further job are, for people.

    >>> from snakemake_executor_plugin_daskmpi.slurm.plan import Component, Plan
    >>> text_of(Plan((Component("w", ("",), 2, 4, 1000, partition="main"),), walltime_min=30, has_head=False))
    '2 workers with 4 cores, 4000 MB each, for 30 min at most, in partition main'
    """
    (component,) = plan.components
    n, cores, gpus = component.n_tasks, component.cpus_per_task, component.gpus_per_task
    has = f"{cores} core{'s' * (cores > 1)}, {cores * component.mem_per_cpu_mb} MB"
    has += f", {gpus} GPU{'s' * (gpus > 1)}" if gpus else ""
    where = f", in partition {component.partition}" if component.partition else ""
    workers = f"{n} worker{'s' * (n > 1)} with {has}{' each' * (n > 1)}"
    return f"{workers}, for {plan.walltime_min} min at most{where}"
