"""What a worker is told of an assignment: cores and GPUs, and for MPI programs nodes and launcher.

Runs on: rank 1. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.messages import Grant, WorkerInfo
from snakemake_executor_plugin_daskmpi.resources import mpi_program

if TYPE_CHECKING:
    from collections.abc import Mapping

    from snakemake_executor_plugin_daskmpi.placement.assignment import Assignment
    from snakemake_executor_plugin_daskmpi.resources import JobResources


def grant_of(
    assignment: Assignment,
    request: JobResources,
    mpi: str,
    infos: Mapping[str, WorkerInfo],
) -> Grant:
    """Return what the worker that runs a job's body gets to know.

    Parameters
    ----------
    mpi
        The rule's launcher of MPI programs, "" if it names none.
    infos
        What each worker said of itself, by the name that the assignment gives it.
    """
    home = infos[assignment.worker]
    nodes: tuple[str, ...] = ()
    if home.node and mpi_program(mpi) == "srun":
        shared = assignment.shared or ((assignment.worker, request.tasks),)
        nodes = tuple(infos[worker].node for worker, tasks in shared for _ in range(tasks))
    return Grant(
        cores=assignment.cores,
        gpus=assignment.gpus,
        mem_mb=request.mem_mb,
        disk_mb=request.disk_mb,
        tasks=request.tasks,
        cores_per_task=request.cores // request.tasks,
        nodes=nodes,
        mpi=launcher_line(mpi, home),
    )


def launcher_line(mpi: str, home: WorkerInfo) -> str:
    """Return the launcher of MPI programs with what it needs on a worker and cannot be told by its environment.

    That is the component: without ``--het-group``, ``srun`` goes to the first one, and no variable says otherwise. And
    an ``srun`` that is named by its path is not the one of :mod:`rank.slurm_programs`, which adds the rest.

    >>> launcher_line("srun --mpi=pmi2", WorkerInfo("tcp://…", "rank 3", "host", node="n2", het_group=1))
    'srun --het-group=1 --mpi=pmi2'
    >>> launcher_line("/opt/slurm/bin/srun --mpi=pmi2", WorkerInfo("tcp://…", "rank 3", "host", node="n2"))
    '/opt/slurm/bin/srun --overlap --mem=0 --mpi=pmi2'
    """
    program, _, options = mpi.strip().partition(" ")
    if mpi_program(program) != "srun" or not home.node:
        return mpi
    added = []
    if home.het_group is not None and "--het-group" not in options:
        added.append(f"--het-group={home.het_group}")
    if program != "srun":
        added += [option for option in ("--overlap", "--mem=0") if option.partition("=")[0] not in options]
    return " ".join([program, *added, options]).rstrip()
