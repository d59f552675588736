"""Orders of nodes in which an MPI could not start are refused, and no others."""

from __future__ import annotations

import pytest

from environments import SRUN_PMIX
from snakemake_executor_plugin_daskmpi.errors import WorldError
from snakemake_executor_plugin_daskmpi.world import node_order

MPICH = "MPICH Version:      5.0.2"
INTEL = "Intel(R) MPI Library 2021.18 for Linux* OS"
OPEN_MPI = "Open MPI v5.0.11, package: Open MPI root@build"
CRAY = "MPI VERSION    : CRAY MPICH version 8.1"

#: Two ranks on n1, three on other nodes. Slurm tells the numbers in the order of the nodes' names.
OUT_OF_ORDER = {
    "SLURM_HET_SIZE": "3",
    "SLURM_JOB_NODELIST_HET_GROUP_0": "n1",
    "SLURM_JOB_NODELIST_HET_GROUP_1": "b1",
    "SLURM_JOB_NODELIST_HET_GROUP_2": "n[2-3]",
    "SLURM_STEP_NODELIST": "b1,n[1-3]",
    "SLURM_STEP_TASKS_PER_NODE": "1,2,1(x2)",
}


@pytest.mark.parametrize(
    ("library", "slurm"), [(INTEL, "22.05.8"), (INTEL, "24.11.5"), (OPEN_MPI, "22.05.8"), (OPEN_MPI, "")]
)
def test_a_library_that_cannot_have_nodes_out_of_order_is_refused(library: str, slurm: str):
    with pytest.raises(WorldError, match=r"ranks are on n1, b1, n2, n3, in this order\.\n  Next: pip install"):
        node_order.check(library, OUT_OF_ORDER, lambda: slurm)


@pytest.mark.parametrize(
    ("library", "environ"),
    [
        (MPICH, OUT_OF_ORDER),
        (CRAY, OUT_OF_ORDER),
        (OPEN_MPI, SRUN_PMIX),
        (INTEL, {"SLURM_STEP_NODELIST": "n[1-2]", "SLURM_JOB_NODELIST": "n[1-2]"}),
        # with as many ranks everywhere, the order makes no difference to Intel MPI
        (INTEL, OUT_OF_ORDER | {"SLURM_STEP_TASKS_PER_NODE": "2(x4)"}),
        # the step leaves the first component out
        (OPEN_MPI, OUT_OF_ORDER | {"SLURM_STEP_NODELIST": "b1,n[2-3]", "SLURM_STEP_TASKS_PER_NODE": "1(x3)"}),
    ],
)
def test_nodes_that_a_library_can_have_are_let_through(library: str, environ: dict[str, str]):
    node_order.check(library, environ, lambda: "22.05.8")


@pytest.mark.parametrize("slurm", ["24.11.0", "25.05.2"])
def test_with_a_newer_slurm_open_mpi_starts_on_any(slurm: str):
    node_order.check(OPEN_MPI, OUT_OF_ORDER, lambda: slurm)
