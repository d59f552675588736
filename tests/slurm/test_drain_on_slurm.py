"""Slurm's SIGUSR1, which goes to all processes of a run, lets running jobs end and the run after them."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from batch_runs import TWO, batch_of, recorded, submit
from harness import require, wait_until
from snakemake_executor_plugin_daskmpi.slurm.script.srun import Step, srun_command

if TYPE_CHECKING:
    from harness import Workflow
    from slurm_cluster import SlurmCluster

SNAKEFILE = """\
    rule all:
        input: expand("out/{n}", n=range(4))

    rule one:
        output: "out/{n}"
        threads: 2
        shell: "touch started.{wildcards.n}; while [ ! -e go ]; do sleep 0.1; done; touch {output}"
    """


def test_scancel_with_usr1_drains(workflow: Workflow, slurm: SlurmCluster):
    require("mpich")
    workflow.write("Snakefile", SNAKEFILE)
    batch = batch_of(workflow, srun=tuple(srun_command(Step("pmi2", (1, 2)))))
    run = submit(workflow, TWO, batch)
    wait_until(lambda: len(list(workflow.folder.glob("started.*"))) == 2, on_timeout=lambda: run.text)
    slurm.ask(*shlex.split(f"scancel --signal=USR1 {run.job_id}"))
    wait_until(lambda: "SIGUSR1 was received: no further jobs start" in run.text, on_timeout=lambda: run.text)
    workflow.write("go", "")
    wait_until(lambda: run.has_ended and not workflow.processes(), on_timeout=lambda: run.text)
    assert recorded(batch) == "75", run.text
    assert "2 of 5 jobs are done, 3 left." in run.text
    assert len(list(workflow.folder.glob("out/*"))) == 2, "bodies do not end by the signal"
    assert not workflow.incomplete()
    assert not workflow.locks()
