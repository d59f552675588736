"""The doctor on one machine, and a starter profile that Snakemake takes."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

from harness import require
from mpis import MPIS

if TYPE_CHECKING:
    from harness import Workflow
    from runs import Run

PROGRAM = [sys.executable, "-m", "snakemake_executor_plugin_daskmpi"]


def start(workflow: Workflow, command: list[str]) -> Run:
    """Start a program where MPICH and its mpiexec are what is found first, and Slurm at most as programs."""
    require("mpich")
    path = os.pathsep.join([str(MPIS["mpich"].mpiexec.parent), os.environ["PATH"]])
    environ = {**workflow.environ(), **MPIS["mpich"].environ, "PATH": path, "SLURM_CONF": "/no/such/slurm.conf"}
    return workflow.start_command(command, environ)


def test_under_mpiexec_all_is_well_and_the_test_program_prints_both_results(workflow: Workflow):
    mpiexec = str(MPIS["mpich"].mpiexec)
    run = start(workflow, [*PROGRAM, "doctor", "--daskmpi-launcher", "mpiexec", "--daskmpi-mpiexec", mpiexec])
    run.ends_with(0)
    assert "Dask result: 5, Local result: 5" in run.text
    assert "4 ranks on 1 host: scheduler, client and 4 - 2 = 2 workers" in run.text
    assert ", without Slurm\n" in run.text
    assert "FAIL" not in run.text


def test_open_mpi_without_slots_enough_is_told_in_two_lines(workflow: Workflow):
    openmpi = MPIS["openmpi"]
    require("openmpi")
    # As on a machine of one core.
    mpiexec = f"{openmpi.mpiexec} --host localhost:1"
    environ = {**workflow.environ(), **openmpi.environ, "SLURM_CONF": "/no/such/slurm.conf"}
    del environ["PRTE_MCA_rmaps_default_mapping_policy"]
    doctor = [*PROGRAM, "doctor", "--daskmpi-launcher", "mpiexec", "--daskmpi-mpiexec"]
    run = workflow.start_command([*doctor, mpiexec], environ)
    run.ends_with(1)
    assert "Open MPI's mpiexec has too few slots here for 4 ranks." in run.text
    assert f"Next: --daskmpi-mpiexec '{mpiexec} --map-by :OVERSUBSCRIBE'" in run.text
    assert "PRRTE" not in run.text
    workflow.start_command([*doctor, f"{mpiexec} --map-by :OVERSUBSCRIBE"], environ).ends_with(0)


def test_without_mpi_the_json_has_every_check(workflow: Workflow):
    run = start(workflow, [*PROGRAM, "doctor", "--daskmpi-launcher", "local", "--json"])
    run.ends_with(0)
    document = json.loads(run.text)
    verdicts = {check["name"]: check["verdict"] for check in document["checks"]}
    assert verdicts["test program"] == verdicts["working directory"] == verdicts["ports"] == "ok"
    assert (document["facts"]["world"]["dask_result"], document["facts"]["world"]["local_result"]) == (5, 5)


def test_snakemake_takes_the_starter_profile_by_itself(workflow: Workflow):
    write = [*PROGRAM, "profile", "--output", "profiles/default"]
    run = start(workflow, write)
    run.ends_with(0)
    assert "profiles/default/config.yaml is written. Read it, then: snakemake --profile" in run.text
    assert "# There is no Slurm here. mpiexec starts the ranks" in workflow.read("profiles/default/config.yaml")
    again = start(workflow, write)
    again.ends_with(1)
    assert "profiles/default/config.yaml exists; it was left as it is." in again.text
    assert "--force overwrites it" in again.text

    workflow.write("Snakefile", "rule all:\n    output: 'a'\n    shell: 'echo {resources.mem_mb} > a'\n")
    run = start(workflow, [sys.executable, "-m", "snakemake"])
    run.ends_with(0)
    assert workflow.read("a") == "500\n"
    assert "3 ranks on 1 host" in run.text
