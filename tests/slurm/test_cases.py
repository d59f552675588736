"""Both cases of Dask-MPI on Slurm, as the ready scripts of the example stand there, on nodes that share nothing."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness import require
from mpis import MPIS
from required import at_night

if TYPE_CHECKING:
    from harness import Workflow
    from slurm_cluster import SlurmCluster

SCRIPTS = Path(__file__).parents[2] / "example-workflow" / "slurm"


@pytest.mark.parametrize(
    ("script", "mpi"),
    [("case1.sl", "mpich"), ("case2.sl", "impi"), *at_night([("case1.sl", "impi"), ("case2.sl", "mpich")])],
)
def test_a_case_prints_both_results(workflow: Workflow, slurm: SlurmCluster, script: str, mpi: str):  # noqa: ARG001
    require(mpi)
    shutil.copytree(SCRIPTS, workflow.folder / "slurm")
    run = workflow.sbatch(f"slurm/{script}", env=MPIS[mpi].environ)
    run.ends_with(0)
    for result in ("Dask result: 5", "Local result: 5"):
        assert run.text.splitlines().count(result) == 1, f"{result!r} in:\n{run.text}"
