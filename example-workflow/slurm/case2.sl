#!/bin/bash
# Dask-MPI, case 2: big workers, as a heterogeneous job. From the folder above: sbatch slurm/case2.sl
#
# Rank 0 (Dask's scheduler) and rank 1 (the program itself) do little, so they are a small component of
# their own; behind the line "hetjob" stand 3 workers of 4 cores and 12 GB each.
#SBATCH --job-name=dask-case2
#SBATCH --time=01:00:00
#SBATCH --ntasks=2
#SBATCH --cpus-per-task=1
#SBATCH --mem-per-cpu=1G
# Many sites want to know who pays, and where to run; in each component:
##SBATCH --account=project123
##SBATCH --partition=large
#SBATCH hetjob
#SBATCH --ntasks=3
#SBATCH --cpus-per-task=4
#SBATCH --mem-per-cpu=3G
##SBATCH --account=project123
##SBATCH --partition=large
set -e

# A Python whose mpi4py is built on, or loads, the MPI of this cluster, and which has dask-mpi. Inside and
# outside have to be the same MPI. As modules of the site, for instance
#module purge
#module load Python/3.9.9-gimkl-2020a
# or as an environment of your own:
#source ~/environments/dask/bin/activate

# Intel MPI needs Slurm's PMI-2 library to find its ranks; without it, ranks on different nodes try to share
# memory. MPICH does not look at it. Name yours in I_MPI_PMI_LIBRARY, or it is looked for in the usual places.
if [ -z "${I_MPI_PMI_LIBRARY:-}" ]; then
  for library in /opt/slurm/lib64/libpmi2.so /usr/lib64/libpmi2.so* /usr/lib/*-linux-gnu/libpmi2.so*; do
    if [ -e "$library" ]; then
      export I_MPI_PMI_LIBRARY=$library
      break
    fi
  done
fi

# MPI is used to meet and no more, for which TCP is good enough. With its fast transports, MPICH as it comes
# from PyPI hangs now and then while it starts under Slurm.
export MPIR_CVAR_CH4_NETMOD=${MPIR_CVAR_CH4_NETMOD:-ofi} FI_PROVIDER=${FI_PROVIDER:-tcp}

# Slurm numbers the ranks by component, and tells which of them share a node in the order of the nodes' names. Where
# these differ (a busy node is enough), MPICH waits for ever in shared memory, unless it is told not to use any.
# Intel MPI waits, too, and so does Open MPI before Slurm 24.11. No setting cures those: better an end with a message
# than a job that waits until its time is over.
export MPIR_CVAR_NOLOCAL=${MPIR_CVAR_NOLOCAL:-1}
nodes=$(for list in "$SLURM_JOB_NODELIST_HET_GROUP_0" "$SLURM_JOB_NODELIST_HET_GROUP_1"; do
  scontrol show hostnames "$list"
done)
if [ "$nodes" != "$(sort --version-sort <<<"$nodes")" ]; then
  mpi=$(python -c 'from mpi4py import rc; rc.initialize = False
from mpi4py import MPI; print(MPI.Get_library_version().splitlines()[0].strip("\0"))')
  slurm=$(srun --version | grep --only-matching '[0-9][0-9]\.[0-9][0-9]' || true)
  case "$mpi with Slurm $slurm" in
    "Open MPI"*" 24.11" | "Open MPI"*" "2[5-9].*) ;;
    "Intel(R) MPI"* | "Open MPI"*)
      printf '%s\n' "${mpi%%,*} cannot start on these nodes: they are not in the order of their names." \
        "  Seen: ranks 0 and 1, then the workers, are on ${nodes//$'\n'/, }." \
        "  Next: sbatch again, with --nodelist in both components if need be; or take MPICH." >&2
      exit 1
      ;;
  esac
fi

# Dask logs each connection; "info" here shows them.
export DASK_LOGGING__DISTRIBUTED=${DASK_LOGGING__DISTRIBUTED:-warning}

# --het-group=0-1 makes one world of both components; without it, srun starts the first one's tasks alone.
# --cpu-bind=none leaves each worker all cores that its component has on the node. srun does not know of
# --cpus-per-task here (since Slurm 22.05), and would bind each worker to a single core.
# --mpi=pmi2 is for MPICH and Intel MPI; Open MPI needs --mpi=pmix.
# --kill-on-bad-exit: if a rank dies, all end, instead of waiting for it until the walltime is over.
srun --mpi=pmi2 --het-group=0-1 --cpu-bind=none --kill-on-bad-exit=1 python slurm/dask_program.py
