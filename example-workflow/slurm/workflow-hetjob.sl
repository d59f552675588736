#!/bin/bash
# The example workflow in one heterogeneous Slurm job. From the folder above:
#     sbatch slurm/workflow-hetjob.sl [further arguments of snakemake]
#
# Rank 0 (Dask's scheduler) and rank 1 (Snakemake itself) do little, so they are a small component of their own;
# behind the line "hetjob" stand 2 workers. The workflow's largest job needs 4 cores and 1.5 GB.
#SBATCH --job-name=digits
#SBATCH --time=01:00:00
#SBATCH --ntasks=2
#SBATCH --cpus-per-task=1
#SBATCH --mem-per-cpu=1G
# Many sites want to know who pays, and where to run; in each component:
##SBATCH --account=project123
##SBATCH --partition=large
# If a node fails, the job goes on without it.
#SBATCH --no-kill
#SBATCH hetjob
#SBATCH --ntasks=2
#SBATCH --cpus-per-task=4
#SBATCH --mem-per-cpu=1G
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
# --het-group=0-1 makes one world of both components; without it, srun starts the first one's tasks alone.
# --cpu-bind=none leaves each worker all cores that its component has on the node. srun does not know of
# --cpus-per-task here (since Slurm 22.05), and would bind each worker to a single core.
# The last three: if a rank dies or a node fails, its jobs are lost, and the others go on.
srun --mpi=pmi2 --het-group=0-1 --cpu-bind=none --kill-on-bad-exit=0 --wait=0 --no-kill \
  snakemake --executor daskmpi "$@"
