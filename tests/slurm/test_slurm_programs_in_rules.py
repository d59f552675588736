"""Slurm's own programs in rules: steps in our allocation, and jobs and allocations of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness import require
from mpis import MPIS, SAMPLED
from required import at_night

if TYPE_CHECKING:
    from harness import Workflow
    from slurm_cluster import SlurmCluster

#: The user's own srun: nothing about it says that other steps may share what it holds.
PLAIN = """\
    #!/bin/bash
    #SBATCH --nodes=2 --ntasks=4 --cpus-per-task=2 --mem-per-cpu=600M
    export SRUN_CPUS_PER_TASK=2
    srun --mpi=pmi2 snakemake --executor daskmpi --jobs unlimited $MORE
    """

HETJOB = """\
    #!/bin/bash
    #SBATCH --ntasks=2 --cpus-per-task=1 --mem-per-cpu=1G
    #SBATCH hetjob
    #SBATCH --ntasks=1 --cpus-per-task=4 --mem-per-cpu=600M
    srun --mpi=pmi2 --het-group=0-1 snakemake --executor daskmpi --jobs unlimited $MORE
    """

SNAKEFILE = """\
    import sys

    rule all:
        input: "step.txt", "packed.txt", "submitted.txt", "allocated.txt", "spread.txt", "seen.txt"

    rule step:
        output: "step.txt"
        resources: mem_mb=50
        shell: "timeout 40 srun -n2 hostname > {output}; hostname >> {output}"

    # As in scripts that fill an allocation with steps.
    rule packed:
        output: "packed.txt"
        resources: mem_mb=50
        shell: "timeout 40 srun --exclusive -n1 hostname > {output}"

    rule submitted:
        output: "submitted.txt"
        resources: mem_mb=50
        shell: "sbatch --wait -n2 --mem=100 -o {output} inner.sh"

    rule allocated:
        output: "allocated.txt"
        resources: mem_mb=50
        shell: "timeout 40 salloc -n2 srun hostname > {output}"

    # mpiexec finds out which nodes the job that is submitted has.
    rule spread:
        output: "spread.txt"
        resources: mem_mb=50
        shell: "sbatch --wait -N2 -n2 -o {output} mpi.sh {sys.executable}"

    rule seen:
        output: "seen.txt"
        threads: 2
        resources: mem_mb=50
        shell: "env > {output}"
    """

#: Says what of our world has come along.
INNER = """\
    #!/bin/bash
    srun hostname
    env | grep -E '^(DASKMPI_(ALLOCATION|HET_GROUP|MPI)=|HYDRA|I_MPI_HYDRA|PRTE_MCA|OMPI_MCA|SLURM_OVERLAP|SLURM_HET)'
    [[ $PATH != *slurm-programs* ]] || echo $PATH
    """
MPI = """\
    #!/bin/bash
    mpiexec -n 2 "$1" program.py
    """
#: A line of each rank, in one piece.
PROGRAM = """\
    import os
    from mpi4py import MPI

    os.write(1, f"{MPI.COMM_WORLD.size} {os.uname().nodename}\\n".encode())
    """


@pytest.mark.parametrize("batch", [*at_night([PLAIN]), HETJOB], ids=["plain", "hetjob"])
def test_steps_jobs_and_allocations_can_be_made_in_rules(
    workflow: Workflow,
    slurm: SlurmCluster,  # noqa: ARG001
    batch: str,
):
    require("mpich")
    workflow.write("Snakefile", SNAKEFILE)
    workflow.write("inner.sh", INNER)
    workflow.write("mpi.sh", MPI)
    workflow.write("program.py", PROGRAM)
    run = workflow.sbatch(batch, env={**MPIS["mpich"].environ, "MORE": "--keep-going"})
    run.ends_with(0)
    *step, own = workflow.lines("step.txt")
    assert len(step) == 2
    assert len(workflow.lines("packed.txt")) == 1
    assert all(len(line) == 2 for line in step), "names of nodes"
    if batch == HETJOB:
        assert set(step) == {own}, "a step of the component that the job runs in"
    for name in ("submitted.txt", "allocated.txt"):
        assert [len(line) for line in workflow.lines(name)] == [2, 2], workflow.read(name)
    spread = workflow.lines("spread.txt")
    assert [line.split()[0] for line in spread] == ["2", "2"], spread
    assert len({line.split()[1] for line in spread}) == 2, "on both nodes"


def test_a_job_sees_what_slurm_gave_the_allocation_and_numbers_of_its_own(
    workflow: Workflow,
    slurm: SlurmCluster,  # noqa: ARG001
):
    require("mpich")
    workflow.write("Snakefile", SNAKEFILE)
    run = workflow.sbatch(PLAIN, env={**MPIS["mpich"].environ, "MORE": "-- seen.txt", "MPIR_CVAR_ALLREDUCE": "mine"})
    run.ends_with(0)
    seen = dict(line.split("=", 1) for line in workflow.lines("seen.txt") if "=" in line)
    expected = {"SLURM_MEM_PER_CPU": "600", "SLURM_JOB_NUM_NODES": "2", "SLURM_NTASKS": "1"}
    expected |= {"SLURM_CPUS_PER_TASK": "2", "OMP_NUM_THREADS": "2", "MPIR_CVAR_ALLREDUCE": "mine"}
    assert {name: seen.get(name) for name in expected} == expected
    assert not {"SLURM_STEP_ID", "SLURM_PROCID", "PMI_RANK", "SLURM_OVERLAP", "SLURM_MEM_PER_NODE"} & set(seen)


@pytest.mark.parametrize("name", SAMPLED)
def test_mpiexec_in_a_rule_stays_on_its_worker(
    workflow: Workflow,
    slurm: SlurmCluster,  # noqa: ARG001
    name: str,
):
    require("mpich")
    require(name)
    workflow.write("program.py", PROGRAM)
    workflow.write(
        "Snakefile",
        """\
        import sys

        rule all:
            input: "0.txt", "1.txt"

        # Each takes all of a worker.
        rule ranks:
            output: "{n}.txt"
            resources: mpi="mpiexec", tasks=2, mem_mb=50
            shell: "hostname > {output}; $INNER {resources.mpi} -n 2 {sys.executable} program.py >> {output}; sleep 1"
        """,
    )
    settings = [f"{variable}={value}" for variable, value in MPIS[name].environ.items()]
    folder = MPIS[name].mpiexec.parent
    inner = " ".join(["env", f"PATH={folder}:/usr/bin:/bin", *settings])
    run = workflow.sbatch(PLAIN, env={**MPIS["mpich"].environ, "INNER": inner, "MORE": ""})
    run.ends_with(0)
    hosts = set()
    for n in range(2):
        host, *ranks = workflow.lines(f"{n}.txt")
        assert ranks == [f"2 {host}"] * 2
        hosts.add(host)
    assert len(hosts) == 2, "on each of the nodes"
