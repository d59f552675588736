"""Which world a process gets that is not in one yet.

Runs on: the process that is Snakemake, outside any MPI world.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from snakemake_executor_plugin_daskmpi import command_line
from snakemake_executor_plugin_daskmpi.errors import LaunchError
from snakemake_executor_plugin_daskmpi.launch import slurm_job
from snakemake_executor_plugin_daskmpi.launch.local import LocalWorld, offers_here, start_local_world
from snakemake_executor_plugin_daskmpi.mpi import pmi
from snakemake_executor_plugin_daskmpi.mpi.library import mpi_library_of, pmi_type_for
from snakemake_executor_plugin_daskmpi.mpi.pmi import NAMES
from snakemake_executor_plugin_daskmpi.rank.roles import (
    LAUNCHED,
    MIN_RANKS,
    Allocation,
    allocation_of,
    in_step,
    least_ranks,
)
from snakemake_executor_plugin_daskmpi.slurm.controller import answer_of
from snakemake_executor_plugin_daskmpi.slurm.inquiry import (
    config_command,
    mpi_types,
    parse_config,
)
from snakemake_executor_plugin_daskmpi.slurm.script.container import Container, container_command, container_environ
from snakemake_executor_plugin_daskmpi.slurm.script.container import python_arguments as arguments_of
from snakemake_executor_plugin_daskmpi.slurm.script.srun import Step, program_for_srun, srun_command, srun_environ
from snakemake_executor_plugin_daskmpi.snakemake_internals.limits import cap_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from snakemake_executor_plugin_daskmpi.settings.flags import Settings

#: Left by an outer step, the allocation or a site, and wrong for the step of the ranks: a hint of the allocation, which
#: may be that of one component alone, is one too many beside how tasks are bound.
_WRONG_FOR_SRUN = (
    "SLURM_CPU_BIND",
    "SLURM_CPU_BIND_LIST",
    "SLURM_CPU_BIND_TYPE",
    "SLURM_CPU_BIND_VERBOSE",
    "SLURM_HINT",
)


def launch(settings: Settings, dag: Any, before_exec: Callable[[], None]) -> LocalWorld:
    """Start a world, or replace this process by one, or by what submits and follows one.

    Parameters
    ----------
    dag
        Snakemake's, complete.
    before_exec
        Releases what must not outlive this process when it is replaced (locks, temporary files).

    Raises
    ------
    LaunchError
        If there can be none.
    """
    if LAUNCHED in os.environ:
        raise _not_a_rank(os.environ[LAUNCHED])
    allocation = allocation_of(os.environ)
    match settings.launcher:
        case "sbatch":
            slurm_job.submit(settings, dag, before_exec)
        case "plan":
            slurm_job.show_plan(settings, dag, before_exec)
        case "script":
            slurm_job.show_script(settings, dag, before_exec)
        case "mpiexec":
            run_under_mpiexec(settings, before_exec)
        case "srun":
            run_under_srun(settings, allocation, before_exec)
        case "auto" if _holds_a_world(allocation, settings):
            run_under_srun(settings, allocation, before_exec)
        case "auto" if allocation is not None and not in_step(os.environ) and not allocation.is_here:
            raise _too_few_elsewhere(allocation)
    cores = dag.workflow.resource_settings.cores
    offers = offers_here(settings, cores)
    if all("threads" in offer.guessed for offer in offers):
        # As the local executor does, to which --cores has to say how many there are.
        cap_threads(dag, max(len(offer.cores) for offer in offers))
    return start_local_world(settings, cores)


def is_local(settings: Settings) -> bool:
    """Say whether a process that is in no world would get one on this machine, if it has jobs to run."""
    return settings.launcher == "local" or (
        settings.launcher == "auto" and not _holds_a_world(allocation_of(os.environ), settings)
    )


def _holds_a_world(allocation: Allocation | None, settings: Settings) -> bool:
    """Say whether this process is in an allocation, and in no step of it, that has tasks enough for a world."""
    least = least_ranks(grows=settings.grow > 0)
    return allocation is not None and not in_step(os.environ) and allocation.n_ranks >= least


def _not_a_rank(launcher: str) -> LaunchError:
    if launcher == "mpiexec":
        return LaunchError(
            "mpiexec started this process, but not as a rank of an MPI world.",
            seen="neither PMI_RANK nor OMPI_COMM_WORLD_RANK is set.",
            next_step="use the mpiexec that belongs to the MPI library of this Python environment (--daskmpi-mpiexec).",
        )
    return LaunchError(
        "This process was to be a rank of a world, and is in none.",
        seen=f"{LAUNCHED}={launcher} is set, and srun started no other ranks.",
        next_step=f"start it by srun over all tasks of the Slurm job, or unset {LAUNCHED}.",
    )


def _too_few_elsewhere(allocation: Allocation) -> LaunchError:
    return LaunchError(
        f"This shell is not on the nodes of its Slurm job {allocation.job_id}, which has too few tasks for a world.",
        seen=f"{allocation.n_ranks} task{'s' * (allocation.n_ranks > 1)}; a world needs at least {MIN_RANKS}.",
        next_step="srun --pty snakemake … for workers on the node of that job, or salloc --ntasks=3 or more.",
    )


def run_under_srun(settings: Settings, allocation: Allocation | None, before_exec: Callable[[], None]) -> NoReturn:
    """Replace this process by ``srun`` with the same command line, over all components of the allocation.

    Raises
    ------
    LaunchError
        If this is no place for a world.
    """
    if allocation is None:
        raise LaunchError(
            "There is no Slurm job here to start ranks in.",
            seen="--daskmpi-launcher is srun, and SLURM_JOB_ID is not set.",
            next_step="--daskmpi-launcher sbatch to submit one, or run this in a batch script or salloc --ntasks=4.",
        )
    if allocation.n_ranks < least_ranks(grows=settings.grow > 0):
        raise LaunchError(
            f"The Slurm job {allocation.job_id} has too few tasks: a world needs at least {MIN_RANKS} "
            "(scheduler, client, one worker).",
            seen=f"{allocation.n_ranks}; n tasks give n - 2 workers.",
            next_step=f"sbatch --ntasks={MIN_RANKS} or more, or --daskmpi-launcher local for workers on this node.",
        )
    mpi = pmi_type_for(settings, sys.executable, mpi_types())
    command, environ = srun_line(settings, allocation, mpi, command_line.same_command())
    _become(command, environ, before_exec)


def srun_line(
    settings: Settings, allocation: Allocation, mpi: str, program: list[str]
) -> tuple[list[str], dict[str, str]]:
    """Return the command that runs a program as a rank for each task of an allocation, and its whole environment.

    Parameters
    ----------
    mpi
        Type of ``srun --mpi``.
    """
    step = Step(
        mpi=mpi,
        cpus_per_task=allocation.cpus_per_task,
        binds_cpus="task/affinity" in _config().get("TaskPlugin", ""),
        args=tuple(shlex.split(settings.srun_args or "")),
    )
    environ = {name: value for name, value in os.environ.items() if name not in _WRONG_FOR_SRUN}
    if len(step.cpus_per_task) > 1:
        environ.pop("SRUN_CPUS_PER_TASK", None)  # it would be for all components
    environ |= {**srun_environ(step), LAUNCHED: "srun"}
    library = settings.pmi_library or pmi.find_library("pmi2", os.environ)
    container = Container.of(settings, command_line.folder(), library, [str(Path.cwd())])
    if container is not None:
        program = container_command(container, arguments_of(program))
        environ |= container_environ(container, environ)
    return [*srun_command(step), *program_for_srun(program)], environ


def _config() -> dict[str, str]:
    answer = answer_of(config_command())
    return parse_config(answer.out) if answer.code == 0 else {}


def _become(command: list[str], environ: Mapping[str, str], before_exec: Callable[[], None]) -> NoReturn:
    """Replace this process. So signals, output and exit code need no forwarding."""
    before_exec()
    # Snakemake has gone to its --directory; paths on the command line are relative to where it was typed.
    os.chdir(command_line.folder())
    sys.stdout.flush()
    sys.stderr.flush()
    os.execvpe(command[0], command, environ)  # noqa: S606


def run_under_mpiexec(settings: Settings, before_exec: Callable[[], None]) -> NoReturn:
    """Replace this process by ``mpiexec`` with the same command line."""
    mpiexec = mpiexec_of(settings.mpiexec, sys.executable, os.environ)
    command = mpiexec_command(mpiexec, 2 + (settings.workers or 1), command_line.same_command())
    _become(command, {**os.environ, LAUNCHED: "mpiexec"}, before_exec)


def mpiexec_of(asked: str | None, python: str, environ: Mapping[str, str]) -> list[str]:
    """Return the mpiexec command: as asked, else beside Python, else on PATH.

    Where there are several MPIs, as Debian has them, ``mpiexec`` is that of any of them, and the others have names with
    the MPI in it: then it is the one of the library that mpi4py loads.

    Raises
    ------
    LaunchError
        If there is none, or mpi4py loads no library.
    """
    if asked and asked.strip():
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
    path = environ.get("PATH")
    if not beside.exists() and any(shutil.which(f"mpiexec.{kind}", path=path) for kind in NAMES):
        found = shutil.which(f"mpiexec.{mpi_library_of(python).kind}", path=path) or found
    return [found]


def mpiexec_command(mpiexec: list[str], ranks: int, program: list[str]) -> list[str]:
    """Return the command that runs a program in so many ranks.

    >>> mpiexec_command(["mpiexec"], 4, ["python", "-m", "snakemake"])
    ['mpiexec', '-n', '4', 'python', '-m', 'snakemake']
    """
    return [*mpiexec, "-n", str(ranks), *program]
