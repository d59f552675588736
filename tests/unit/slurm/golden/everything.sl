#!/bin/bash
# snakemake-digits: a Snakemake workflow in one Slurm job, ranks 0 (Dask scheduler), 1 (Snakemake), 2 to 3 (workers).
# Two components: ranks 0 and 1 need little.

# Component 0 (head): ranks 0 and 1.
#SBATCH --job-name=snakemake-digits
#SBATCH --chdir=/home/ada/digits
#SBATCH --output=/home/ada/digits/.snakemake/daskmpi/1.log
#SBATCH --mail-user=ada@example.org
#SBATCH --mail-type=ALL
#SBATCH --account=nn1
#SBATCH --partition=main
#SBATCH --qos=normal
#SBATCH --time=01:30:00
#SBATCH --ntasks=2
#SBATCH --cpus-per-task=1
#SBATCH --mem-per-cpu=1024M
#SBATCH --hint=multithread
#SBATCH --no-requeue
#SBATCH --no-kill
#SBATCH --nice=5

#SBATCH hetjob
# Component 1 (big): workers for jobs that ask for none and for jobs of 'big'.
#SBATCH --account=nn1
#SBATCH --partition=gpu
#SBATCH --qos=normal
#SBATCH --time=01:30:00
#SBATCH --ntasks=2
#SBATCH --cpus-per-task=4
#SBATCH --mem-per-cpu=3072M
#SBATCH --gres=gpu:1
#SBATCH --constraint=a100
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

# Modules; the start-up files of a login know the command
command -v module >/dev/null || source /etc/profile
{ module purge && module load Miniconda3/23.10.0-1 impi; } ||
    fail "The modules of --daskmpi-modules could not be loaded on $HOSTNAME." "module avail"

# Conda environment
command -v conda >/dev/null ||
    fail "There is no conda on $HOSTNAME to activate --daskmpi-conda-env with." \
        "name the module that brings it with --daskmpi-modules, or put it on PATH with --daskmpi-setup."
eval "$(conda shell.bash hook)"
conda activate digits ||
    fail "The environment of --daskmpi-conda-env could not be activated on $HOSTNAME." "conda env list"

# As --daskmpi-setup says
ulimit -n 4096
export OMP_NUM_THREADS=1

# For all ranks
export DASKMPI_LAUNCHED=1
export I_MPI_PMI_LIBRARY=/opt/slurm/lib64/libpmi2.so

# Each rank gets a folder of its own below the scratch folder of its node, and takes it away when it ends
in_scratch='base="/scratch/$SLURM_JOB_ID"
mkdir -p "$(dirname "$base")"
mkdir "$base" 2>/dev/null && touch "$base/.made-for-daskmpi"
TMPDIR=$(mktemp -d "$base/daskmpi-XXXXXX") || {
    printf "%s\n" "$base on $HOSTNAME cannot be used." \
        "  Next: --daskmpi-scratch with a folder that every node has." >&2
    # The other ranks would wait for this one.
    scancel "$SLURM_JOB_ID.$SLURM_STEP_ID"
    exit 1
}
export TMPDIR
trap : HUP INT TERM USR1 USR2
"$@"
code=$?
rm -rf "$TMPDIR"
if [ "$(ls -A "$base")" = .made-for-daskmpi ]; then
    rm "$base/.made-for-daskmpi" && rmdir "$base"
fi 2>/dev/null
exit $code
'

# A hint is for its own component; srun would take it for all components.
unset SLURM_HINT

# The run. srun's exit code is that of the rank that fared worst; rank 1 writes down how the run itself ended.
export DASKMPI_EXIT_CODE_FILE="$exit_code_file.run"
rm -f "$exit_code_file.run"
cd /home/ada/digits ||
    fail "The working directory cannot be entered on $HOSTNAME." "look at it there."
srun --mpi=pmi2 --het-group=0-1 --kill-on-bad-exit=0 --wait=0 --no-kill \
    bash -c "$in_scratch" in_scratch \
    python -m snakemake --executor daskmpi --jobs unlimited
code=$?
[ ! -s "$exit_code_file.run" ] || code=$(cat "$exit_code_file.run")

exit "$code"
