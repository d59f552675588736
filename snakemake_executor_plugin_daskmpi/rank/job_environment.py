"""The environment of a job: nothing of our world's, and what its grant says.

Runs on: ranks >= 2 (jobs), rank 1 (local rules). Pure.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.rank import slurm_programs
from snakemake_executor_plugin_daskmpi.rank.roles import in_step

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping
    from pathlib import Path

    from snakemake_executor_plugin_daskmpi.messages import Grant

#: An MPI program that inherits these believes that it is a rank of our world, and hangs.
_RANK_PREFIXES = ("PMI_", "PMIX_", "PRTE_", "PRRTE_", "OMPI_", "OPAL_", "MPI_LOCAL", "HYDRA_", "HYDI_")
_RANK_NAMES = frozenset(
    {"SLURM_PROCID", "SLURM_LOCALID", "SLURM_NODEID", "SLURM_STEP_ID", "SLURM_STEPID", "SLURM_GTIDS"}
    | {"SLURM_STEP_NUM_TASKS", "SLURM_STEP_NUM_NODES", "SLURM_STEP_NODELIST", "SLURM_STEP_TASKS_PER_NODE"}
    | {"SLURM_STEP_LAUNCHER_PORT", "SLURM_LAUNCH_NODE_IPADDR", "SLURM_SRUN_COMM_HOST", "SLURM_SRUN_COMM_PORT"}
    | {"SLURM_TASK_PID", "MPIEXEC_HOSTNAME", "GFORTRAN_UNBUFFERED_PRECONNECTED"},
)
#: What users set for their own ``mpiexec`` and want to keep in jobs.
_KEPT = frozenset({"OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"})

#: How the step that our world is was started, which is nothing to jobs: an ``srun`` in one would take it for its own
#: options, and Intel MPI's ``mpiexec`` the tasks on each node for where its own processes belong. Each also with
#: ``_HET_GROUP_n`` and ``_PACK_GROUP_n`` appended. What Slurm gave the whole job stays for whoever reads it.
#: ``SLURM_MPI_TYPE`` stays, too: the type with which our world could form is the best guess for programs of jobs, and a
#: wrong one starts as many worlds of one rank each.
_STEP_OPTION = re.compile(
    r"SLURM_(TASKS_PER_NODE|DISTRIBUTION|HOSTFILE|(CPU|MEM|GPU)_BIND(_\w+?)?|EXACT|EXCLUSIVE|OVERCOMMIT|OVERLAP"
    r"|KILL_BAD_EXIT|NO_KILL|WAIT|UMASK)(_(HET|PACK)_GROUP_\d+)?|SRUN_(DEBUG|CPUS_PER_TASK(_HET_GROUP_\d+)?)",
)

#: Makes an ``mpiexec`` in a job start its processes on the job's own node, as it would without Slurm: each of them
#: finds out that it is in a Slurm job, and then starts its processes with an ``srun`` over all nodes. The programs of
#: slurm_programs know these values, and take them from jobs that are submitted.
ON_THIS_NODE = {
    # MPICH and Intel MPI.
    "HYDRA_LAUNCHER": "fork",
    "HYDRA_RMK": "user",
    "I_MPI_HYDRA_BOOTSTRAP": "fork",
    "I_MPI_HYDRA_RMK": "user",
    # Open MPI 5, and 4.
    "PRTE_MCA_plm": "^slurm",
    "PRTE_MCA_ras": "^slurm",
    "OMPI_MCA_plm": "^slurm",
    "OMPI_MCA_ras": "^slurm",
}

#: Read by the linear algebra libraries; Snakemake sets the same for shell commands.
THREAD_COUNT_NAMES = (
    "OMP_NUM_THREADS",
    "GOTO_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


def is_rank_variable(name: str) -> bool:
    """Say whether an environment variable tells a process that it is an MPI rank.

    >>> [n for n in ("PMI_RANK", "SLURM_PROCID", "SLURM_JOB_ID", "PATH") if is_rank_variable(n)]
    ['PMI_RANK', 'SLURM_PROCID']
    """
    return name not in _KEPT and (name in _RANK_NAMES or name.startswith(_RANK_PREFIXES))


def scrub(environ: MutableMapping[str, str]) -> None:
    """Remove from an environment what makes a process believe that it is a rank of our world.

    In a Slurm step, also make it fit for ``srun``, ``sbatch``, ``salloc`` and ``mpiexec``. Afterwards it cannot be told
    from one outside of a step; a second scrub keeps what the first one has added.
    """
    is_step = in_step(environ)
    added = ON_THIS_NODE | slurm_programs.programs_environment(environ) if is_step else {}
    kept = {name: value for name, value in ON_THIS_NODE.items() if environ.get(name) == value}
    for name in [n for n in environ if is_rank_variable(n) or (is_step and _STEP_OPTION.fullmatch(n))]:
        del environ[name]
    environ.update(kept | added)


def granted_environment(grant: Grant, offered_gpus: tuple[str, ...], environ: Mapping[str, str]) -> dict[str, str]:
    """Return what a grant adds to a job's environment.

    Numbers of threads are set where the worker's environment, which is the user's, has none. GPU variables are set,
    to nothing if none was asked for, only where the worker has GPUs. In a Slurm step, Slurm's numbers are the job's
    own, as if it were a Slurm job: programs read them, and so does ``srun``.
    """
    threads = str(max(1, grant.cores_per_task if grant.tasks > 1 else len(grant.cores)))
    added = dict.fromkeys((name for name in THREAD_COUNT_NAMES if name not in environ), threads)
    if grant.mpi:
        # For spawned jobs, whose command was made before it was known where they run.
        added["DASKMPI_MPI"] = grant.mpi
    if in_step(environ):
        tasks = str(grant.tasks)
        added |= {"SLURM_NTASKS": tasks, "SLURM_NPROCS": tasks, "SLURM_CPUS_PER_TASK": threads}
        if grant.nodes:
            nodes = str(len(set(grant.nodes)))
            added |= {"SLURM_NNODES": nodes, "SLURM_JOB_NUM_NODES": nodes}
    if offered_gpus or grant.gpus:
        visible = ",".join(grant.gpus)
        added["CUDA_VISIBLE_DEVICES"] = visible
        if "ROCR_VISIBLE_DEVICES" in environ:
            added["ROCR_VISIBLE_DEVICES"] = visible
    return added


def step_environment(nodes: Path) -> dict[str, str]:
    """Return what makes ``srun`` put tasks on the nodes that a file lists, one line for each task.

    More tasks than lines it refuses. Not ``--cpus-per-task``: that implies ``--exact``, by which Slurm binds steps
    that overlap to the same CPUs. Without it, tasks see all CPUs of the allocation there, as other jobs do.
    """
    return {"SLURM_HOSTFILE": str(nodes), "SLURM_DISTRIBUTION": "arbitrary"}
