"""The doctor in a heterogeneous job: of a site that is well, and of one where the ranks cannot find each other."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from harness import require
from mpis import MPIS

if TYPE_CHECKING:
    from harness import Workflow
    from slurm_cluster import SlurmCluster

BATCH = """\
    #!/bin/bash
    #SBATCH --ntasks=2 --cpus-per-task=1 --mem-per-cpu=512 --time=5
    #SBATCH hetjob
    #SBATCH --ntasks=2 --cpus-per-task=2 --mem-per-cpu=512 --time=5
    exec snakemake-daskmpi doctor {arguments}
    """


def test_in_a_batch_script_it_checks_a_world_over_all_components(workflow: Workflow, slurm: SlurmCluster):  # noqa: ARG001
    require("mpich")
    run = workflow.sbatch(BATCH.format(arguments="--json > doctor.json"), env=MPIS["mpich"].environ)
    run.ends_with(0)
    document = json.loads(workflow.read("doctor.json"))
    seen = {check["name"]: check["seen"] for check in document["checks"] if check["verdict"] == "ok"}
    assert seen["test program"] == "Dask result: 5, Local result: 5"
    assert seen["world"].startswith("4 ranks on 2 hosts: scheduler, client and 4 - 2 = 2 workers with 4 cores")
    assert {"srun --mpi", "components", "working directory", "environments", "clocks", "ports", "scratch"} <= set(seen)
    world = document["facts"]["world"]
    assert [(rank["component"], rank["cores"]) for rank in world["ranks"]] == [(0, 0), (0, 0), (1, 2), (1, 2)]
    assert not list(workflow.folder.glob(".daskmpi-doctor-*"))


@pytest.mark.nightly
def test_a_wrong_type_of_pmi_is_found_and_nothing_hangs(workflow: Workflow, slurm: SlurmCluster):  # noqa: ARG001
    require("openmpi")
    run = workflow.sbatch(BATCH.format(arguments="--daskmpi-pmi pmi2"), env=MPIS["openmpi"].environ)
    run.ends_with(1)
    assert "warn  srun --mpi         --daskmpi-pmi is pmi2, but Open MPI commonly speaks pmix" in run.text
    assert "Next: --daskmpi-pmi pmix, or leave it out." in run.text
    (at,) = (n for n, line in enumerate(run.text.splitlines()) if line.startswith("FAIL"))
    assert run.text.splitlines()[at] == "FAIL  world              MPI sees 1 rank where 4 were started."
    assert "it was started as: srun --mpi=pmi2 --het-group=0-1 " in run.text
    assert "Next: srun --mpi=pmi2 … for MPICH and Intel MPI, srun --mpi=pmix … for Open MPI." in run.text


def join_check(workflow: Workflow, options: str) -> dict[str, str]:
    """Return what the doctor says of further jobs, and check its exit code."""
    run = workflow.start_command(
        ["snakemake-daskmpi", "doctor", "--json", "--daskmpi-launcher", "local", f"--join={options}"],
        workflow.environ(),
    )
    code = run.wait()
    (check,) = (each for each in json.loads(run.text)["checks"] if each["name"] == "further jobs")
    assert code == (check["verdict"] == "fail")
    return check


def test_it_finds_whether_a_job_of_its_own_could_join_a_run_here(workflow: Workflow, slurm: SlurmCluster):  # noqa: ARG001
    assert join_check(workflow, "--nodelist=n2")["seen"].startswith("this host was reached from n2, after ")
    refused = join_check(workflow, "--partition=nowhere")
    assert "invalid partition" in refused["seen"]
    assert "--partition=" in refused["remedy"]
