"""What rank 1 calls on its workers, by reference through Dask.

Runs on: ranks >= 2, in the Dask worker's process and event loop; rank 1 never executes these functions itself.
"""

from __future__ import annotations

import dataclasses
import os
import socket
from typing import TYPE_CHECKING, Any

from snakemake_executor_plugin_daskmpi.messages import (
    TOPIC,
    Grant,
    JobSpec,
    OutcomeKind,
    RunContext,
    WorkerInfo,
)
from snakemake_executor_plugin_daskmpi.rank import rank_log, roles

if TYPE_CHECKING:
    from snakemake_executor_plugin_daskmpi.worker.runner import Runner

#: The runner of this process, set by whoever starts the Dask worker.
_runner: Runner | None = None
#: Dask's way to send an event to rank 1.
_send_event: Any = None


def install(runner: Runner) -> None:
    """Make a runner the one of this process."""
    global _runner  # noqa: PLW0603 - Dask calls functions, not objects, by reference
    _runner = runner


def _installed() -> Runner:
    if _runner is None:
        msg = "no runner in this process: it is not a worker of a daskmpi world"
        raise RuntimeError(msg)
    return _runner


async def describe(dask_worker: Any) -> WorkerInfo:
    """Return what this worker is and offers."""
    runner = _installed()
    return WorkerInfo(
        dask_worker.address,
        runner.name,
        socket.gethostname(),
        dataclasses.asdict(runner.offer),
        node=os.environ.get("SLURMD_NODENAME", "") if roles.in_step(os.environ) else "",
        het_group=roles.own_component(os.environ),
        lives_left=runner.lives_left,
    )


async def prepare(context: RunContext, dask_worker: Any) -> None:
    """Get this worker ready for a run."""
    global _send_event  # noqa: PLW0603 - as above
    _send_event = dask_worker.log_event
    rank_log.open_rank_log(context.run_dir)
    _installed().prepare(context, lambda note: _send_event(TOPIC, {"note": note}))


async def end_jobs(why: OutcomeKind, reason: str = "", *, at_once: bool = False) -> None:
    """End all jobs of this worker, by SIGKILL after a grace or at once; returns when they have ended."""
    await _installed().end_all(why, reason, at_once=at_once)


async def kill_job(key: str, reason: str) -> None:
    """End one job of this worker, if it still runs; returns when it has ended."""
    await _installed().kill(key, reason)


async def run_job(spec: JobSpec, grant: Grant) -> None:
    """Run one job and send its outcome to rank 1 as an event.

    An event and not the Future's result, since that would cost a round trip from rank 1 to
    the worker for each job.
    """
    outcome = await _installed().run(spec, grant)
    # Wrapped, since Dask writes the worker's address into an event's own keys.
    _send_event(TOPIC, {"outcome": outcome.to_wire()})
