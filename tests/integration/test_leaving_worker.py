"""A worker with an end of its own takes jobs, drains, and leaves before the run ends; nothing is lost or run twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from joining import TELLS_ADDRESS, events_of, join
from runs import wait_until

if TYPE_CHECKING:
    from harness import Workflow

#: Jobs of a third of a second each, and one at the end that the test lets end.
SNAKEFILE = """
    rule all:
        input: expand("out/{n}", n=range(60)), "last"

    rule short:
        output: "out/{n}"
        shell: "echo ran >> ran.{wildcards.n}; sleep 0.3; touch {output}"

    rule last:
        input: expand("out/{n}", n=range(60))
        output: "last"
        shell: "while [ ! -e go ]; do sleep 0.05; done; touch {output}"
"""

#: A job that never ends where it starts first, and does where it starts again.
CUT_OFF = """
    rule all:
        input: "long", "blocks"

    rule blocks:
        output: "blocks"
        priority: 1
        shell: "touch blocking; while [ ! -e go ]; do sleep 0.05; done; touch {output}"

    rule long:
        output: "long"
        shell: "echo $$ >> begun; echo half > {output}; [ -e go ] || sleep 1000; echo whole > {output}"
"""


def test_a_worker_drains_and_leaves_before_its_allocation_ends(workflow: Workflow):
    workflow.write("Snakefile", SNAKEFILE + TELLS_ADDRESS)
    run = workflow.start("--daskmpi-insecure", "--daskmpi-cores", "1")
    with join(workflow, run, "rank 45.0", ends_in_s=15.0) as worker:
        assert worker.wait(60) == 0, run.text
        workflow.write("go", "")
    run.ends_with(0)
    assert [workflow.lines(f"ran.{n}") for n in range(60)] == [["ran"]] * 60
    assert "worker rank 45.0 takes no further jobs, and leaves: Slurm job 45 ends at" in run.text
    assert "lost" not in run.text
    events = events_of(workflow)
    (joined,) = [e for e in events if e["event"] == "worker" and e["worker"] == "rank 45.0"]
    assert joined["allocation"] == "45"
    assert 5 < joined["ends_at"] - joined["time"] < 15
    (left,) = [e for e in events if e["event"] == "worker-left"]
    assert left["worker"] == "rank 45.0"
    there = [e for e in events if e["event"] == "ended" and e["worker"] == "rank 45.0"]
    assert len(there) > 1, "it has worked"
    assert all(e["outcome"] == "ok" for e in events if e["event"] == "ended")
    (log,) = workflow.folder.glob(".snakemake/daskmpi/*/rank-45.0.log")
    assert "rank 45.0 leaves, as rank 1 says" in log.read_text()
    workflow.assert_nothing_left()


def test_a_job_that_still_runs_at_its_workers_end_runs_again_elsewhere(workflow: Workflow):
    workflow.write("Snakefile", CUT_OFF + TELLS_ADDRESS)
    run = workflow.start("--daskmpi-insecure", "--daskmpi-cores", "1")
    workflow.wait_for("blocking", run=run)
    with join(workflow, run, "rank 45.0", ends_in_s=10.0) as worker:
        wait_until(lambda: workflow.lines("begun") or run.has_ended, on_timeout=lambda: run.text)
        assert worker.wait(60) == 0, run.text
        workflow.write("go", "")
    run.ends_with(0)
    assert len(workflow.lines("begun")) == 2
    assert workflow.read("long") == "whole\n"
    assert run.text.count("what still runs there is ended, and starts anew elsewhere: rule long") == 1
    assert "Error in rule" not in run.text
    assert "Trying to restart" not in run.text
    ends = [e["outcome"] for e in events_of(workflow) if e["event"] == "ended"]
    assert sorted(ends) == ["ok", "ok", "timed-out"]
    workflow.assert_nothing_left()
