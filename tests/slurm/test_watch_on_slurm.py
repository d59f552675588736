"""``snakemake-daskmpi watch`` on a login node, while the run is in a Slurm job on others."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from batch_runs import TWO, batch_of, recorded, submit
from harness import require, wait_until
from mpis import MPIS

if TYPE_CHECKING:
    from harness import Workflow
    from slurm_cluster import SlurmCluster
    from terminal import Terminal

SNAKEFILE = """\
    rule all:
        input: expand("{n}.txt", n=range(5))

    rule slow:
        output: "{n}.txt"
        threads: 2
        resources: mem_mb=10
        shell: "hostname > started.{wildcards.n}; while [ ! -e go ]; do sleep 0.05; done; touch {output}"
    """


def test_watch_shows_the_jobs_of_a_hetjob_from_outside_until_it_has_ended(
    workflow: Workflow, slurm: SlurmCluster, terminal: Terminal
):
    require("mpich")
    workflow.write("Snakefile", SNAKEFILE)
    batch = batch_of(workflow)
    run = submit(workflow, TWO, replace(batch, exports=(*batch.exports, *MPIS["mpich"].environ.items())))
    wait_until(
        lambda: len([path for path in workflow.folder.glob("started.*") if path.read_text()]) == 2 or run.has_ended,
        on_timeout=lambda: run.text,
    )
    assert not run.has_ended, run.text
    nodes = {path.read_text().strip() for path in workflow.folder.glob("started.*")}
    terminal.type(shlex.join([sys.executable, "-m", "snakemake_executor_plugin_daskmpi", "watch"]), "Enter")
    text = terminal.shows("goes on", "2 running", "3 waiting", "component 1", *(f"({node})" for node in nodes))
    assert str(run.job_id) in text
    workflow.write("go", "")
    terminal.shows("has ended", "5 of 5 jobs done (100%)")
    wait_until(lambda: recorded(batch), on_timeout=lambda: run.text)
    assert recorded(batch) == "0", run.text
    run.ends_with(0)
    assert slurm.ended(run.job_id) is not None
