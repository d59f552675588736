"""A Dask worker that tells the end of the world from its own removal.

Runs on: ranks ≥ 2. dask-mpi loads it by name, so that it may import Dask at its top.

Dask removes a worker from which it has not heard for some minutes: one on a node that stood still, or behind a network
that was cut. That one ends when it hears of it, in perfect order, as at the end of the world; and whoever is to start
it anew has to know the one from the other.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from distributed import Worker

from snakemake_executor_plugin_daskmpi.rank.stream import Stream
from snakemake_executor_plugin_daskmpi.worker import rpc

if TYPE_CHECKING:
    from distributed.comm.core import Comm

#: What Dask gives as the reason when the scheduler ends, and the world with it.
_END_OF_WORLD = "scheduler-close"
#: The reason if rank 1 lets this worker go, which has no jobs.
_DISMISSED = "daskmpi-dismissed"


class WorkerRemovedError(Exception):
    """The scheduler, which goes on, has removed this worker, or the connection to it broke."""


class DaskWorker(Worker):
    """A worker that takes jobs from rank 1 itself; left with an error unless the world has ended, or it was let go."""

    #: The first of the reasons that Dask gives; it may close a worker that is being closed.
    _closed_because = ""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.handlers[Stream.OP] = self._serve_stream

    async def _serve_stream(self, comm: Comm) -> None:
        await rpc.serve_stream(comm, self._leave)

    def _leave(self) -> None:
        """End in order; held, since the stream that asks for it ends with it."""
        self._leaving = asyncio.ensure_future(self.close(reason=_DISMISSED))

    async def close(self, *args: Any, **options: Any) -> str | None:  # type: ignore[override]  # whatever Dask adds
        """Remember why."""
        self._closed_because = self._closed_because or options.get("reason", "")
        return await super().close(*args, **options)

    async def __aexit__(self, *error: object) -> None:
        """Leave the worker.

        Raises
        ------
        WorkerRemovedError
            If it was neither the end of the world that has closed it, nor rank 1.
        """
        reason = self._closed_because
        await super().__aexit__(*error)  # type: ignore[no-untyped-call]
        if reason not in ("", _END_OF_WORLD, _DISMISSED):
            raise WorkerRemovedError(reason)
