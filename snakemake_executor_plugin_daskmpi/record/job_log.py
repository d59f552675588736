"""Where the output of a job is kept.

Runs on: rank 1, and wherever somebody looks at a run.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snakemake_executor_plugin_daskmpi.record.job_view import JobView


def log_path(run_dir: Path, rule: str, jobid: int | str, attempt: int) -> Path:
    """Return the log of one attempt of a job, or of a group, which is there once the job has started.

    >>> from pathlib import PurePosixPath
    >>> str(log_path(PurePosixPath("run"), "a/b", 3, 1))
    'run/jobs/a_b/3-1.log'
    """
    folder = re.sub(r"[^\w.-]", "_", rule)[:100]
    return run_dir / "jobs" / folder / f"{jobid}-{attempt}.log"


def log_of(run_dir: Path, job: JobView) -> Path:
    """Return the log of an attempt as its run's record tells it, which may not be there."""
    noted = job.ended.get("log")
    return Path(noted) if noted else log_path(run_dir, job.rule, job.jobid, job.attempt)
