"""Batch scripts in front of a real sbatch, and run by a real Slurm."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from batch_runs import TWO, batch_of, recorded, submit
from batches import CASES, NASTY
from harness import require, wait_until
from snakemake_executor_plugin_daskmpi.slurm.script.script import render_script, sbatch_arguments

if TYPE_CHECKING:
    from pathlib import Path

    from harness import Workflow
    from slurm_cluster import SlurmCluster

SNAKEFILE = """\
import sys
from pathlib import Path

onstart:
    Path("arguments").write_text(sys.argv[-1])

rule all:
    input: expand("out/{i}", i=range(4))

rule one:
    output: "out/{i}"
    shell: "printf %s \\"$TMPDIR\\" > {output}"
"""


@pytest.mark.parametrize("name", CASES)
def test_sbatch_accepts_a_script(workflow: Workflow, slurm: SlurmCluster, name: str):  # noqa: ARG001
    done = subprocess.run(
        ["sbatch", "--test-only", *sbatch_arguments(CASES[name][1])],
        input=render_script(*CASES[name]),
        env=workflow.environ(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "to start at" in done.stderr


def test_a_run_survives_whatever_names_and_arguments_hold(workflow: Workflow, slurm: SlurmCluster, tmp_path: Path):  # noqa: ARG001
    require("mpich")
    folder = tmp_path / NASTY
    workflow.write(f"{NASTY}/Snakefile", SNAKEFILE)
    batch = batch_of(
        workflow,
        "--config",
        f"said={NASTY}",
        job_name=NASTY,
        workdir=str(folder),
        output=f".log {NASTY}",
        exit_code_file=f"exit code {NASTY}",
        setup='printf %s "$SLURM_JOB_NAME" >name\ncd /',
        scratch=f"{tmp_path}/scratch/$SLURM_JOB_ID {NASTY}",
    )
    run = submit(workflow, TWO, batch, HOME="$HOME")
    run.ends_with(0)
    assert "5 of 5 steps (100%) done" in run.text
    assert recorded(batch) == "0"
    assert (folder / "name").read_text() == NASTY
    assert (folder / "arguments").read_text() == f"said={NASTY}"
    scratches = {(folder / "out" / str(i)).read_text().rpartition("/")[0] for i in range(4)}
    assert scratches == {f"{tmp_path}/scratch/{run.job_id} {NASTY}"}
    assert list((tmp_path / "scratch").iterdir()) == []


def test_the_exit_code_of_a_failed_run_is_that_of_the_job(workflow: Workflow, slurm: SlurmCluster):  # noqa: ARG001
    require("mpich")
    workflow.write("Snakefile", "rule all:\n    shell: 'exit 9'\n")
    batch = batch_of(workflow)
    run = submit(workflow, TWO, batch)
    run.ends_with(1)
    assert (recorded(batch), run.state) == ("1", "FAILED")


def test_a_cancelled_run_ends_with_its_ranks_and_leaves_no_scratch(workflow: Workflow, slurm: SlurmCluster, tmp_path):
    program = 'touch "$TMPDIR/x" "started.$SLURM_PROCID"; exec sleep 300'
    scratch = f"{tmp_path}/scratch/$SLURM_JOB_ID"
    batch = batch_of(workflow, srun=("srun", "--het-group=0-1"), command=("bash", "-c", program), scratch=scratch)
    run = submit(workflow, TWO, batch)
    workflow.wait_for(*(f"started.{rank}" for rank in range(4)), run=run)
    slurm.ask("scancel", str(run.job_id))
    run.wait()
    assert run.state == "CANCELLED"
    wait_until(lambda: recorded(batch), on_timeout=lambda: run.text, timeout_s=60)
    assert recorded(batch) == "143"
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_node_without_scratch_ends_the_run_and_is_named(workflow: Workflow, slurm: SlurmCluster, tmp_path: Path):  # noqa: ARG001
    (tmp_path / "scratch").mkdir()
    # A file where the folder of the second component's node would be; the others wait for its rank.
    batch = batch_of(
        workflow,
        srun=("srun", "--het-group=0-1"),
        # Ends with its parent: Slurm without cgroups misses what a killed shell has forked in the same instant.
        command=("bash", "-c", "[ $PPID = 1 ] || exec tail --pid=$PPID -f /dev/null"),
        setup='touch "scratch/$(scontrol show hostnames "$SLURM_JOB_NODELIST_HET_GROUP_1" | head -n 1)"',
        scratch=f"{tmp_path}/scratch/$SLURMD_NODENAME/x",
    )
    run = submit(workflow, TWO, batch)
    assert run.wait() != 0
    assert recorded(batch) not in ("", "0")
    assert "Next: --daskmpi-scratch with a folder that every node has." in run.text
