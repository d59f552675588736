"""A workflow that is longer than its Slurm job goes on in the next one, planned and submitted from within the job."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from harness import wait_until
from reported import reported_runs
from submissions import assert_no_trace, id_of, nodes_of, queued, submit

if TYPE_CHECKING:
    from harness import Workflow
    from slurm_cluster import SlurmCluster

#: One job at a time, each of some seconds; together more than Slurm's shortest walltime.
SNAKEFILE = """\
    rule all:
        input: expand("out/{n}", n=range(NUMBER))

    rule one:
        output: "out/{n}"
        threads: 4
        resources: mem_mb=100
        shell: "echo {wildcards.n} >> started; sleep SECONDS; echo {wildcards.n} >> ended; touch {output}"
    """

FLAGS = ("--daskmpi-max-components", "2", "--daskmpi-max-workers", "1", "--daskmpi-max-cores", "4")
FLAGS += ("--daskmpi-walltime", "1", "--daskmpi-resubmit")


def jobs_in(text: str) -> list[str]:
    """Return the ids of the chain's jobs, as the follower told of them."""
    return [id_of(text), *re.findall(r"its time was over; job (\d+) goes on", text)]


@pytest.mark.long
def test_a_workflow_longer_than_its_walltime_is_done_by_a_chain_of_hetjobs(workflow: Workflow, slurm: SlurmCluster):
    workflow.write("Snakefile", SNAKEFILE.replace("NUMBER", "8").replace("SECONDS", "7"))
    run = submit(workflow, *FLAGS)
    run.ends_with(0, timeout_s=280)
    chain = jobs_in(run.text)
    assert len(chain) > 1, run.text
    assert all(len(nodes_of(slurm, job_id)) == 2 for job_id in chain), "hetjobs"
    assert slurm.ended(int(chain[0])) == ("FAILED", 75)
    assert slurm.ended(int(chain[-1])) == ("COMPLETED", 0)
    assert sorted(workflow.lines("ended")) == [str(n) for n in range(8)], "nothing that had finished ran again"
    assert "daskmpi: The run ends before its workflow: the allocation ends at " in run.text
    assert_no_trace(workflow)
    told = reported_runs(workflow)
    assert [each["slurm_job"] for each in told] == chain
    assert {each["first_run"] for each in told} == {told[0]["run_id"]}
    assert sum(each["key"]["n_done"] for each in told) == 8
    assert [each["run_id"] for each in reported_runs(workflow, told[1]["run_id"])] == [told[1]["run_id"]]


@pytest.mark.nightly
def test_a_chain_that_makes_no_progress_ends_with_the_reason(workflow: Workflow, slurm: SlurmCluster):  # noqa: ARG001
    workflow.write("Snakefile", SNAKEFILE.replace("NUMBER", "1").replace("SECONDS", "1000"))
    run = submit(workflow, *FLAGS)
    run.ends_with(1, timeout_s=200)
    assert f"Slurm job {id_of(run.text)} made no progress, so no other follows it." in run.text, run.text
    assert "Next: --daskmpi-walltime with more than a job of the workflow takes" in run.text
    assert jobs_in(run.text) == [id_of(run.text)]
    assert_no_trace(workflow)


@pytest.mark.nightly
def test_ctrl_c_ends_the_chain(workflow: Workflow, slurm: SlurmCluster):
    workflow.write("Snakefile", SNAKEFILE.replace("NUMBER", "1").replace("SECONDS", "1000"))
    run = submit(workflow, *FLAGS)
    workflow.wait_for("started", run=run)
    run.interrupt()
    assert run.wait() != 0
    wait_until(lambda: not queued(slurm), on_timeout=slurm.squeue)
    assert f"Slurm job {id_of(run.text)} is cancelled." in run.text, run.text
    assert_no_trace(workflow)
