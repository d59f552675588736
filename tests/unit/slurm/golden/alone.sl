#!/bin/bash
# snakemake-digits: a Snakemake workflow, ranks 0 (Dask scheduler) and 1 (Snakemake). The workers come in further Slurm jobs.
# With --daskmpi-grow: ranks 0 and 1 alone, and workers that come and go.

# Ranks 0 and 1 are alone.
#SBATCH --job-name=snakemake-digits
#SBATCH --chdir=/home/ada/digits
#SBATCH --output=/home/ada/digits/.snakemake/daskmpi/1.log
#SBATCH --time=04:00:00
#SBATCH --ntasks=2
#SBATCH --cpus-per-task=1
#SBATCH --mem-per-cpu=1024M
#SBATCH --hint=multithread
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

# A hint is for its own component; srun would take it for all components.
unset SLURM_HINT

# The run. srun's exit code is that of the rank that fared worst; rank 1 writes down how the run itself ended.
export DASKMPI_EXIT_CODE_FILE="$exit_code_file.run"
rm -f "$exit_code_file.run"
cd /home/ada/digits ||
    fail "The working directory cannot be entered on $HOSTNAME." "look at it there."
srun --mpi=pmi2 --kill-on-bad-exit=0 --wait=0 --no-kill \
    /home/ada/venv/bin/python -m snakemake --executor daskmpi --jobs unlimited --daskmpi-grow=4 \
    --daskmpi-components=
code=$?
[ ! -s "$exit_code_file.run" ] || code=$(cat "$exit_code_file.run")

exit "$code"
