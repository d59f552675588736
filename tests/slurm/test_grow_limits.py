"""What further allocations are for: walltimes that end, nodes that fail, and jobs that only another partition holds."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from batch_runs import batch_of, recorded, submit
from growing import events, joined, nothing_is_left, outputs, phases, wait_for_joined
from harness import require, wait_until
from mpis import MPIS
from required import at_night
from snakemake_executor_plugin_daskmpi.slurm.plan import Component, Plan
from snakemake_executor_plugin_daskmpi.slurm.script.srun import Step, srun_command

if TYPE_CHECKING:
    from harness import Workflow
    from slurm_cluster import SlurmCluster

#: Ranks 0 and 1 alone, or with a worker; on one node.
HEAD = Plan((Component("head", (), n_tasks=2, cpus_per_task=1, mem_per_cpu_mb=512),), walltime_min=60)


@pytest.mark.long
@pytest.mark.parametrize("seconds", [80, *at_night([600])])
def test_workers_whose_time_ends_are_replaced_and_no_job_notices(workflow: Workflow, slurm: SlurmCluster, seconds: int):
    """Workers have a walltime of a minute, Slurm's least; the head stays."""
    require("mpich")
    # Two workers at a time, each with a core.
    workflow.write(
        "Snakefile",
        f"""
        rule all:
            input: expand("out/{{n}}", n=range({seconds}))

        rule one:
            output: "out/{{n}}"
            threads: 4
            resources: mem_mb=100
            shell: "echo x >> ran.{{wildcards.n}}; sleep 1; touch {{output}}"
        """,
    )
    arguments = ("--daskmpi-grow", "2", "--daskmpi-grow-walltime", "1", "--daskmpi-max-workers", "1")
    batch = batch_of(workflow, *arguments, srun=tuple(srun_command(Step("pmi2", (1,)))))
    batch = replace(batch, exports=(*batch.exports, *MPIS["mpich"].environ.items()))
    run = submit(workflow, HEAD, batch)
    wait_until(lambda: recorded(batch), on_timeout=lambda: f"{phases(workflow)}\n{run.text}", timeout_s=10 * seconds)
    assert recorded(batch) == "0", f"{run.text}\n{outputs(workflow)}"
    assert Counter(len(workflow.lines(f"ran.{n}")) for n in range(seconds)) == {1: seconds}, "nothing runs twice"
    assert len(joined(workflow)) >= 2
    assert not events(workflow, "worker-lost")
    states = {slurm.ended(int(job)) for job in joined(workflow)}
    assert states == {("COMPLETED", 0)}, "nothing is ended by its walltime"
    nothing_is_left(slurm)


def test_when_the_node_of_a_further_job_is_lost_its_jobs_run_again_and_another_one_joins(
    workflow: Workflow, slurm: SlurmCluster
):
    workflow.write(
        "Snakefile",
        """
        rule all:
            input: expand("out/{n}", n=range(12))

        rule one:
            output: "out/{n}"
            threads: 8
            resources: mem_mb=100, runtime=1
            retries: 1
            shell:
                "echo $SLURMD_NODENAME >> ran.{wildcards.n}; "
                "while [ ! -e go ]; do sleep 0.1; done; sleep 1; touch {output}"
        """,
    )
    run = workflow.start("--daskmpi-cores", "1", "--daskmpi-grow", "2", "--daskmpi-max-workers", "1")
    workflow.killed = True
    wait_for_joined(workflow, run, number=2)
    wait_until(lambda: list(workflow.folder.glob("ran.*")) or run.has_ended, on_timeout=lambda: run.text)
    first = next(iter(workflow.folder.glob("ran.*"))).name
    wait_until(lambda: workflow.lines(first), on_timeout=lambda: run.text)
    (node,) = workflow.lines(first)
    slurm.scontrol("update", f"nodename={node}", "state=down", "reason=test")
    wait_until(lambda: events(workflow, "worker-lost") or run.has_ended, on_timeout=lambda: run.text)
    wait_for_joined(workflow, run, number=3)
    workflow.write("go", "")
    run.ends_with(0)
    assert "was lost" in run.text
    ran = workflow.lines(first)
    assert ran[0] == node
    assert len(ran) == 2
    nothing_is_left(slurm)


def test_jobs_that_need_gpus_wait_for_those_that_come_and_others_do_not(workflow: Workflow, slurm: SlurmCluster):
    workflow.write(
        "Snakefile",
        """
        rule all:
            input: "plain", "gpu"

        rule plain:
            output: "plain"
            resources: mem_mb=100
            shell: "touch {output}"

        rule gpu:
            output: "gpu"
            threads: 2
            resources: mem_mb=100, gpu=1, slurm_partition="gpu"
            shell: "echo $SLURMD_NODENAME $CUDA_VISIBLE_DEVICES > {output}"
        """,
    )
    slurm.ask("sbatch", "--output=/dev/null", "--partition=gpu", "--exclusive", "--wrap", "sleep 1000")
    run = workflow.start("--daskmpi-cores", "2", "--daskmpi-gpus", "", "--daskmpi-grow", "2")
    workflow.wait_for("plain", run=run)
    wait_until(
        lambda: run.has_ended or [r for e in events(workflow, "waiting") for r in e["reasons"]],
        on_timeout=lambda: run.text,
    )
    (reason,) = events(workflow, "waiting")[-1]["reasons"]
    assert reason["cause"] == "awaited"
    assert "GPU" in reason["text"]
    assert "Slurm job" in reason["text"]
    slurm.ask("scancel", "--name=wrap")
    run.ends_with(0)
    assert workflow.read("gpu").split() == ["g1", "0"]
    (job,) = joined(workflow)
    assert {e["partition"] for e in events(workflow, "allocation")} == {"gpu"}
    assert slurm.ended(int(job)) == ("COMPLETED", 0)


def test_what_no_node_of_the_site_holds_fails_with_the_reason_and_the_rest_goes_on(
    workflow: Workflow, slurm: SlurmCluster
):
    workflow.write(
        "Snakefile",
        """
        rule all:
            input: "plain", "monster"

        rule plain:
            output: "plain"
            resources: mem_mb=100
            shell: "touch {output}"

        rule monster:
            output: "monster"
            threads: 999
            resources: mem_mb=100
            shell: "touch {output}"
        """,
    )
    run = workflow.start("--daskmpi-cores", "2", "--daskmpi-grow", "2", "--keep-going")
    assert run.wait() == 1
    assert workflow.has("plain")
    assert "threads=999" in run.text
    assert "more than any node of partition" in run.text
    nothing_is_left(slurm)
