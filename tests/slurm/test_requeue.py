"""A Slurm job that was killed hard and requeued comes up again without hand-work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness import require, wait_until
from mpis import MPIS
from reported import reported_runs

if TYPE_CHECKING:
    from harness import Workflow
    from slurm_cluster import SlurmCluster

SNAKEFILE = """\
    rule all:
        input: "first", "second"

    rule first:
        output: "first"
        shell: "echo first >> ran; touch {output}"

    rule second:
        input: "first"
        output: "second"
        shell: "echo half > {output}; touch started; while [ ! -e go ]; do sleep 0.1; done; echo whole > {output}"
    """

SCRIPT = """\
    #!/bin/bash
    #SBATCH --ntasks=4 --cpus-per-task=1 --mem-per-cpu=512 --requeue --open-mode=append
    snakemake --executor daskmpi --jobs unlimited
    """


@pytest.mark.nightly
def test_a_job_that_was_killed_hard_and_requeued_is_done(workflow: Workflow, slurm: SlurmCluster):
    require("mpich")
    workflow.write("Snakefile", SNAKEFILE)
    run = workflow.sbatch(SCRIPT, env=MPIS["mpich"].environ)
    workflow.wait_for("started", run=run)
    workflow.killed = True
    workflow.kill_all()
    # Completely: else it would be requeued only then, and wait for two minutes, as Slurm has it.
    wait_until(lambda: run.has_ended and not slurm.squeue(), on_timeout=slurm.squeue)
    assert workflow.locks()
    assert workflow.incomplete() == {"second"}
    workflow.write("go", "")
    slurm.scontrol("requeue", str(run.job_id))
    slurm.scontrol("update", f"JobId={run.job_id}", "StartTime=now")
    wait_until(lambda: slurm.ended(run.job_id) == ("COMPLETED", 0), on_timeout=lambda: f"{slurm.squeue()}\n{run.text}")
    assert "this Slurm job was requeued: jobs that were cut off run again." in run.text
    assert workflow.read("second") == "whole\n"
    assert workflow.lines("ran") == ["first"], "nothing that had finished ran again"
    assert not workflow.locks()
    lives = reported_runs(workflow)
    assert [life["slurm_job"] for life in lives] == [str(run.job_id)] * 2
    assert lives[-1]["key"]["n_done"] == 1
    assert {life["first_run"] for life in lives} == {lives[0]["run_id"]}
