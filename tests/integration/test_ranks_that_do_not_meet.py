"""Ranks that do not meet in MPI, since one does not come or none can reach another, end in time, and one says so."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from harness import require
from mpis import MPIS
from required import at_night

if TYPE_CHECKING:
    from harness import Workflow

SNAKEFILE = 'rule all:\n    output: "out"\n    shell: "touch {output}"\n'


@pytest.mark.parametrize(("mpi", "n"), [("mpich", 2), *at_night([("impi", 2), ("openmpi", 2), ("mpich", 1)])])
def test_whoever_waits_for_ranks_that_do_not_come_ends_in_time(workflow: Workflow, mpi: str, n: int):
    require(mpi)
    workflow.write("Snakefile", SNAKEFILE)
    snakemake = [sys.executable, "-m", "snakemake", "--executor", "daskmpi", "--jobs", "unlimited"]
    snakemake += ["--daskmpi-startup-timeout", "4"]
    # The third rank, or rank 1 too, never makes a call of MPI.
    command = [str(MPIS[mpi].mpiexec), "-n", str(n), *snakemake, ":", "-n", str(3 - n), "sleep", "1000"]
    run = workflow.start_command(command, {**workflow.environ(), **MPIS[mpi].environ})
    workflow.killed = True
    assert run.wait(60) != 0
    assert run.text.count("The MPI ranks have not met within 4 s (--daskmpi-startup-timeout).") == 1
    assert run.text.count("  Next: ") == 1
    assert "Next: a firewall, or a network interface that leads nowhere" in run.text
    assert "Traceback" not in run.text
    assert not workflow.has("out")


@pytest.mark.parametrize(
    ("mpi", "environ"),
    [
        ("mpich", {"MPIR_CVAR_NOLOCAL": "1", "UCX_TLS": "self"}),
        *at_night(
            [
                ("impi", {"I_MPI_FABRICS": "ofi", "I_MPI_OFI_PROVIDER": "verbs"}),
                ("openmpi", {"OMPI_MCA_btl": "self"}),
                # Open MPI tells the program of it, as it does where ranks of several hosts cannot reach each other.
                ("openmpi", {"OMPI_MCA_btl": "self", "OMPI_MCA_mpi_initial_errhandler": "mpi_errors_return"}),
            ]
        ),
    ],
)
def test_ranks_with_no_way_to_each_other_end_with_one_message_besides_mpis_own(
    workflow: Workflow, mpi: str, environ: dict[str, str]
):
    workflow.write("Snakefile", SNAKEFILE)
    run = workflow.start(launcher=mpi, ranks=3, env=environ)
    workflow.killed = True
    assert run.wait(60) != 0
    assert run.text.count("  Next: ") == 1
    assert "a firewall, or a network interface that leads nowhere" in run.text
    assert "Traceback" not in run.text
    assert not workflow.has("out")
