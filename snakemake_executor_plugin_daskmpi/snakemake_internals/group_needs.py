"""What a group of jobs needs at least: less than all of its jobs at a time, which is what Snakemake asks for it.

Runs on: rank 1, and on the login node.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from snakemake_executor_plugin_daskmpi.resources import JobResources
from snakemake_executor_plugin_daskmpi.snakemake_internals import evaluated


def needs_of_member(job: Any) -> JobResources:
    """Return what one job of a group asks for, as far as it can be known before the others have run."""
    try:
        return JobResources.of(job.resources)
    except Exception:  # noqa: BLE001 - a function that reads a file of another member; Snakemake leaves such jobs out
        return JobResources()


def least_of(job: Any, request: JobResources) -> JobResources:
    """Return what a job is content with where no worker offers all that it requests.

    A single job with no less, a group with what its largest members need that have to run at the same time.
    """
    if not job.is_group():
        return request
    tied = [[needs_of_member(member) for member in members] for members, _ in evaluated.units(job)]
    names = ("cores", "mem_mb", "disk_mb", "gpus")
    return replace(request, **{n: max(sum(getattr(needs, n) for needs in unit) for unit in tied) for n in names})
