"""How ranks find each other under ``srun``: PMI-2 or PMIx, and what each MPI library needs for it.

Runs on: every rank before MPI is initialised, and the login node. Pure, but for looking whether files are there.

Where library and ``srun --mpi`` do not match, some libraries abort on every rank, and the others give each rank
a world of its own while Slurm reports success. So both are compared before MPI is initialised.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.errors import WorldError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: How the libraries that we know introduce themselves. Others (Cray MPICH, MVAPICH) are left to the site's settings.
_INTRODUCTIONS = {"Intel(R) MPI Library": "intel", "Open MPI v": "openmpi", "MPICH Version:": "mpich"}
NAMES = {"intel": "Intel MPI", "openmpi": "Open MPI", "mpich": "MPICH"}

#: The ``srun --mpi`` type that each kind of library speaks as it is commonly built.
PMI_TYPE = {"intel": "pmi2", "openmpi": "pmix", "mpich": "pmi2"}
_PROTOCOLS = {"pmi2": "PMI-2", "pmix": "PMIx"}

#: Where Slurm's PMI-2 library lies where it is not beside Slurm, and how it is called there.
_LIBRARY_FOLDERS = ("/opt/slurm/lib64", "/opt/slurm/lib", "/usr/lib64", "/usr/lib/x86_64-linux-gnu", "/usr/lib")
_PREFIX_FOLDERS = ("lib64", "lib", "lib/x86_64-linux-gnu", "lib64/slurm", "lib/slurm")
_LIBRARY_NAMES = {"pmi2": ("libpmi2.so", "libpmi2.so.0"), "pmix": ("libpmix.so", "libpmix.so.2")}


def kind_of(library_version: str) -> str:
    r"""Return the kind of an MPI library from what ``MPI_Get_library_version`` says, "other" for one unknown to us.

    >>> kind_of("Open MPI v5.0.11, package: Open MPI"), kind_of("MPI VERSION    : CRAY MPICH version 8.1\n")
    ('openmpi', 'other')
    """
    return next((kind for words, kind in _INTRODUCTIONS.items() if library_version.startswith(words)), "other")


def name_of(library_version: str) -> str:
    r"""Return the name of an MPI library with its version, for messages.

    >>> name_of("MPICH Version:      5.0.2\nMPICH Release date: Fri")
    'MPICH 5.0.2'
    """
    first = library_version.partition("\n")[0].strip(" \0")
    number = re.search(r"\d[\w.]*", first)
    kind = kind_of(library_version)
    return f"{NAMES[kind]} {number[0]}" if kind in NAMES and number else first


def type_of_step(environ: Mapping[str, str]) -> str | None:
    """Return the type of ``srun --mpi`` that a rank was started with, without a version; None if Slurm does not say.

    >>> type_of_step({"SLURM_MPI_TYPE": "pmix_v4"})
    'pmix'
    """
    mpi_type = environ.get("SLURM_MPI_TYPE")
    return "pmix" if mpi_type and mpi_type.startswith("pmix") else mpi_type


def check(library_version: str, environ: Mapping[str, str], said: str = "auto") -> None:
    """Raise a WorldError if a library does not speak what the step offers.

    Parameters
    ----------
    said
        ``--daskmpi-pmi``. Libraries can be built to speak what they commonly do not: who says so is believed.
    """
    kind, offered = kind_of(library_version), type_of_step(environ)
    # Of other types (cray_shasta, or a site's own) we know too little to object.
    if kind not in PMI_TYPE or offered not in ("none", *_PROTOCOLS) or offered in (PMI_TYPE[kind], said):
        return
    # Intel MPI speaks PMIx if it is told to, and loads the library that the user names.
    named = environ.get("I_MPI_PMI_LIBRARY", "")
    if kind == "intel" and (named if offered == "none" else "pmix" in named or not named):
        return
    unless = f" If this {NAMES[kind]} was built for it: --daskmpi-pmi {offered}." if offered in _PROTOCOLS else ""
    raise WorldError(
        f"{NAMES[kind]} does not speak {_PROTOCOLS.get(offered, 'with Slurm without PMI')}, "
        "so its ranks cannot find each other.",
        seen=f"srun --mpi={offered} started {environ.get('SLURM_STEP_NUM_TASKS', 'the')} ranks, "
        f"and mpi4py loaded {name_of(library_version)}.",
        next_step=f"srun --mpi={PMI_TYPE[kind]} …{unless}",
    )


def needed_environment(
    library_version: str, environ: Mapping[str, str], asked_library: str | None = None
) -> dict[str, str]:
    """Return the variables without which a library does not form a world under ``srun``, as far as they are not set.

    Raises
    ------
    WorldError
        If a file that is needed is not there: Intel MPI would only warn, and fail later.
    """
    kind, offered = kind_of(library_version), type_of_step(environ)
    needed: dict[str, str] = {}
    if kind == "mpich":
        # Slurm's PMI-2 tells which ranks share a node in the order of the nodes' names, not of the components: where
        # these differ, ranks of different nodes wait for each other in shared memory for ever.
        needed = {"MPIR_CVAR_NOLOCAL": "1"}
        if "ofi" in _device_of(library_version):
            # With UCX, the long addresses make Slurm's PMI-2 hang now and then. MPI only meets and broadcasts here.
            needed |= {"MPIR_CVAR_CH4_NETMOD": "ofi", "FI_PROVIDER": "tcp"}
    elif kind == "intel" and offered in _PROTOCOLS:
        # Without it, Intel MPI gets the map of nodes wrong, and shares memory between ranks of different ones.
        needed = {"I_MPI_PMI_LIBRARY": library_for(offered, asked_library, environ)}
        if offered == "pmix":
            needed["I_MPI_PMI"] = "pmix"
    mine = {"I_MPI_PMI_LIBRARY"} if asked_library else set()
    return {name: value for name, value in needed.items() if name in mine or name not in environ}


def _device_of(library_version: str) -> str:
    r"""Return MPICH's device with its network modules: naming one that it was built without is an error.

    >>> _device_of("MPICH Version:      5.0.2\nMPICH Device:       ch4:ucx ofi\nMPICH CC: cc")
    'ch4:ucx ofi'
    """
    found = re.search(r"^MPICH Device:\s*(.*)$", library_version, re.MULTILINE)
    return found[1].strip() if found else ""


def library_for(pmi_type: str, asked: str | None, environ: Mapping[str, str]) -> str:
    """Return the PMI library that Intel MPI is to load: as the user says, else looked for.

    Raises
    ------
    WorldError
        If it is not there.
    """
    set_by = "--daskmpi-pmi-library" if asked else "I_MPI_PMI_LIBRARY"
    named = asked or environ.get("I_MPI_PMI_LIBRARY")
    # A name without a folder is the loader's to find.
    if named and "/" in named and not Path(named).exists():
        raise WorldError(
            "Intel MPI cannot load the PMI library that it was told to load.",
            seen=f"{set_by} is {named}, and there is no such file on {environ.get('SLURMD_NODENAME', 'this machine')}.",
            next_step="--daskmpi-pmi-library FILE with the path of Slurm's libpmi2.so on the nodes, "
            "or leave it out to have it looked for.",
        )
    found = named or find_library(pmi_type, environ)
    if found is None:
        raise WorldError(
            f"Intel MPI needs the library of Slurm's {_PROTOCOLS[pmi_type]}, and none was found.",
            seen=f"no {_LIBRARY_NAMES[pmi_type][0]} beside srun or in {', '.join(_LIBRARY_FOLDERS)}.",
            next_step=f"find / -name '{_LIBRARY_NAMES[pmi_type][0]}*' on a node, and name it with "
            "--daskmpi-pmi-library FILE; or use MPICH: pip install 'snakemake-executor-plugin-daskmpi[mpich]'.",
        )
    return found


def find_library(pmi_type: str, environ: Mapping[str, str]) -> str | None:
    """Return the path of Slurm's PMI library: beside the ``srun`` on PATH, else in the usual folders."""
    for folder in _folders(environ):
        for name in _LIBRARY_NAMES[pmi_type]:
            if (folder / name).exists():
                return str(folder / name)
    return None


def _folders(environ: Mapping[str, str]) -> Iterator[Path]:
    srun = shutil.which("srun", path=environ.get("PATH"))
    if srun is not None:
        # As it is called, and where it really is: both may be the installation.
        for prefix in dict.fromkeys((Path(srun).parent.parent, Path(srun).resolve().parent.parent)):
            yield from (prefix / folder for folder in _PREFIX_FOLDERS)
    yield from map(Path, _LIBRARY_FOLDERS)
