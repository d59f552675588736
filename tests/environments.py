"""Environment variables of ranks, as launchers write them: Slurm 22.05, MPICH 5, Intel MPI 2021, Open MPI 5."""

from __future__ import annotations

#: What a user's shell has anyway.
SHELL = {"PATH": "/usr/bin:/bin", "HOME": "/home/ada", "OMP_NUM_THREADS": "2"}

#: ``mpiexec -n 6``, rank 2.
MPICH = SHELL | {
    "PMI_RANK": "2",
    "PMI_SIZE": "6",
    "PMI_FD": "13",
    "PMI_HOSTNAME": "node1",
    "MPI_LOCALRANKID": "2",
    "MPI_LOCALNRANKS": "6",
    "GFORTRAN_UNBUFFERED_PRECONNECTED": "y",
    "HYDI_CONTROL_FD": "7",
}
INTEL = SHELL | {
    "PMI_RANK": "2",
    "PMI_SIZE": "6",
    "PMI_FD": "13",
    "MPI_LOCALRANKID": "2",
    "MPI_LOCALNRANKS": "6",
    "GFORTRAN_UNBUFFERED_PRECONNECTED": "y",
    "HYDRA_BSTRAP_LAUNCHER": "ssh",
    "HYDRA_BSTRAP_UPSTREAM_FD": "7",
    "I_MPI_HYDRA_UUID": "eb480000-a8b1-714c-ec60-0600b1cd8c07",
    "I_MPI_PIN_MAPPING": "6:0 0,1 1,2 2,3 3,4 4,5 5",
}
OPEN_MPI = SHELL | {
    "OMPI_COMM_WORLD_RANK": "2",
    "OMPI_COMM_WORLD_SIZE": "6",
    "OMPI_COMM_WORLD_LOCAL_RANK": "2",
    "OMPI_COMMAND": "python",
    "OMPI_MCA_num_procs": "6",
    "OMPI_UNIVERSE_SIZE": "6",
    "OPAL_USER_PARAMS_GIVEN": "1",
    "PMIX_RANK": "2",
    "PMIX_NAMESPACE": "prterun-node1-20721@1",
    "PMIX_SERVER_URI41": "prterun-node1-20721@0.0;tcp4://127.0.0.1:51703",
    "PRTE_LAUNCHED": "1",
}

#: ``sbatch``'s variables in a hetjob of 2 tasks with 1 CPU and 1 GB per CPU : 3 tasks with 4 CPUs and 3 GB per CPU.
_HETJOB = SHELL | {
    "SLURM_HET_SIZE": "2",
    "SLURM_JOB_ID": "81",
    "SLURM_JOBID": "81",
    "SLURM_JOB_ID_HET_GROUP_0": "81",
    "SLURM_JOB_ID_HET_GROUP_1": "82",
    "SLURM_JOB_NODELIST_HET_GROUP_0": "n1",
    "SLURM_JOB_NODELIST_HET_GROUP_1": "n[2-4]",
    "SLURM_NTASKS_HET_GROUP_0": "2",
    "SLURM_NTASKS_HET_GROUP_1": "3",
    "SLURM_CPUS_PER_TASK_HET_GROUP_0": "1",
    "SLURM_CPUS_PER_TASK_HET_GROUP_1": "4",
    "SLURM_MEM_PER_CPU": "1024",
    "SLURM_MEM_PER_CPU_HET_GROUP_0": "1024",
    "SLURM_MEM_PER_CPU_HET_GROUP_1": "3072",
}
HETJOB_BATCH_SCRIPT = _HETJOB | {
    "SLURM_PROCID": "0",
    "SLURM_NODEID": "0",
    "SLURM_LOCALID": "0",
    "SLURM_NTASKS": "2",
    "SLURM_NPROCS": "2",
    "SLURMD_NODENAME": "n1",
    "SLURM_JOB_NODELIST": "n1",
    "SLURM_CPUS_ON_NODE": "2",
    "SLURM_TASKS_PER_NODE": "2",
}


def hetjob_rank(rank: int) -> dict[str, str]:
    """Return the environment of a rank of ``srun --mpi=pmi2 --het-group=0-1`` in that hetjob."""
    node_id = max(0, rank - 1)
    return _HETJOB | {
        "SLURM_PROCID": str(rank),
        "SLURM_NODEID": str(node_id),
        "SLURM_LOCALID": "1" if rank == 1 else "0",
        "SLURM_NTASKS": "5",
        "SLURM_NPROCS": "5",
        "SLURMD_NODENAME": f"n{node_id + 1}",
        "SLURM_JOB_NODELIST": "n[1-4]",
        "SLURM_CPUS_ON_NODE": "2" if rank < 2 else "4",
        "SLURM_TASKS_PER_NODE": "2,1(x3)",
        "SLURM_STEP_ID": "0",
        "SLURM_STEPID": "0",
        "SLURM_STEP_NODELIST": "n[1-4]",
        "SLURM_STEP_NUM_TASKS": "5",
        "SLURM_STEP_NUM_NODES": "4",
        "SLURM_GTIDS": str(rank),
        "SLURM_SRUN_COMM_HOST": "10.0.0.1",
        "SLURM_SRUN_COMM_PORT": "40123",
        "SLURM_MPI_TYPE": "pmi2",
        "PMI_RANK": str(rank),
        "PMI_SIZE": "5",
        "PMI_FD": "11",
        "PMI_JOBID": "81.0",
    }


#: ``srun --mpi=pmix -n 6 -c 4`` in a plain job, rank 2.
SRUN_PMIX = SHELL | {
    "SLURM_JOB_ID": "90",
    "SLURM_JOB_NODELIST": "n[1-3]",
    "SLURMD_NODENAME": "n2",
    "SLURM_PROCID": "2",
    "SLURM_LOCALID": "0",
    "SLURM_NTASKS": "6",
    "SLURM_CPUS_PER_TASK": "4",
    "SLURM_MEM_PER_CPU": "2000",
    "SLURM_STEP_ID": "0",
    "SLURM_STEP_NUM_TASKS": "6",
    "SLURM_MPI_TYPE": "pmix",
    "PMIX_RANK": "2",
    "PMIX_NAMESPACE": "slurm.pmix.90.0",
}
#: ``sbatch -n 6``: the script is no step.
BATCH_SCRIPT = SHELL | {
    "SLURM_JOB_ID": "90",
    "SLURM_JOB_NODELIST": "n[1-3]",
    "SLURMD_NODENAME": "n1",
    "SLURM_PROCID": "0",
    "SLURM_LOCALID": "0",
    "SLURM_NTASKS": "6",
    "SLURM_CPUS_PER_TASK": "4",
    "SLURM_MEM_PER_NODE": "64000",
    "SLURM_TASK_PID": "4242",
}
#: ``srun --pty bash``, or the shell that ``salloc`` opens on a node.
INTERACTIVE_STEP = BATCH_SCRIPT | {"SLURM_STEP_ID": "4294967290", "SLURM_STEP_NUM_TASKS": "1", "SLURM_NTASKS": "1"}

RANKS = {
    "MPICH's mpiexec": MPICH,
    "Intel MPI's mpiexec": INTEL,
    "Open MPI's mpiexec": OPEN_MPI,
    "srun with PMI-2 in a hetjob": hetjob_rank(2),
    "srun with PMIx": SRUN_PMIX,
}
