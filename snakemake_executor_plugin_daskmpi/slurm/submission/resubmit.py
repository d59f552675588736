"""Plan and submit the next Slurm job of a workflow that is not done (``python -m ….slurm.submission.resubmit``).

Runs on: the first node of a Slurm job of ours, in its batch script, when its run has ended with jobs left. What plans
is the Snakemake that this becomes. Nothing imports this module: a program that is imported, too, is loaded twice.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NoReturn

from snakemake_executor_plugin_daskmpi.command_line import with_options
from snakemake_executor_plugin_daskmpi.slurm.controller import environ_of, say
from snakemake_executor_plugin_daskmpi.slurm.submission import next_job, progress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Of our own job, besides what is Slurm's and the MPI library's. ``SBATCH_*`` are the user's.
_OWN = ("DASKMPI_LAUNCHED", "DASKMPI_STANDS_FOR")
_OWN_PREFIXES = ("SRUN_", "MPIR_CVAR_")


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


if __name__ == "__main__":
    main(sys.argv[1:])
