"""Fewer and cheaper scheduling rounds of Snakemake's own.

Runs on: rank 1.

Snakemake starts at most 100 jobs a second unless told otherwise (``--max-jobs-per-timespan``),
to protect batch systems, and holds a round with all ready jobs whenever a job ends. Here there is
no batch system to protect, and the pool holds the queue. So the default limit is lifted, and with
``--jobs unlimited`` a round looks at a part of the ready jobs only, since Snakemake's selection takes
time in proportion to the square of their number. What the user has set stays.

The limit also makes Snakemake hold another round a second after each in which jobs were handed over, by a thread that
keeps it from ending before. Without the limit another round comes at once: of the ready jobs, a part may be left.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snakemake_interface_executor_plugins.workflow import WorkflowExecutorInterface

#: Snakemake's default of --max-jobs-per-timespan: jobs, seconds.
_DEFAULT_LIMIT = (100, 1)
#: Jobs that a round looks at; measured, 1,000 cost 0.3 s, and 3,000 already 2 s.
_SUBSAMPLE = 1000


def lighten(workflow: WorkflowExecutorInterface) -> str:
    """Lift the default limit of the running scheduler; return a line for the user, empty if nothing changed."""
    scheduler: Any = workflow.scheduler
    limiter: Any = getattr(scheduler, "job_rate_limiter", None)
    limit = getattr(limiter, "_limit", None)
    if (getattr(limit, "max_jobs", 0), getattr(limit, "timespan", 0)) != _DEFAULT_LIMIT:
        return ""
    scheduler.job_rate_limiter = None
    # Where there is no limiter from the start, this many jobs may be started in a round.
    scheduler.resources["_job_count"] = sys.maxsize
    if workflow.nodes == sys.maxsize and scheduler.subsample is None:
        scheduler.subsample = _SUBSAMPLE
    return (
        "daskmpi: Snakemake's default limit of 100 job starts a second is lifted; "
        "--max-jobs-per-timespan with another value limits them."
    )


def hold_another(workflow: WorkflowExecutorInterface) -> None:
    """Have another round held at once, if nothing limits it."""
    scheduler: Any = workflow.scheduler
    if getattr(scheduler, "job_rate_limiter", None) is None:
        scheduler._open_jobs.release()  # noqa: SLF001 - no public way
