"""Which world a process gets that is not in one yet.

Runs on: the process that is Snakemake, outside any MPI world.
Called by: executor, when the DAG is there and nothing has run.

``srun`` and ``sbatch`` will stand here too.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from snakemake_executor_plugin_daskmpi.errors import LaunchError
from snakemake_executor_plugin_daskmpi.launch.local import LocalWorld, start_local_world

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from snakemake_executor_plugin_daskmpi.settings import Settings

#: Set for the ranks that a launcher starts, so that none of them ever launches again.
LAUNCHED = "DASKMPI_LAUNCHED"


def launch(settings: Settings, _dag: Any, before_exec: Callable[[], None]) -> LocalWorld:
    """Start a world, or replace this process by one.

    Parameters
    ----------
    _dag
        Snakemake's, complete.
    before_exec
        Releases what must not outlive this process when it is replaced (locks, temporary files).
    """
    if settings.launcher == "mpiexec":
        run_under_mpiexec(settings, before_exec)
    return start_local_world(settings)


def run_under_mpiexec(settings: Settings, before_exec: Callable[[], None]) -> NoReturn:
    """Replace this process by ``mpiexec`` with the same command line.

    So signals, output and exit code need no forwarding.
    """
    if LAUNCHED in os.environ:
        raise LaunchError(
            "mpiexec started this process, but not as a rank of an MPI world.",
            seen="neither PMI_RANK nor OMPI_COMM_WORLD_RANK is set.",
            next_step="use the mpiexec that belongs to the MPI library of this Python environment (--daskmpi-mpiexec).",
        )
    mpiexec = mpiexec_of(settings.mpiexec, sys.executable, os.environ)
    command = mpiexec_command(mpiexec, 2 + (settings.workers or 1), [sys.executable, *sys.orig_argv[1:]])
    before_exec()
    sys.stdout.flush()
    sys.stderr.flush()
    os.execvpe(command[0], command, {**os.environ, LAUNCHED: "1"})  # noqa: S606


def mpiexec_of(asked: str | None, python: str, environ: Mapping[str, str]) -> list[str]:
    """Return the mpiexec command: as asked, else beside Python, else on PATH.

    Raises
    ------
    LaunchError
        If there is none.
    """
    if asked:
        command = shlex.split(asked)
        if shutil.which(command[0], path=environ.get("PATH")) is None:
            raise LaunchError(
                f"There is no {command[0]}, or it cannot be executed.",
                seen=f"--daskmpi-mpiexec is {asked!r}.",
                next_step="name an mpiexec that exists, or leave --daskmpi-mpiexec out.",
            )
        return command
    beside = Path(python).parent / "mpiexec"
    found = str(beside) if beside.exists() else shutil.which("mpiexec", path=environ.get("PATH"))
    if found is None:
        raise LaunchError(
            "There is no mpiexec.",
            seen=f"neither {beside} nor one on PATH.",
            next_step="pip install 'snakemake-executor-plugin-daskmpi[mpich]', or name one with --daskmpi-mpiexec.",
        )
    return [found]


def mpiexec_command(mpiexec: list[str], ranks: int, program: list[str]) -> list[str]:
    """Return the command that runs a program in so many ranks.

    >>> mpiexec_command(["mpiexec"], 4, ["python", "-m", "snakemake"])
    ['mpiexec', '-n', '4', 'python', '-m', 'snakemake']
    """
    return [*mpiexec, "-n", str(ranks), *program]
