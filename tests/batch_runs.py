"""Batch scripts of ours, rendered and submitted as the launcher does, with what there is to look at afterwards.

Runs on: the machine of the tests.
Called by: the tests beside it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness import MARKER
from runs import SlurmRun
from snakemake_executor_plugin_daskmpi.slurm.plan import Component, Plan
from snakemake_executor_plugin_daskmpi.slurm.script.batch import Batch
from snakemake_executor_plugin_daskmpi.slurm.script.script import render_script, sbatch_arguments
from snakemake_executor_plugin_daskmpi.slurm.script.srun import SURVIVE

if TYPE_CHECKING:
    from harness import Workflow

HEAD = Component("head", (), n_tasks=2, cpus_per_task=1, mem_per_cpu_mb=512)
WORKERS = Component("workers", ("",), n_tasks=2, cpus_per_task=2, mem_per_cpu_mb=512)
#: Four ranks on two nodes or three.
TWO = Plan((HEAD, WORKERS), walltime_min=10)

SRUN = ("srun", "--mpi=pmi2", "--het-group=0-1", *SURVIVE)
SNAKEMAKE = (sys.executable, "-m", "snakemake", "--executor", "daskmpi", "--jobs", "unlimited", "--scheduler", "greedy")


def batch_of(workflow: Workflow, *arguments: str, **changes: object) -> Batch:
    """Return a batch that runs the workflow with MPICH over all components of TWO."""
    batch = Batch(
        job_name="of a test",
        workdir=str(workflow.folder),
        output="output.log",
        exit_code_file="exit-code",
        srun=SRUN,
        command=(*SNAKEMAKE, *arguments),
        exports=((MARKER, workflow.test_id),),
    )
    return replace(batch, **changes)


def submit(workflow: Workflow, plan: Plan, batch: Batch, **environ: str) -> SlurmRun:
    """Submit a batch from a folder that has nothing to do with it, which it must not need."""
    assert workflow.slurm, "the test needs the fixture slurm"
    script = workflow.tmpdir / "job.sh"
    script.write_text(render_script(plan, batch))
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["sbatch", "--parsable", *sbatch_arguments(batch), str(script)],
        cwd="/",
        env={**workflow.environ(), "PATH": path, **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"sbatch refused: {done.stderr}"
    return SlurmRun(int(done.stdout.partition(";")[0]), workflow.slurm, Path(batch.workdir, batch.output))


def recorded(batch: Batch) -> str:
    """Return what the script wrote down as its exit code, "" if nothing."""
    path = Path(batch.workdir, batch.exit_code_file)
    return path.read_text().strip() if path.exists() else ""
