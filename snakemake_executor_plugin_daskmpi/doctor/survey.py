"""What can be known without any other rank: versions, the MPI library, Slurm, the allocation.

Runs on: wherever the doctor was started.
"""

from __future__ import annotations

import importlib.metadata
import platform
import shlex
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.doctor.facts import Facts, MpiFacts, Requirement, WorldFacts
from snakemake_executor_plugin_daskmpi.errors import LaunchError
from snakemake_executor_plugin_daskmpi.launch.launchers import mpiexec_of
from snakemake_executor_plugin_daskmpi.mpi import pmi
from snakemake_executor_plugin_daskmpi.mpi.library import MpiLibrary, mpi_library_of
from snakemake_executor_plugin_daskmpi.rank import roles
from snakemake_executor_plugin_daskmpi.slurm import inquiry, surroundings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from snakemake_executor_plugin_daskmpi.settings.flags import Settings

_PACKAGE = "snakemake-executor-plugin-daskmpi"
#: Seconds for a program to tell its version.
_VERSION_S = 20.0
#: What the ``mpiexec`` of each kind says of itself.
_MPIEXEC_SAYS = (
    ("intel", "Intel(R) MPI"),
    ("openmpi", "Open MPI"),
    ("openmpi", "OpenRTE"),
    ("openmpi", "PRTE"),
    ("openmpi", "prte"),
    ("mpich", "HYDRA"),
)


def survey(mpi: MpiFacts, world: WorldFacts, environ: Mapping[str, str]) -> Facts:
    """Return all facts, given those about MPI and about the world that was formed."""
    wanted, is_met = _python_requirement()
    return Facts(
        host=socket.gethostname(),
        program=own_command(),
        python=platform.python_version(),
        wants_python=wanted,
        python_is_met=is_met,
        prefix=sys.prefix,
        requirements=_requirements(),
        mpi=mpi,
        world=world,
        slurm=surroundings.slurm_version(),
        allocation=roles.allocation_of(environ),
    )


def own_command() -> str:
    """Return the command of the doctor, as it can be typed on another node."""
    beside = Path(sys.executable).with_name("snakemake-daskmpi")
    program = [str(beside)] if beside.exists() else [sys.executable, "-m", "snakemake_executor_plugin_daskmpi"]
    return shlex.join([*program, "doctor"])


def mpi_facts(settings: Settings, environ: Mapping[str, str]) -> MpiFacts:
    """Return which MPI library mpi4py loads, and who could start ranks of it."""
    try:
        library = mpi_library_of(sys.executable)
    except LaunchError as error:
        # Its last line tells what to do, which is the check's to say.
        seen = str(error).partition("  Next: ")[0].partition("  Seen: ")
        library = MpiLibrary("", (seen[2] or seen[0]).strip())
    mpiexec, theirs = mpiexec_facts(settings, environ)
    asked = settings.pmi
    mpi_type = pmi.PMI_TYPE.get(library.kind, "pmi2") if asked == "auto" else asked
    named = settings.pmi_library or environ.get("I_MPI_PMI_LIBRARY")
    found = named or pmi.find_library("pmix" if mpi_type == "pmix" else "pmi2", environ)
    return MpiFacts(
        kind=library.kind,
        library=library.name,
        mpiexec=mpiexec,
        mpiexec_kind=theirs,
        pmi_types=pmi_types(),
        pmi=mpi_type,
        pmi_library=found or "",
    )


def mpiexec_facts(settings: Settings, environ: Mapping[str, str]) -> tuple[str, str]:
    """Return the ``mpiexec`` that would be taken and the kind of its MPI; "" for none, or none that it tells."""
    try:
        command = mpiexec_of(settings.mpiexec, sys.executable, environ)
    except LaunchError:
        return "", ""
    try:
        ran = subprocess.run(  # noqa: S603
            [command[0], "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_VERSION_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return shlex.join(command), ""
    return shlex.join(command), mpiexec_kind(ran.stdout + ran.stderr)


def mpiexec_kind(text: str) -> str:
    """Return whose ``mpiexec`` it is, from what its ``--version`` prints; "" for an unknown one.

    >>> mpiexec_kind("HYDRA build details:"), mpiexec_kind("mpiexec (OpenRTE) 4.1.4"), mpiexec_kind("slurm")
    ('mpich', 'openmpi', '')
    """
    return next((kind for kind, words in _MPIEXEC_SAYS if words in text), "")


def pmi_types() -> tuple[str, ...]:
    """Return the types that ``srun --mpi`` takes, none without Slurm."""
    if not surroundings.slurm_version():
        return ()
    return tuple(sorted(inquiry.mpi_types()))


def _python_requirement() -> tuple[str, bool]:
    from packaging.specifiers import SpecifierSet

    wanted = importlib.metadata.metadata(_PACKAGE)["Requires-Python"] or ""
    return wanted, SpecifierSet(wanted).contains(platform.python_version(), prereleases=True)


def _requirements() -> tuple[Requirement, ...]:
    from packaging.requirements import Requirement as Line

    lines = map(Line, importlib.metadata.requires(_PACKAGE) or [])
    # Extras are the user's choice.
    needed = [line for line in lines if line.marker is None or line.marker.evaluate({"extra": ""})]
    return tuple(requirement_of(line.name, str(line.specifier), _installed(line.name)) for line in needed)


def requirement_of(package: str, wanted: str, installed: str | None) -> Requirement:
    """Return a requirement and whether it is met.

    >>> requirement_of("snakemake", ">=9.27,<10", "9.6.0").is_met
    False
    """
    from packaging.specifiers import SpecifierSet

    is_met = installed is not None and SpecifierSet(wanted).contains(installed, prereleases=True)
    return Requirement(package, wanted, installed, is_met)


def _installed(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
