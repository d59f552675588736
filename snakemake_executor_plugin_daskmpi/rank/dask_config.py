"""Dask's configuration in our worlds, with the reason for each line.

Runs on: every rank, before a Dask scheduler, worker or client is made there.

A world is Dask's defaults and the lines below, and nothing else: no file (``~/.config/dask``, ``$DASK_CONFIG``,
``/etc/dask``) and no variable ``DASK_*`` has a part in it. They are meant for clusters that the user starts: a lifetime
or a preload would end our workers. Jobs inherit all of it, and on rank 1 the user's code sees the user's configuration
again as soon as the client is connected, and never the address of our scheduler.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from snakemake_executor_plugin_daskmpi import apart
from snakemake_executor_plugin_daskmpi.errors import WorldError

if TYPE_CHECKING:
    from snakemake_executor_plugin_daskmpi.resources import WorkerResources

DASK_CONFIG: dict[str, Any] = {
    # Jobs are no tasks of Dask's, and the doctor's few are pinned: nothing to run again, to steal, balance or queue.
    "distributed.scheduler.allowed-failures": 0,
    "distributed.scheduler.work-stealing": False,
    "distributed.scheduler.worker-saturation": float("inf"),
    "distributed.scheduler.active-memory-manager.start": False,
    # The worker process only waits for its jobs, which are other processes: neither its profile
    # nor its memory tells anything, and sampling costs a tenth of a core for each rank.
    "distributed.worker.profile.enabled": False,
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.tick.limit": "60s",
    # Nobody is asked there who they are: no pages are served, and nothing of them is imported. world.dashboard has a
    # server of its own.
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    # Nobody reads them.
    "distributed.admin.low-level-log-length": 100,
    # A shared node can be slow to answer; losing a worker costs its jobs.
    "distributed.comm.timeouts.connect": "60s",
}


def worker_options(name: str, offer: WorkerResources, scratch: str) -> dict[str, Any]:
    """Return the keyword arguments of ``distributed.Worker`` for a worker that offers so much."""
    return {
        "name": name,
        # For the doctor's tasks. Jobs are none: rank 1 hands them over itself.
        "nthreads": max(1, len(offer.cores)),
        # Explicitly: "auto" would read Slurm's limits of the step, not the rank's.
        "memory_limit": offer.mem_mb * 1_000_000,
        "local_directory": scratch,
    }


#: The user's configuration while ours is in its place.
_users: dict[str, Any] | None = None


def apply_dask_config(scratch: str | None = None) -> None:
    """Configure Dask in this process, and forget what the user has configured.

    Parameters
    ----------
    scratch
        Where Dask puts a directory of its own, in a process that only serves; None on rank 1, which also runs code of
        the user's.

    Raises
    ------
    WorldError
        If Dask cannot be imported.
    """
    global _users  # noqa: PLW0603 - Dask has one configuration in a process
    if scratch is not None:
        apart.only_ours()
    with apart.ours():
        try:
            import dask

            if _users is None:
                # Not a deep copy: values may be pools or functions.
                _users = dask.config.merge(dask.config.config)
            # Before distributed is there, which reads some of it once, in its import.
            dask.config.refresh(paths=[], env={})
            dask.config.set(DASK_CONFIG | ({"temporary-directory": scratch} if scratch else {}))
            # Imports distributed, and is what an MPI world needs next.
            import dask_mpi  # noqa: F401
        except (ImportError, ValueError, AttributeError) as error:
            raise WorldError(
                "Dask cannot be imported.",
                seen=f"{type(error).__name__}: {error}",
                next_step="python -P -c 'import dask_mpi' shows where; repair what it names.",
            ) from error


def give_back_dask_config() -> None:
    """Restore the user's configuration of Dask for user code in this process: a connected client has read ours.

    What stays: connections that it makes later read ``distributed.comm.timeouts.tcp`` and ``compression`` anew.
    """
    global _users  # noqa: PLW0603
    if _users is None:
        return
    with apart.ours():
        import dask

        config = dask.config.config
        config.clear()
        config.update(_users)
        for defaults in dask.config.defaults:
            dask.config.update(config, defaults, priority="old")
    _users = None
