#!/bin/bash
# The example workflow in one Slurm job, all ranks alike. From the folder above:
#     sbatch slurm/workflow-homogeneous.sl [further arguments of snakemake]
#
# 4 tasks are rank 0 (Dask's scheduler), rank 1 (Snakemake itself) and 2 workers. Each has to be big enough for
# the workflow's largest job (4 cores, 1.5 GB), rank 0 and 1 as well, which do not need it: that is what
# workflow-hetjob.sl does better.
#SBATCH --job-name=digits
#SBATCH --time=01:00:00
#SBATCH --ntasks=4
#SBATCH --cpus-per-task=4
#SBATCH --mem-per-cpu=1G
# Many sites want to know who pays, and where to run:
##SBATCH --account=project123
##SBATCH --partition=large
# If a node fails, the job goes on without it.
#SBATCH --no-kill
set -e

# A Python with this plugin, whose mpi4py is built on, or loads, the MPI of this cluster. Inside and outside have
# to be the same MPI. As modules of the site, for instance
#module purge
#module load Python/3.11.6-foss-2023a
# or as an environment of your own:
#source ~/environments/snakemake/bin/activate

# What each MPI needs under Slurm (a library for Intel MPI, a transport for MPICH) the plugin sees to.
# --mpi=pmi2 is for MPICH and Intel MPI; Open MPI needs --mpi=pmix.
# --cpus-per-task again, since srun does not take it from the lines above (since Slurm 22.05).
# The last three: if a rank dies or a node fails, its jobs are lost, and the others go on.
srun --mpi=pmi2 --cpus-per-task="$SLURM_CPUS_PER_TASK" --kill-on-bad-exit=0 --wait=0 --no-kill \
  snakemake --executor daskmpi "$@"
