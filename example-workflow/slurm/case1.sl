#!/bin/bash
# Dask-MPI, case 1: small workers, all ranks alike. From the folder above: sbatch slurm/case1.sl
#
# 6 tasks are rank 0 (Dask's scheduler), rank 1 (the program itself) and 4 workers.
#SBATCH --job-name=dask-case1
#SBATCH --time=01:00:00
#SBATCH --ntasks=6
#SBATCH --cpus-per-task=1
#SBATCH --mem-per-cpu=1G
# Many sites want to know who pays, and where to run:
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

# Dask logs each connection; "info" here shows them.
export DASK_LOGGING__DISTRIBUTED=${DASK_LOGGING__DISTRIBUTED:-warning}

# --mpi=pmi2 is for MPICH and Intel MPI; Open MPI needs --mpi=pmix.
# --kill-on-bad-exit: if a rank dies, all end, instead of waiting for it until the walltime is over.
srun --mpi=pmi2 --kill-on-bad-exit=1 python slurm/dask_program.py
