"""An executor that hands each job to Dask as it comes, for the benchmark of the field.

Runs on: the one process of a benchmark run, which starts Dask's local cluster.
Called by: Snakemake, through ``--executor plain-dask``, with this folder on ``PYTHONPATH``.

It is what one writes in an afternoon: a ``python -m snakemake … --mode remote`` for each job is a task of Dask's, and
Dask's own resources say how many run at a time.
"""

import os
from collections.abc import Callable
from typing import Any

import snakemake_executor_plugin_spawning as spawning

common_settings = spawning.common_settings


class Pool:
    """Dask's local cluster of two workers, with the methods of a pool of threads that the other executor has."""

    def __init__(self, slots: int) -> None:
        import distributed

        each = slots // 2
        self.cluster = distributed.LocalCluster(
            n_workers=2, threads_per_worker=each, resources={"cores": each}, dashboard_address=None
        )
        self.client = distributed.Client(self.cluster)

    def submit(self, function: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
        """Have a worker call a function, and return Dask's future of it."""
        return self.client.submit(function, *arguments, **more, pure=False, resources={"cores": 1})

    def shutdown(self, cancel_futures: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - the other pool's
        """End the cluster."""
        self.client.close()
        self.cluster.close()


class Executor(spawning.Executor):
    """Run each job's own Snakemake command as a task of Dask's."""

    def __post_init__(self) -> None:
        """Start the cluster."""
        self.pool = Pool(int(os.environ["BENCHMARK_SLOTS"]))
