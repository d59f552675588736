"""Where the output of a job is kept.

Runs on: rank 1, and wherever somebody looks at a run.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def log_path(run_dir: Path, rule: str, jobid: int | str, attempt: int) -> Path:
    """Return the log of one attempt of a job, or of a group, which is there once the job has started.

    >>> from pathlib import PurePosixPath
    >>> str(log_path(PurePosixPath("run"), "a/b", 3, 1))
    'run/jobs/a_b/3-1.log'
    """
    folder = re.sub(r"[^\w.-]", "_", rule)[:100]
    return run_dir / "jobs" / folder / f"{jobid}-{attempt}.log"
