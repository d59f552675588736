"""MPI programs in rules, inside a heterogeneous Slurm job, next to ordinary jobs."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from harness import require
from mpis import MPIS
from required import at_night

if TYPE_CHECKING:
    from harness import Workflow
    from slurm_cluster import SlurmCluster

#: Cores of each of the two workers: too few for four tasks.
CORES = 3

BATCH = f"""\
    #!/bin/bash
    #SBATCH --ntasks=2 --cpus-per-task=1 --mem-per-cpu=1G
    #SBATCH hetjob
    #SBATCH --nodes=2 --ntasks=2 --cpus-per-task={CORES} --mem-per-cpu=1G
    srun --mpi=pmi2 --het-group=0-1 snakemake --executor daskmpi --jobs unlimited $MORE
    """

PROGRAM = """\
    import json, os, socket, sys, time

    start = time.time()
    from mpi4py import MPI

    comm = MPI.COMM_WORLD
    time.sleep(0.3)
    mine = dict(rank=comm.rank, size=comm.size, host=socket.gethostname(), cores=1, start=start, end=time.time())
    everyone = comm.gather(mine)
    if comm.rank == 0:
        with open(sys.argv[1], "w") as file:
            json.dump(everyone, file)
    """

SNAKEFILE = """\
    import json, os, socket, sys, time

    #: PyPI's MPICH may hang over PMI-2 with UCX.
    SETTINGS = "export MPIR_CVAR_CH4_NETMOD=ofi FI_PROVIDER=tcp; "

    rule all:
        input: "wide.json", "narrow.json", expand("small/{n}.json", n=range(50))

    rule wide:
        output: "wide.json"
        resources: mpi=os.environ["SRUN"], tasks=4, mem_mb=400
        shell: SETTINGS + "{resources.mpi} -n {resources.tasks} {sys.executable} program.py {output}"

    # Cannot leave its worker.
    rule narrow:
        output: "narrow.json"
        resources: mpi="mpiexec", tasks=3, mem_mb=300
        shell: "{resources.mpi} -n {resources.tasks} {sys.executable} program.py {output}"

    rule small:
        output: "small/{n}.json"
        resources: mem_mb=10
        run:
            start = time.time()
            time.sleep(0.1)
            with open(output[0], "w") as file:
                json.dump([dict(host=socket.gethostname(), cores=1, start=start, end=time.time())], file)
    """


@pytest.mark.parametrize(
    ("srun", "more"),
    [
        ("srun", ""),
        *at_night(
            [
                ("srun", "--daskmpi-no-warm --set-resources wide:mem_mb=300 -- wide.json narrow.json"),
                # As sites' documentation has it, with their own options.
                (f"{shutil.which('srun')} --mpi=pmi2", "-- wide.json narrow.json"),
            ]
        ),
    ],
)
def test_an_mpi_rule_shares_two_workers_and_takes_no_more_cores_than_there_are(
    workflow: Workflow,
    slurm: SlurmCluster,  # noqa: ARG001
    srun: str,
    more: str,
):
    require("mpich")
    workflow.write("Snakefile", SNAKEFILE)
    workflow.write("program.py", PROGRAM)
    run = workflow.sbatch(BATCH, env={**MPIS["mpich"].environ, "SRUN": srun, "MORE": more})
    run.ends_with(0)
    wide, narrow = json.loads(workflow.read("wide.json")), json.loads(workflow.read("narrow.json"))
    assert [(task["rank"], task["size"]) for task in wide] == [(n, 4) for n in range(4)]
    assert len({task["host"] for task in wide}) == 2, "four tasks, three cores on each worker"
    assert [(task["rank"], task["size"]) for task in narrow] == [(n, 3) for n in range(3)]
    assert len({task["host"] for task in narrow}) == 1, "mpiexec stays on its worker"
    small = [one for file in workflow.folder.glob("small/*.json") for one in json.loads(file.read_text())]
    assert len(small) == (0 if more else 50)
    everything = wide + narrow + small
    for moment in (one["start"] for one in everything):
        for host in {one["host"] for one in everything}:
            running = [one for one in everything if one["host"] == host and one["start"] <= moment < one["end"]]
            assert sum(one["cores"] for one in running) <= CORES, f"on {host}: {running}"


def test_tasks_that_no_two_workers_hold_are_refused_and_the_rest_runs(
    workflow: Workflow,
    slurm: SlurmCluster,  # noqa: ARG001
):
    require("mpich")
    workflow.write(
        "Snakefile",
        """\
        rule huge:
            output: "huge"
            resources: mpi="srun", tasks=7, mem_mb=70
            shell: "touch {output}"
        """,
    )
    run = workflow.sbatch(BATCH, env={**MPIS["mpich"].environ, "MORE": ""})
    run.ends_with(1)
    assert "can ever hold a job with tasks=7 of 1 cores and 10 MB each" in run.text
    assert "room for 6 such tasks at most" in run.text


def test_a_plain_srun_in_a_rule_does_not_hang(workflow: Workflow, slurm: SlurmCluster):  # noqa: ARG001
    require("mpich")
    workflow.write("Snakefile", 'rule all:\n    output: "a"\n    shell: "timeout 20 srun hostname > {output}"\n')
    run = workflow.sbatch(BATCH, env={**MPIS["mpich"].environ, "MORE": ""})
    run.ends_with(0)
    assert len(workflow.lines("a")) == 1
