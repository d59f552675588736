# What the programs beside this file share. They come first on the PATH of jobs that run in a Slurm step.
# shellcheck shell=sh

# Set $real to the program of a name that PATH would find without such a folder as this one.
find_real() {
    rest=$PATH:
    while [ -n "$rest" ]; do
        entry=${rest%%:*}
        rest=${rest#*:}
        real=${entry:-.}/$1
        if [ -f "$real" ] && [ -x "$real" ] && ! [ -e "${entry:-.}/daskmpi.sh" ]; then
            return
        fi
    done
    echo "$1: command not found" >&2
    exit 127
}

# Unset SLURM_<name> for each name, and what there is of it for each component of a heterogeneous job.
forget() {
    for name in "$@"; do
        unset "SLURM_$name"
    done
    forget_components "$@"
}

# Unset SLURM_<name>_HET_GROUP_<n> for each name.
forget_components() {
    n=0
    while [ "$n" -lt "${SLURM_HET_SIZE:-0}" ]; do
        for name in "$@"; do
            unset "SLURM_${name}_HET_GROUP_$n" "SLURM_${name}_PACK_GROUP_$n"
        done
        n=$((n + 1))
    done
}

# Forget what the allocation has, which srun, sbatch and salloc would take for options.
forget_options() {
    forget NNODES JOB_NUM_NODES TASKS_PER_NODE HINT THREADS_PER_CORE MEM_PER_CPU MEM_PER_GPU MEM_PER_NODE \
        NTASKS_PER_NODE NTASKS_PER_CORE NTASKS_PER_SOCKET NTASKS_PER_GPU NTASKS_PER_TRES \
        GPUS GPUS_PER_NODE GPUS_PER_SOCKET GPUS_PER_TASK CPUS_PER_GPU TRES_PER_TASK
}

# Be a program that asks for an allocation of its own, to which nothing goes along of the one that it is called in.
ask_for_allocation() {
    find_real "$1"
    shift
    forget_options
    # With another MPI than that of our world, its type would be the wrong one.
    forget MPI_TYPE
    forget NTASKS NPROCS CPUS_PER_TASK DISTRIBUTION HOSTFILE OVERLAP JOB_ID JOBID JOB_NODELIST NODELIST \
        JOB_CPUS_PER_NODE CPUS_ON_NODE NODEID PROCID LOCALID GTIDS STEP_ID STEPID STEP_NODELIST STEP_NUM_NODES STEP_NUM_TASKS \
        STEP_TASKS_PER_NODE STEP_LAUNCHER_PORT
    unset SLURM_HET_SIZE SLURM_PACK_SIZE DASKMPI_ALLOCATION DASKMPI_HET_GROUP DASKMPI_MPI
    # As worker.environment sets them: an mpiexec is to use all nodes of the other allocation.
    [ "$HYDRA_LAUNCHER" = fork ] && unset HYDRA_LAUNCHER
    [ "$HYDRA_RMK" = user ] && unset HYDRA_RMK
    [ "$I_MPI_HYDRA_BOOTSTRAP" = fork ] && unset I_MPI_HYDRA_BOOTSTRAP
    [ "$I_MPI_HYDRA_RMK" = user ] && unset I_MPI_HYDRA_RMK
    [ "$PRTE_MCA_plm" = '^slurm' ] && unset PRTE_MCA_plm
    [ "$PRTE_MCA_ras" = '^slurm' ] && unset PRTE_MCA_ras
    [ "$OMPI_MCA_plm" = '^slurm' ] && unset OMPI_MCA_plm
    [ "$OMPI_MCA_ras" = '^slurm' ] && unset OMPI_MCA_ras
    rest=$PATH:
    PATH=
    while [ -n "$rest" ]; do
        entry=${rest%%:*}
        rest=${rest#*:}
        [ -e "${entry:-.}/daskmpi.sh" ] || PATH=${PATH:+$PATH:}${entry:-.}
    done
    exec "$real" "$@"
}
