"""``snakemake --executor daskmpi`` in a Slurm job that the user made: who speaks, who works, and what goes wrong."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

import psutil
import pytest

from harness import require
from mpis import MPIS, starts_on_any_nodes
from required import at_night
from runs import wait_until

if TYPE_CHECKING:
    from harness import Workflow
    from runs import SlurmRun
    from slurm_cluster import SlurmCluster

#: The types of ``srun --mpi`` with which the libraries meet.
TYPE_OF = {"mpich": "pmi2", "impi": "pmi2", "openmpi": "pmix"}

#: Seconds within which ranks that cannot meet have ended.
SOON = 120

SNAKEMAKE = "python -m snakemake --executor daskmpi --jobs unlimited"

#: Ranks 0 and 1 on one node, a worker on each of two others.
HETJOB = f"""\
    #!/bin/bash
    #SBATCH --ntasks=2 --cpus-per-task=1 --mem-per-cpu=512
    #SBATCH hetjob
    #SBATCH --nodes=2 --ntasks=2 --cpus-per-task=2 --mem-per-cpu=512
    srun --mpi=$TYPE --het-group=0-1 {SNAKEMAKE}
    """

SNAKEFILE = """\
    rule all:
        input: expand("{n}.txt", n=range(4))

    rule one:
        output: "{n}.txt"
        resources: mem_mb=10
        shell: "hostname > {output}"
    """


def _pythons(workflow: Workflow) -> list[psutil.Process]:
    """Return its processes of Python, and so its ranks."""
    found = []
    for process in workflow.processes():
        with contextlib.suppress(psutil.Error):
            if process.name().startswith("python"):
                found.append(process)
    return found


def wait_for_ranks(run: SlurmRun, workflow: Workflow, slurm: SlurmCluster, offered: str, said: str) -> None:
    """Wait until a hetjob has ended: with an error, unless all of its jobs are done, and it has said something."""
    if offered == "pmix":
        # Of a hetjob by PMIx, srun (22.05) now and then waits on although all of its tasks have ended.
        wait_until(lambda: said in run.text and not _pythons(workflow), on_timeout=lambda: run.text, timeout_s=SOON)
        slurm.clear()
    else:
        assert (run.wait(SOON) == 0) == ("(100%) done" in said), run.text
        assert said in run.text, run.text


def assert_one_speaks(text: str) -> None:
    assert text.count("Building DAG of jobs...") == 1, text
    assert text.count("daskmpi: logs of ranks and jobs") == 1, text


@pytest.mark.parametrize("mpi", TYPE_OF)
def test_ranks_of_a_hetjob_are_one_world_with_every_mpi(
    workflow: Workflow,
    slurm: SlurmCluster,
    mpi: str,
):
    require(mpi)
    # For Intel MPI, Slurm's PMI library is found without the user.
    assert "I_MPI_PMI_LIBRARY" not in workflow.environ()
    workflow.write("Snakefile", SNAKEFILE)
    run = workflow.sbatch(HETJOB, env={**MPIS[mpi].environ, "TYPE": TYPE_OF[mpi]})
    wait_for_ranks(run, workflow, slurm, TYPE_OF[mpi], "5 of 5 steps (100%) done")
    assert_one_speaks(run.text)
    assert re.search(r"daskmpi: 4 ranks on 3 hosts.*; 2 workers with 2 cores, 1024 MB each\.", run.text), run.text
    hosts = {workflow.read(f"{n}.txt") for n in range(4)}
    assert hosts <= {"n2\n", "n3\n"}, "the workers' nodes"


@pytest.mark.nightly
def test_tasks_of_a_homogeneous_job_are_one_world(workflow: Workflow, slurm: SlurmCluster):  # noqa: ARG001
    require("mpich")
    workflow.write("Snakefile", SNAKEFILE)
    batch = f"""\
        #!/bin/bash
        #SBATCH --nodes=2 --ntasks=4 --cpus-per-task=2 --mem-per-cpu=512
        srun --mpi=pmi2 --cpus-per-task=2 {SNAKEMAKE}
        """
    run = workflow.sbatch(batch, env=MPIS["mpich"].environ)
    run.ends_with(0)
    assert_one_speaks(run.text)
    assert re.search(r"daskmpi: 4 ranks on 2 hosts.*; 2 workers with 2 cores, 1024 MB each\.", run.text), run.text


@pytest.mark.parametrize(("mpi", "offered"), [("openmpi", "pmi2"), *at_night([("mpich", "pmix"), ("mpich", "none")])])
def test_an_mpi_that_does_not_speak_what_srun_offers_ends_with_one_explanation(
    workflow: Workflow,
    slurm: SlurmCluster,
    mpi: str,
    offered: str,
):
    require(mpi)
    workflow.write("Snakefile", SNAKEFILE)
    run = workflow.sbatch(HETJOB, env={**MPIS[mpi].environ, "TYPE": offered})
    wait_for_ranks(run, workflow, slurm, offered, "WorldError")
    # Slurm does not tell ranks of none. So that is seen only in what becomes of them.
    what = "MPI sees 1 rank where 4 were started." if offered == "none" else "so its ranks cannot find each other."
    assert run.text.count("WorldError") == run.text.count(what) == 1, run.text
    assert run.text.count(f"Next: srun --mpi={TYPE_OF[mpi]} …") == 1, run.text
    assert not list(workflow.folder.glob("*.txt")), "a job ran"


@pytest.mark.parametrize("mpi", ["impi", *at_night(["openmpi"])])
def test_an_mpi_that_would_hang_on_these_nodes_says_so_instead(
    workflow: Workflow,
    slurm: SlurmCluster,
    mpi: str,
):
    require(mpi)
    workflow.write("Snakefile", SNAKEFILE)
    # b1, whose name comes before n1's, has another number of ranks.
    batch = HETJOB.replace("--nodes=2 --ntasks=2", "--partition=big --ntasks=1")
    run = workflow.sbatch(batch, env={**MPIS[mpi].environ, "TYPE": TYPE_OF[mpi]})
    if starts_on_any_nodes(mpi, slurm):
        run.ends_with(0)
        return
    wait_for_ranks(run, workflow, slurm, TYPE_OF[mpi], "WorldError")
    assert run.text.count("cannot start on the nodes that Slurm chose") == 1, run.text
    assert "ranks are on n1, b1, in this order." in run.text
    assert not list(workflow.folder.glob("*.txt")), "a job ran"


@pytest.mark.parametrize("code", [0, *at_night([1])])
def test_a_batch_script_of_three_components_needs_no_srun(
    workflow: Workflow,
    slurm: SlurmCluster,  # noqa: ARG001
    code: int,
):
    require("mpich")
    workflow.write("Snakefile", SNAKEFILE)
    workflow.write("broken/Snakefile", 'rule one:\n    output: "never"\n    shell: "exit 3"\n')
    # PMI-2 goes by the names of nodes: b1 comes before n1, which has ranks 0 and 1.
    batch = f"""\
        #!/bin/bash
        #SBATCH --ntasks=2 --cpus-per-task=1 --mem-per-cpu=512
        #SBATCH hetjob
        #SBATCH --partition=big --ntasks=1 --cpus-per-task=6 --mem-per-cpu=2G
        #SBATCH hetjob
        #SBATCH --ntasks=2 --cpus-per-task=3 --mem-per-cpu=1G
        {SNAKEMAKE} --snakefile {"broken/" * code}Snakefile
        """
    run = workflow.sbatch(batch, env=MPIS["mpich"].environ)
    run.ends_with(code)
    assert re.search(r"daskmpi: 5 ranks on 3 hosts", run.text), run.text
    assert "; 2 workers with 3 cores, 3072 MB each; 1 worker with 6 cores, 12288 MB." in run.text, run.text
    assert len(list(workflow.folder.glob("*.txt"))) == (0 if code else 4)


def test_a_hint_of_the_allocation_is_none_to_the_step_of_the_ranks(
    workflow: Workflow,
    slurm: SlurmCluster,  # noqa: ARG001
):
    require("mpich")
    workflow.write("Snakefile", SNAKEFILE)
    # srun refuses a hint beside what binds tasks, and would take that of ranks 0 and 1 for all.
    allocation = ["salloc", "--hint=nomultithread", "--ntasks=2", "--mem-per-cpu=512", ":"]
    allocation += ["--ntasks=1", "--cpus-per-task=2", "--mem-per-cpu=512"]
    run = workflow.start_command([*allocation, *SNAKEMAKE.split()], {**workflow.environ(), **MPIS["mpich"].environ})
    run.ends_with(0)
    assert "; 1 worker with 2 cores, 1024 MB." in run.text, run.text


def test_a_job_of_one_task_has_its_cores_and_memory_for_workers_on_its_node(
    workflow: Workflow,
    slurm: SlurmCluster,  # noqa: ARG001
):
    workflow.write("Snakefile", SNAKEFILE)
    batch = f"""\
        #!/bin/bash
        #SBATCH --ntasks=1 --cpus-per-task=4 --mem=2G
        {SNAKEMAKE}
        """
    run = workflow.sbatch(batch)
    run.ends_with(0)
    assert "; 1 worker with 4 cores, 2048 MB." in run.text, run.text


def test_without_an_allocation_the_launcher_srun_says_how_to_get_one(
    workflow: Workflow,
    slurm: SlurmCluster,  # noqa: ARG001
):
    workflow.write("Snakefile", SNAKEFILE)
    run = workflow.start(launcher="srun")
    assert run.wait(SOON) != 0, run.text
    assert "There is no Slurm job here to start ranks in." in run.text
    assert "Next: --daskmpi-launcher sbatch to submit one, or run this in a batch script or salloc" in run.text
    assert not list(workflow.folder.glob("*.txt")), "a job ran"
