"""What rank 1 has its workers do: some by reference through Dask, jobs and orders on a stream of its own.

Runs on: ranks >= 2, in the Dask worker's process and event loop; rank 1 never executes these functions itself.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import os
import socket
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from snakemake_executor_plugin_daskmpi.messages import JobOutcome, OutcomeKind, WorkerInfo
from snakemake_executor_plugin_daskmpi.rank import rank_log, roles
from snakemake_executor_plugin_daskmpi.rank.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from distributed.comm.core import Comm

    from snakemake_executor_plugin_daskmpi.messages import Grant, JobSpec, RunContext
    from snakemake_executor_plugin_daskmpi.worker.runner import Runner


class Stay(NamedTuple):
    """For how long a worker is there."""

    #: Slurm's id of the further allocation that it has joined with; "" if it is there from the start.
    allocation: str = ""
    #: When that ends, in seconds since the epoch; None if it lasts as long as the run's own.
    ends_at: float | None = None
    #: Seconds of that whole allocation.
    length_s: float = 0.0

    @property
    def ends_in_s(self) -> float | None:
        """Seconds until it ends: these mean the same on hosts whose clocks differ."""
        return None if self.ends_at is None else self.ends_at - time.time()


#: The runner of this process, and for how long it is there; set by whoever starts the Dask worker.
_runner: Runner | None = None
_stay = Stay()
#: To rank 1, while a run goes on.
_stream: Stream | None = None

_log = logging.getLogger(__name__)


def install(runner: Runner, stay: Stay = Stay()) -> None:  # noqa: B008 - it cannot change
    """Make a runner the one of this process, for as long as it is there."""
    global _runner, _stay
    _runner, _stay = runner, stay


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
        allocation=_stay.allocation,
        ends_in_s=_stay.ends_in_s,
        length_s=_stay.length_s,
    )


async def prepare(context: RunContext) -> None:
    """Get this worker ready for a run."""
    rank_log.open_rank_log(context.run_dir)
    _installed().prepare(context, _note)


async def end_jobs() -> None:
    """End all jobs of this worker, which rank 1 cannot hear any more; returns when they have ended."""
    await _installed().end_all(OutcomeKind.LOST)


async def serve_stream(comm: Comm, leave: Callable[[], None]) -> None:
    """Do what rank 1 says on a stream of its own, until it is gone.

    Parameters
    ----------
    leave
        Lets the Dask worker end in order.
    """
    global _stream
    runner, _stream = _installed(), (stream := Stream(comm))
    underway: set[asyncio.Task[None]] = set()
    async for batch in stream.batches():
        for message in batch:
            match message:
                case ("run", spec, grant):
                    doing = _run(runner, stream, spec, grant)
                case ("end job", key, reason):
                    doing = runner.kill(key, reason)
                case ("leave",):
                    _log.info("%s leaves, as rank 1 says", runner.name)
                    leave()
                    continue
                case ("end jobs", number, why, reason, at_once):
                    doing = _end_jobs(runner, stream, number, why, reason, at_once=at_once)
                case _:
                    raise ValueError(message)
            # In the order in which they came: each task begins before the next batch is read.
            underway.add(task := asyncio.ensure_future(doing))
            task.add_done_callback(underway.discard)


def _note(text: str) -> None:
    if _stream is not None:
        _stream.send("note", text)


async def _run(runner: Runner, stream: Stream, spec: JobSpec, grant: Grant) -> None:
    try:
        outcome = await runner.run(spec, grant)
    except Exception as error:  # noqa: BLE001 - rank 1 waits for an outcome
        _log.exception("%s", spec.name)
        reason = f"the worker failed: {type(error).__name__}: {error}"
        outcome = JobOutcome(spec.key, OutcomeKind.LOST, runner.name, socket.gethostname(), reason=reason)
    stream.send("outcome", outcome)


async def _end_jobs(runner: Runner, stream: Stream, number: int, *order: Any, at_once: bool) -> None:
    """End all jobs, by SIGKILL after a grace or at once, and say when they have ended."""
    await runner.end_all(*order, at_once=at_once)
    stream.send("jobs ended", number)
