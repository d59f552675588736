"""A Dask worker that tells the end of the world from its own removal.

Runs on: ranks ≥ 2. dask-mpi loads it by name, so that it may import Dask at its top.

Dask removes a worker from which it has not heard for some minutes: one on a node that stood still, or behind a network
that was cut. That one ends when it hears of it, in perfect order, as at the end of the world; and whoever is to start
it anew has to know the one from the other.
"""

from __future__ import annotations

from typing import Any

from distributed import Worker

from snakemake_executor_plugin_daskmpi.rank.stream import Stream
from snakemake_executor_plugin_daskmpi.worker import rpc

#: What Dask gives as the reason when the scheduler ends, and the world with it.
_END_OF_WORLD = "scheduler-close"


class WorkerRemovedError(Exception):
    """The scheduler, which goes on, has removed this worker, or the connection to it broke."""


class DaskWorker(Worker):
    """A worker that takes jobs from rank 1 itself, and is left with an error unless the world has ended."""

    #: The first of the reasons that Dask gives; it may close a worker that is being closed.
    _closed_because = ""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.handlers[Stream.OP] = rpc.serve_stream

    async def close(self, *args: Any, **options: Any) -> str | None:  # type: ignore[override]  # whatever Dask adds
        """Remember why."""
        self._closed_because = self._closed_because or options.get("reason", "")
        return await super().close(*args, **options)

    async def __aexit__(self, *error: object) -> None:
        """Leave the worker.

        Raises
        ------
        WorkerRemovedError
            If it was not the end of the world that has closed it.
        """
        reason = self._closed_because
        await super().__aexit__(*error)  # type: ignore[no-untyped-call]
        if reason not in ("", _END_OF_WORLD):
            raise WorkerRemovedError(reason)
