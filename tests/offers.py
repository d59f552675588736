"""What idle workers can hold, for tests of the placement."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.resources import serves, shortfalls

if TYPE_CHECKING:
    from snakemake_executor_plugin_daskmpi.resources import JobResources, WorkerResources


def fits(job: JobResources, worker: WorkerResources) -> bool:
    """Say whether an idle worker could hold a job."""
    return serves(worker, job.component) and not shortfalls(job, worker)
