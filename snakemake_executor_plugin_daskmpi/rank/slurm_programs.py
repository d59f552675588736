"""``srun``, ``sbatch`` and ``salloc`` in jobs: programs of ours by these names, which come first on the jobs' PATH.

Runs on: ranks >= 2 (jobs), rank 1 (local rules). Pure.

No environment is right for all three: what makes a step of our own allocation start at once would go along with a job
that is submitted, and is wrong there. So each is a shell script that takes away, or adds, what its real program needs,
and becomes it. They lie in the package's folder ``data/slurm-programs``: nothing has to be written for them, and where
Python can be started they can.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.rank import roles

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Where the programs are.
FOLDER = Path(__file__).absolute().parents[1] / "data" / "slurm-programs"


def programs_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what puts the programs first, and tells them which allocation and component they are in.

    Parameters
    ----------
    environ
        Of a task of a Slurm step.
    """
    path, folder = environ.get("PATH", os.defpath), str(FOLDER)
    added = {"DASKMPI_ALLOCATION": environ.get("SLURM_JOB_ID", "")}
    component = roles.own_component(environ)
    if component is not None:
        added["DASKMPI_HET_GROUP"] = str(component)
    # An entry of PATH cannot hold a colon.
    if os.pathsep not in folder and path.split(os.pathsep)[0] != folder:
        added["PATH"] = f"{folder}{os.pathsep}{path}"
    return added
