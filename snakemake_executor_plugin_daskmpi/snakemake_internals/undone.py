"""Undo what a body has done that was ended, so that it can run again in the same run.

Runs on: rank 1.

Most of it is done by the body when it runs again: it removes old outputs before it starts. What it cannot know of is an
output that is flagged with ``update``, which it would go on to change where the first one was ended, and the shadow
directory of that one.
"""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Any


def undo(job: Any, shadow_dir: str | None) -> None:
    """Restore the outputs that a job, or those of a group, update, as Snakemake does after a failure.

    Parameters
    ----------
    shadow_dir
        Of the body, removed with all that is in it.
    """
    for one in job.jobs if job.is_group() else (job,):
        for file in one.output:
            if file.is_flagged("update"):
                # Whatever goes wrong, it is what Snakemake would have left, too.
                with contextlib.suppress(OSError):
                    _restore(one, file)
    if shadow_dir:
        shutil.rmtree(shadow_dir, ignore_errors=True)


def _restore(job: Any, file: Any) -> None:
    """Make of an output what it was before; where it was not there, it is gone."""
    path = Path(file)
    if file not in job.dag.reason(job).missing_output:
        job.dag.workflow.persistence.restore_output(path)
    elif path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
