"""A job that runs on a worker, and what becomes of it.

Runs on: ranks >= 2, in the Dask worker's process.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.messages import Grant, JobOutcome, JobSpec, OutcomeKind
from snakemake_executor_plugin_daskmpi.worker.tail import tail_of

if TYPE_CHECKING:
    import asyncio

    from snakemake_executor_plugin_daskmpi.worker.ending import Ending
    from snakemake_executor_plugin_daskmpi.worker.memory.watch import Watch


@dataclass(slots=True)
class Running:
    """One job, from its start to its outcome."""

    spec: JobSpec
    grant: Grant
    outcome: asyncio.Future[JobOutcome]
    pid: int | None = None
    #: Whether its process has ended, and programs of it have not.
    lingers: bool = False
    #: Why it is being killed, if it is.
    killed_for: OutcomeKind | None = None
    reason: str = ""

    def ended(self, worker: str, ending: Ending, watch: Watch | None) -> JobOutcome:
        """Return the outcome of the job, now that the forkserver says how its process ended."""
        watched = watch.remove(self.spec.key) if watch is not None else None
        kind, reason = self.killed_for or OutcomeKind.FAILED, self.reason
        # What a spawned job dies of, its exit code does not tell.
        may_be_kernels = self.killed_for is None and (ending.was_killed or self.spec.command is not None)
        if ending.exit_code == 0 and ending.signal is None and not ending.report.get("failed"):
            kind, reason = OutcomeKind.OK, ""
        elif may_be_kernels and watch and watched and (where := watch.kernel_kill(watched)):
            kind = OutcomeKind.OUT_OF_MEMORY
            reason = f"just before it ended, the kernel killed a process of {where} for memory"
        failed = kind is not OutcomeKind.OK
        return JobOutcome(
            key=self.spec.key,
            kind=kind,
            worker=worker,
            host=socket.gethostname(),
            exit_code=ending.exit_code,
            signal=ending.signal,
            reason=(reason or ending.report.get("reason", "")) if failed else "",
            next_step=ending.report.get("next_step", "") if failed and not reason else "",
            log_tail=tail_of(Path(self.spec.log)) if failed else "",
            shadow_dir=ending.report.get("shadow_dir"),
            tmpdir=ending.report.get("tmpdir", ""),
            obstacle=ending.report.get("obstacle", ""),
            started_at=ending.started_at,
            ended_at=ending.ended_at,
            requested_mb=self.grant.mem_mb,
            peak_rss_mb=round(watched.footprint.peak_rss_mb) if watched else 0,
            peak_pss_mb=round(watched.footprint.peak_pss_mb) if watched else 0,
            cpu_s=ending.cpu_s,
        )

    def lost(self, worker: str, reason: str) -> JobOutcome:
        """Return the outcome of the job if it ended with what ran it."""
        return JobOutcome(
            key=self.spec.key,
            kind=self.killed_for or OutcomeKind.LOST,
            worker=worker,
            host=socket.gethostname(),
            reason=reason,
            log_tail=tail_of(Path(self.spec.log)),
        )
