"""The environment of a job: nothing of our world's, and what its grant says.

Runs on: ranks >= 2 (jobs), rank 1 (local rules). Pure.
Called by: world.bootstrap, worker.forkserver.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

    from snakemake_executor_plugin_daskmpi.messages import Grant

#: An MPI program that inherits these believes that it is a rank of our world, and hangs.
#: ``SLURM_JOB_ID`` and what ``srun --overlap`` needs stay.
_RANK_PREFIXES = ("PMI_", "PMIX_", "PRTE_", "PRRTE_", "OMPI_", "OPAL_", "MPI_LOCAL", "HYDRA_", "MPIR_CVAR_", "HYDI_")
_RANK_NAMES = frozenset(
    {"SLURM_PROCID", "SLURM_LOCALID", "SLURM_NODEID", "SLURM_STEP_ID", "SLURM_STEPID", "SLURM_GTIDS"}
    | {"SLURM_STEP_NUM_TASKS", "SLURM_STEP_NUM_NODES", "SLURM_STEP_NODELIST", "SLURM_STEP_TASKS_PER_NODE"}
    | {"SLURM_STEP_LAUNCHER_PORT", "SLURM_LAUNCH_NODE_IPADDR", "SLURM_SRUN_COMM_HOST", "SLURM_SRUN_COMM_PORT"}
    | {"SLURM_TASK_PID", "SLURM_MPI_TYPE", "MPIEXEC_HOSTNAME", "GFORTRAN_UNBUFFERED_PRECONNECTED"},
)
#: What users set for their own ``mpiexec`` and want to keep in jobs.
_KEPT = frozenset({"OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"})

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
    """Remove from an environment what makes a process believe that it is a rank of our world."""
    for name in [n for n in environ if is_rank_variable(n)]:
        del environ[name]


def granted_environment(grant: Grant, offered_gpus: tuple[str, ...], environ: Mapping[str, str]) -> dict[str, str]:
    """Return what a grant adds to a job's environment.

    GPU variables are set, to nothing if none was asked for, only where the worker has GPUs.
    """
    threads = str(max(1, len(grant.cores)))
    added = dict.fromkeys(THREAD_COUNT_NAMES, threads)
    if offered_gpus or grant.gpus:
        visible = ",".join(grant.gpus)
        added["CUDA_VISIBLE_DEVICES"] = visible
        if "ROCR_VISIBLE_DEVICES" in environ:
            added["ROCR_VISIBLE_DEVICES"] = visible
    return added
