"""Ranks that wait for others in MPI, for ever if nobody ended them, end in time and say so."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from harness import require
from mpis import MPIS
from required import at_night

if TYPE_CHECKING:
    from harness import Workflow


@pytest.mark.parametrize("mpi", ["mpich", *at_night(["impi", "openmpi"])])
def test_whoever_waits_for_a_rank_that_does_not_come_ends_in_time(workflow: Workflow, mpi: str):
    require(mpi)
    workflow.write("Snakefile", 'rule all:\n    output: "out"\n    shell: "touch {output}"\n')
    snakemake = [sys.executable, "-m", "snakemake", "--executor", "daskmpi", "--jobs", "unlimited"]
    snakemake += ["--daskmpi-startup-timeout", "4"]
    # The third rank never makes a call of MPI.
    command = [str(MPIS[mpi].mpiexec), "-n", "2", *snakemake, ":", "-n", "1", "sleep", "1000"]
    run = workflow.start_command(command, {**workflow.environ(), **MPIS[mpi].environ})
    workflow.killed = True
    assert run.wait(60) != 0
    assert run.text.count("The MPI ranks have not met within 4 s (--daskmpi-startup-timeout).") == 1
    assert "Next: a firewall, or a network interface that leads nowhere" in run.text
    assert "Traceback" not in run.text
    assert not workflow.has("out")
