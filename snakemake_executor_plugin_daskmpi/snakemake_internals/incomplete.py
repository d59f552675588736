"""Snakemake's marks of outputs that are being made, set when a job starts, not when it is handed over.

Runs on: rank 1.

Snakemake hands over all ready jobs at once, and wants ``--rerun-incomplete`` after a run that ended badly for each
output that is marked and exists. The mark of a job that never started would be one too many, also where nobody is left
to take it away.

Snakemake takes the mark of a job that has failed away before it removes the outputs, and ends with a traceback where it
cannot remove them. Half an output without a mark would pass for a whole one in the next run.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any


def can_wait(workflow: Any) -> bool:
    """Say whether this version of Snakemake lets us set marks later than it does itself."""
    persistence: Any = workflow.persistence
    return hasattr(persistence, "_mark_incomplete") and hasattr(persistence, "_get_key")


def mark(job: Any) -> None:
    """Mark the outputs of a job, or of those of a group.

    Not ``job.register()``: that also drops caches, which the main thread may be reading.

    Raises
    ------
    OSError
        If they cannot be marked.
    """
    persistence: Any = job.dag.workflow.persistence
    for one in job.jobs if job.is_group() else (job,):
        for file in one.output:
            # The main thread may drop a cache while this adds to it; the mark itself is on disk by then.
            with contextlib.suppress(AttributeError):
                persistence._mark_incomplete(persistence._get_key(file), None)  # noqa: SLF001


def mark_again(job: Any) -> None:
    """Mark the outputs of a failed job that are still there.

    Raises
    ------
    OSError
        If they cannot be marked.
    """
    if any(os.path.lexists(file) for one in (job.jobs if job.is_group() else (job,)) for file in one.output):
        mark(job)
