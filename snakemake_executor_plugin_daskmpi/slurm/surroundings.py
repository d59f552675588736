"""What a user has at hand: Slurm, an MPI library, modules, an environment, cores.

Runs on: the login node, or a laptop.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.errors import LaunchError
from snakemake_executor_plugin_daskmpi.slurm import inquiry
from snakemake_executor_plugin_daskmpi.slurm.controller import answer_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from snakemake_executor_plugin_daskmpi.slurm.site import Site

#: Seconds to wait for Slurm's controller.
_PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a profile depends on."""

    #: None without Slurm, and why if there is one.
    site: Site | None = None
    silence: str = ""
    #: ``mpich``, ``intel``, ``openmpi``; ``other`` for one that we do not know, "" if mpi4py loads none.
    mpi_kind: str = ""
    #: Slurm's PMI-2 library, if it was found.
    pmi_library: str = ""
    #: Whether there is an mpiexec of that kind.
    has_mpiexec: bool = False
    #: Environment modules that are loaded.
    modules: tuple[str, ...] = ()
    #: Conda environment whose Python this is, "" if it is none's; else the environment or installation.
    conda_env: str = ""
    prefix: str = ""
    #: Cores of this machine.
    cores: int = 1


def ask_surroundings(mpi_kind: str, pmi_library: str, *, has_mpiexec: bool) -> Surroundings:
    """Look around, given what is known of the MPI library."""
    site, silence = None, ""
    try:
        site = inquiry.ask_site(_PATIENCE_S) if slurm_version() else None
    except LaunchError as error:
        silence = str(error).partition("\n")[0]
    return Surroundings(
        site=site,
        silence=silence,
        mpi_kind=mpi_kind,
        pmi_library=pmi_library,
        has_mpiexec=has_mpiexec,
        modules=modules_of(os.environ),
        conda_env=conda_env_of(os.environ, sys.prefix),
        prefix=sys.prefix,
        cores=len(os.sched_getaffinity(0)),
    )


def slurm_version() -> str:
    """Return Slurm's version, "" if it is not there, or not configured.

    The programs alone make no Slurm: without a cluster's configuration they do not even tell their version.
    """
    try:
        answer = answer_of(["srun", "--version"])
    except LaunchError:
        return ""
    return parse_slurm_version(answer.out) if answer.code == 0 else ""


def parse_slurm_version(text: str) -> str:
    r"""Return the version from what ``srun --version`` prints.

    >>> parse_slurm_version("slurm-wlm 22.05.8\n"), parse_slurm_version("slurm 24.11.1")
    ('22.05.8', '24.11.1')
    """
    match = re.search(r"\d+\.\d+\S*", text)
    return match[0] if match else ""


def modules_of(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the environment modules that are loaded, in the order in which they were.

    >>> modules_of({"LOADEDMODULES": "gimkl/2020a:Python/3.9.9"})
    ('gimkl/2020a', 'Python/3.9.9')
    """
    return tuple(name for name in environ.get("LOADEDMODULES", "").split(":") if name)


def conda_env_of(environ: Mapping[str, str], prefix: str) -> str:
    """Return the active conda environment if its Python is this one.

    >>> conda_env_of({"CONDA_PREFIX": "/opt/conda/envs/wf"}, "/opt/conda/envs/wf")
    '/opt/conda/envs/wf'
    >>> conda_env_of({"CONDA_PREFIX": "/opt/conda"}, "/home/ada/venv")
    ''
    """
    active = environ.get("CONDA_PREFIX", "")
    return active if active and active == prefix else ""
