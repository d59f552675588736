"""MPI programs in rules, in a local world: all tasks on one worker, counted."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from harness import require
from mpis import MPIS

if TYPE_CHECKING:
    from harness import Workflow

PROGRAM = """
    import sys
    from mpi4py import MPI

    ranks = MPI.COMM_WORLD.gather(MPI.COMM_WORLD.rank)
    if MPI.COMM_WORLD.rank == 0:
        open(sys.argv[1], "w").write(f"{ranks}")
"""

SNAKEFILE = """
    import sys

    rule all:
        input: "ranks", "too_many", "launcher"

    rule ranks:
        output: "ranks"
        resources: mpi="mpiexec", tasks=4, mem_mb=10
        shell: "{resources.mpi} -n {resources.tasks} {sys.executable} program.py {output}"

    rule too_many:
        output: "too_many"
        resources: mpi="mpiexec", tasks=5, mem_mb=10
        shell: "touch {output}"

    rule launcher:
        output: "launcher"
        resources: mpi="srun --mpi=pmi2", tasks=2, mem_mb=10
        threads: 2
        shell: "echo {resources.mpi}, $OMP_NUM_THREADS > {output}"
"""


def test_an_mpi_rule_gets_the_cores_of_its_tasks_on_one_worker(workflow: Workflow):
    require("mpich")
    workflow.write("Snakefile", SNAKEFILE)
    workflow.write("program.py", PROGRAM)
    # The rule's mpiexec is the first on PATH.
    path = {"PATH": f"{MPIS['mpich'].mpiexec.parent}:{os.environ['PATH']}"}
    offer = ("--daskmpi-workers", "2", "--daskmpi-cores", "4", "--daskmpi-mem-mb", "1000")
    run = workflow.run("--keep-going", *offer, env=path)
    run.ends_with(1)
    assert workflow.read("ranks") == "[0, 1, 2, 3]"
    # Outside of Slurm, srun is what it is for the local executor; each of its tasks has two cores.
    assert workflow.read("launcher").strip() == "srun --mpi=pmi2, 2"
    assert "for its tasks=5 on one worker" in run.text
    assert not workflow.has("too_many")
