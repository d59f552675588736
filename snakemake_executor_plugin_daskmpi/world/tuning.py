"""Dask's configuration in our worlds, with the reason for each line.

Runs on: every rank, before a Dask scheduler, worker or client is made there.
Called by: world.bootstrap, world.serve.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snakemake_executor_plugin_daskmpi.resources import WorkerResources

DASK_CONFIG: dict[str, Any] = {
    # A job whose worker died must not be run again behind Snakemake's back: retries are Snakemake's.
    "distributed.scheduler.allowed-failures": 0,
    # Jobs are pinned by our placement; there is nothing to steal, balance or queue.
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
    # No pages are served (yet), so nothing of them is imported.
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    # Outcomes are small and many: no need to keep the last 1,000 of them in the scheduler.
    "distributed.admin.low-level-log-length": 100,
    # A shared node can be slow to answer; losing a worker costs its jobs.
    "distributed.comm.timeouts.connect": "60s",
}

#: Threads of a Dask worker beyond its cores, for jobs with ``threads: 0``. Jobs are coroutines
#: there, so a thread costs nothing until it is used.
_EXTRA_SLOTS = 64


def worker_options(name: str, offer: WorkerResources, scratch: str) -> dict[str, Any]:
    """Return the keyword arguments of ``distributed.Worker`` for a worker that offers so much."""
    return {
        "name": name,
        "nthreads": len(offer.cores) + _EXTRA_SLOTS,
        # Explicitly: "auto" would read Slurm's limits of the step, not the rank's.
        "memory_limit": offer.mem_mb * 1_000_000,
        "local_directory": scratch,
    }


def apply_dask_config(scratch: str | None = None) -> None:
    """Configure Dask in this process, and where it puts a directory of its own if one is given."""
    import dask

    dask.config.set(DASK_CONFIG | ({"temporary-directory": scratch} if scratch else {}))
