#!/bin/bash
# snakemake-digits: a Snakemake workflow in one Slurm job, ranks 0 (Dask scheduler), 1 (Snakemake), 2 to 4 (workers).
# Two components: ranks 0 and 1 need little.

# Component 0 (head): ranks 0 and 1.
#SBATCH --job-name=snakemake-digits
#SBATCH --chdir=/home/ada/digits
#SBATCH --output=/home/ada/digits/.snakemake/daskmpi/1.log
#SBATCH --time=01:30:00
#SBATCH --ntasks=2
#SBATCH --cpus-per-task=1
#SBATCH --mem-per-cpu=1024M
#SBATCH --no-requeue
#SBATCH --no-kill

#SBATCH hetjob
# Component 1 (big): workers for jobs that ask for none and for jobs of 'big'.
#SBATCH --time=01:30:00
#SBATCH --ntasks=3
#SBATCH --cpus-per-task=4
#SBATCH --mem-per-cpu=3072M
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

# The run. srun's exit code is that of the rank that fared worst; rank 1 writes down how the run itself ended.
export DASKMPI_EXIT_CODE_FILE="$exit_code_file.run"
rm -f "$exit_code_file.run"
cd /home/ada/digits ||
    fail "The working directory cannot be entered on $HOSTNAME." "look at it there."
srun --mpi=pmi2 --het-group=0-1 --kill-on-bad-exit=0 --wait=0 --no-kill \
    /home/ada/venv/bin/python -m snakemake --executor daskmpi --jobs unlimited
code=$?
[ ! -s "$exit_code_file.run" ] || code=$(cat "$exit_code_file.run")

# 75: time is over and jobs are left. The next Slurm job is planned and submitted from here; if that finds
# nothing to do, the workflow is done.
if [ "$code" -eq 75 ]; then
    /home/ada/venv/bin/python -P -m snakemake_executor_plugin_daskmpi.slurm.submission.resubmit \
    /home/ada/digits/.snakemake/daskmpi \
    /home/ada/venv/bin/python -m snakemake --executor daskmpi --jobs unlimited --config \
    'who=it'"'"'s me' >/dev/null ||
        exit 1
    [ -e /home/ada/digits/.snakemake/daskmpi/next.json ] || exit 0
fi

exit "$code"
