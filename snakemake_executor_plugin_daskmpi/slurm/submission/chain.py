"""The next Slurm job of a workflow that is not done (``python -m ….slurm.submission.chain``).

Runs on: the first node of a Slurm job of ours, in its batch script, when its run has ended with jobs left; the checks
in the Snakemake that this starts, which plans from what is left and submits; rank 1, which hands on how it all began.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from snakemake_executor_plugin_daskmpi.command_line import with_options
from snakemake_executor_plugin_daskmpi.errors import LaunchError
from snakemake_executor_plugin_daskmpi.rank import whole_file
from snakemake_executor_plugin_daskmpi.slurm.controller import environ_of, say
from snakemake_executor_plugin_daskmpi.slurm.submission import next_job, progress, record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from snakemake_executor_plugin_daskmpi.slurm.submission.record import Record

#: Of our own job, besides what is Slurm's and the MPI library's. ``SBATCH_*`` are the user's.
_OWN = ("DASKMPI_LAUNCHED", "DASKMPI_STANDS_FOR")
_OWN_PREFIXES = ("SRUN_", "MPIR_CVAR_")
#: In a submission's folder: the first run of the chain that its job's run is in.
_FIRST_RUN = "first-run"


def planning_command(command: Sequence[str]) -> list[str]:
    """Return the command that plans and submits the next job.

    >>> planning_command(["python", "-m", "snakemake", "-k", "--", "all"])[3:]
    ['-k', '--daskmpi-launcher=sbatch', '--daskmpi-detach', '--daskmpi-resubmit', '--', 'all']
    """
    return with_options(command, ["--daskmpi-launcher=sbatch", "--daskmpi-detach", "--daskmpi-resubmit"])


def planning_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment like that of the login node: nothing of the job that we are in but whose it is.

    >>> planning_environ({"SLURM_JOB_ID": "7", "SLURM_CONF": "/c", "SRUN_CPUS_PER_TASK": "4", "HOME": "/h"})
    {'SLURM_CONF': '/c', 'HOME': '/h'}
    """
    return {
        name: value
        for name, value in environ_of(environ).items()
        if name not in _OWN and not name.startswith(_OWN_PREFIXES)
    }


def main(arguments: Sequence[str]) -> NoReturn:
    """Become the Snakemake that plans and submits the job after the one of a folder."""
    folder, *command = arguments
    if next_job.is_stopped(folder):
        say("the job is being cancelled, so no other follows it.")
        sys.exit(1)
    say("planning the next Slurm job from what is left.")
    sys.stdout.flush()
    os.execve(command[0], planning_command(command), {**planning_environ(os.environ), progress.SUBMISSION: folder})  # noqa: S606


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


if __name__ == "__main__":
    main(sys.argv[1:])
