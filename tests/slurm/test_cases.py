"""Both cases of Dask-MPI on Slurm, as the ready scripts of the example stand there, on nodes that share nothing."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness import require
from mpis import MPIS, starts_on_any_nodes
from required import at_night

if TYPE_CHECKING:
    from harness import Workflow
    from runs import SlurmRun
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


def out_of_order(workflow: Workflow, mpi: str) -> SlurmRun:
    """Submit the hetjob with ranks 0 and 1 on a node whose name comes after those of the workers."""
    require(mpi)
    shutil.copytree(SCRIPTS, workflow.folder / "slurm")
    script = workflow.folder / "slurm" / "case2.sl"
    text = script.read_text().replace("--ntasks=2\n", "--ntasks=2 --nodelist=n4\n", 1)
    script.write_text(text.replace("srun --mpi=pmi2", f"srun --mpi={'pmix' if mpi == 'openmpi' else 'pmi2'}"))
    return workflow.sbatch("slurm/case2.sl", env=MPIS[mpi].environ)


def test_in_another_order_of_nodes_mpich_is_none_the_worse(workflow: Workflow, slurm: SlurmCluster):  # noqa: ARG001
    run = out_of_order(workflow, "mpich")
    run.ends_with(0, timeout_s=60)
    assert "Dask result: 5" in run.text.splitlines()


@pytest.mark.parametrize(("mpi", "name"), [("impi", "Intel(R) MPI"), *at_night([("openmpi", "Open MPI")])])
def test_an_mpi_that_could_not_start_then_is_told_so_at_once(
    workflow: Workflow,
    slurm: SlurmCluster,
    mpi: str,
    name: str,
):
    run = out_of_order(workflow, mpi)
    if starts_on_any_nodes(mpi, slurm):
        run.ends_with(0, timeout_s=60)
        return
    run.ends_with(1, timeout_s=60)
    assert name in run.text
    assert "cannot start on these nodes" in run.text
    assert "are on n4, n1, n2, n3." in run.text
    assert "Next: " in run.text
