"""Plans and batches whose whole scripts are known: ``golden/<name>.sl``.

Runs on: the machine of the tests.
Called by: test_script, which compares them; tests/slurm/test_script_on_slurm, which shows them to a real sbatch.
"""

from __future__ import annotations

from dataclasses import replace

from snakemake_executor_plugin_daskmpi.slurm.plan import Component, Plan
from snakemake_executor_plugin_daskmpi.slurm.script.batch import Batch
from snakemake_executor_plugin_daskmpi.slurm.script.container import Container
from snakemake_executor_plugin_daskmpi.slurm.script.srun import SURVIVE

HEAD = Component("head", (), n_tasks=2, cpus_per_task=1, mem_per_cpu_mb=1024)
BIG = Component("big", ("", "big"), n_tasks=3, cpus_per_task=4, mem_per_cpu_mb=3072)
GPU = Component(
    "gpu-a100",
    ("gpu-a100",),
    n_tasks=1,
    cpus_per_task=4,
    mem_per_cpu_mb=2048,
    gpus_per_task=2,
    gpu_model="a100",
    partition="gpu",
    constraint="lab&a100",
    extra=("--exclude", "n4", "--comment=short of memory"),
)

ALIKE = Plan(
    (Component("all", ("",), n_tasks=6, cpus_per_task=1, mem_per_cpu_mb=1024),),
    walltime_min=60,
    why="One component: all jobs are alike.",
)
ALONE = Plan(
    (replace(HEAD, multithread=True),),
    walltime_min=240,
    why="With --daskmpi-grow: ranks 0 and 1 alone, and workers that come and go.",
    further=(BIG,),
)
TWO = Plan((HEAD, BIG), walltime_min=90, why="Two components: ranks 0 and 1 need little.")
THREE = Plan((HEAD, BIG, GPU), walltime_min=3000, why="Three components.", notes=("2 rules do not say their runtime.",))

PLAIN = Batch(
    job_name="snakemake-digits",
    workdir="/home/ada/digits",
    output=".snakemake/daskmpi/1.log",
    exit_code_file=".snakemake/daskmpi/1.exit",
    srun=("srun", "--mpi=pmi2", *SURVIVE),
    command=("/home/ada/venv/bin/python", "-m", "snakemake", "--executor", "daskmpi", "--jobs", "unlimited"),
)
HET = replace(PLAIN, srun=("srun", "--mpi=pmi2", "--het-group=0-1", *SURVIVE))

#: What a folder, an argument or a setting may hold.
NASTY = 'it\'s "my" $HOME `id` 100%j \\ é #1\nnew'

EVERYTHING_PLAN = Plan(
    (
        replace(HEAD, account="nn1", partition="main", qos="normal", multithread=True, extra=("--nice=5",)),
        replace(BIG, n_tasks=2, account="nn1", partition="gpu", qos="normal", gres="gpu:1", constraint="a100"),
    ),
    walltime_min=90,
    why="Two components: ranks 0 and 1 need little.",
)
EVERYTHING = replace(
    HET,
    exports=(("DASKMPI_LAUNCHED", "1"), ("I_MPI_PMI_LIBRARY", "/opt/slurm/lib64/libpmi2.so")),
    mail_user="ada@example.org",
    mail_type="ALL",
    modules=("Miniconda3/23.10.0-1", "impi"),
    conda_env="digits",
    setup="ulimit -n 4096\nexport OMP_NUM_THREADS=1",
    scratch="/scratch/$SLURM_JOB_ID",
)

APPTAINER = Container(
    "apptainer", "/home/ada/image.sif", "/home/ada/digits", ("/data:/mnt",), "/opt/slurm/lib64/libpmi2.so"
)
CH_RUN = replace(APPTAINER, runtime="ch-run", image="/home/ada/image")

CASES: dict[str, tuple[Plan, Batch]] = {
    "homogeneous": (ALIKE, PLAIN),
    "alone": (ALONE, replace(PLAIN, command=(*PLAIN.command, "--daskmpi-grow=4", "--daskmpi-components="))),
    "two_components": (TWO, HET),
    "three_components": (THREE, replace(HET, srun=("srun", "--mpi=pmi2", "--het-group=0-2"))),
    "everything": (EVERYTHING_PLAN, EVERYTHING),
    "nasty": (
        replace(TWO, why=f"Because {NASTY}"),
        replace(
            HET,
            job_name=NASTY,
            workdir=f"/home/ada/{NASTY}",
            command=(*PLAIN.command, "--config", f"said={NASTY}"),
            exports=(("SAID", NASTY),),
            scratch=f"/scratch/$SLURM_JOB_ID/{NASTY}",
        ),
    ),
    "resubmits": (TWO, replace(HET, resubmits=(*PLAIN.command, "--config", "who=it's me"))),
    "apptainer": (TWO, replace(HET, container=APPTAINER, scratch="/scratch")),
    "singularity": (ALIKE, replace(PLAIN, container=replace(APPTAINER, runtime="singularity"))),
    "ch_run": (TWO, replace(HET, container=CH_RUN, scratch="/scratch")),
}
