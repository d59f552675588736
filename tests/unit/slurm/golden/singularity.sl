#!/bin/bash
# snakemake-digits: a Snakemake workflow in one Slurm job, ranks 0 (Dask scheduler), 1 (Snakemake), 2 to 5 (workers).
# One component: all jobs are alike.

# All ranks are alike.
#SBATCH --job-name=snakemake-digits
#SBATCH --chdir=/home/ada/digits
#SBATCH --output=/home/ada/digits/.snakemake/daskmpi/1.log
#SBATCH --time=01:00:00
#SBATCH --ntasks=6
#SBATCH --cpus-per-task=1
#SBATCH --mem-per-cpu=1024M
#SBATCH --no-requeue
#SBATCH --no-kill

# However this ends, its exit code is written down. Slurm tells the ranks as well when it cancels the job:
# this waits for them.
exit_code_file=/home/ada/digits/.snakemake/daskmpi/1.exit
trap 'code=$?; echo $code >"$exit_code_file.new" && mv "$exit_code_file.new" "$exit_code_file"; exit $code' EXIT
trap : TERM

fail() {
    printf '%s\n  Next: %s\n' "$1" "$2" >&2
    exit 1
}

# All ranks run inside an image, which sees these folders of the host
export SINGULARITY_BIND="${SINGULARITY_BIND:+$SINGULARITY_BIND,}"/opt/slurm/lib64,/home/ada/digits,/data:/mnt
export I_MPI_PMI_LIBRARY=/opt/slurm/lib64/libpmi2.so

# The run. srun's exit code is that of the rank that fared worst; rank 1 writes down how the run itself ended.
export DASKMPI_EXIT_CODE_FILE="$exit_code_file.run"
rm -f "$exit_code_file.run"
cd /home/ada/digits ||
    fail "The working directory cannot be entered on $HOSTNAME." "look at it there."
srun --mpi=pmi2 --kill-on-bad-exit=0 --wait=0 --no-kill \
    singularity run /home/ada/image.sif -m snakemake --executor daskmpi --jobs unlimited
code=$?
[ ! -s "$exit_code_file.run" ] || code=$(cat "$exit_code_file.run")

exit "$code"
