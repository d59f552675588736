"""The Slurm jobs of a workflow that does not end within one.

Runs on: rank 1, which hands on how it all began; and in the Snakemake that plans the next job, which checks that the
last one was of use.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.errors import LaunchError
from snakemake_executor_plugin_daskmpi.rank import whole_file
from snakemake_executor_plugin_daskmpi.slurm.submission import next_job, progress, record

if TYPE_CHECKING:
    from snakemake_executor_plugin_daskmpi.slurm.submission.record import Record

#: In a submission's folder: the first run of the chain that its job's run is in.
_FIRST_RUN = "first-run"


def own_submission(workdir: Path) -> Record | None:
    """Return the submission of a working directory if this process is in its job; None elsewhere."""
    held = record.read(workdir)
    return held if held is not None and held.folder == os.environ.get(progress.SUBMISSION) else None


# -- on rank 1 -----------------------------------------------------------------------------------------


def first_run(workdir: Path) -> str:
    """Return the id of the run that began the chain of the job before ours; "" if there is none."""
    own = own_submission(workdir)
    if own is not None and own.follows:
        with contextlib.suppress(OSError, UnicodeDecodeError):
            return (Path(own.follows) / _FIRST_RUN).read_text().strip()
    return ""


def note_first_run(run_id: str) -> None:
    """Leave that for the job after ours, if this process is in a job that may submit one."""
    folder = os.environ.get(progress.SUBMISSION)
    if folder:
        with contextlib.suppress(OSError):  # then the next run begins a chain of its own
            whole_file.write(Path(folder) / _FIRST_RUN, f"{run_id}\n")


# -- in the Snakemake that plans -----------------------------------------------------------------------


def check_progress(before: Record, n_left: int) -> None:
    """Refuse to go on for ever.

    Raises
    ------
    LaunchError
        If a job has left as many of its workflow's jobs to do as there were, or was cancelled.
    """
    made = progress.read(before.folder)
    if next_job.is_stopped(before.folder):
        raise LaunchError(
            f"Slurm job {before.job_id} is being cancelled; no other follows it.",
            seen=f"there is {Path(before.folder) / next_job.STOP}.",
            next_step="the same command continues the workflow.",
        )
    # A checkpoint may have made the workflow larger while the job ran; what it was at the end is what counts.
    if made is not None and n_left >= made.total:
        raise LaunchError(
            f"Slurm job {before.job_id} made no progress, so no other follows it.",
            seen=f"{made.done} of its {made.total} jobs were done, and now {n_left} are to do.",
            next_step="--daskmpi-walltime with more than a job of the workflow takes, then the same command again.",
        )
