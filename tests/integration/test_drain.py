"""SIGUSR1 and a first SIGTERM let running jobs end and start no others; plain Snakemake goes on later."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from harness import wait_until

if TYPE_CHECKING:
    from harness import Run, Workflow

#: One job at a time, on either worker; each of them has an output of an earlier run. And a local rule.
SNAKEFILE = """
    localrules: all, local

    rule all:
        input: expand("out/{n}", n=range(6)), "local.txt"

    rule one:
        input: "from.txt"
        output: "out/{n}"
        threads: workflow.cores
        shell: "echo {wildcards.n} >> ran; touch started.{wildcards.n}; while [ ! -e go ]; do sleep 0.1; done; "
               "cp {input} {output}"

    rule local:
        output: "local.txt"
        shell: "touch started.local; while [ ! -e go ]; do sleep 0.1; done; touch {output}"
"""

#: The last job of its workflow.
LAST = """
    rule all:
        output: "last.txt"
        shell: "touch started; while [ ! -e go ]; do sleep 0.1; done; touch {output}"
"""


def to_snakemake(workflow: Workflow, run: Run, number: int) -> None:  # noqa: ARG001 - the same for all ways
    run.process.send_signal(number)


def to_rank_1(workflow: Workflow, run: Run, number: int) -> None:  # noqa: ARG001
    workflow.rank(1).send_signal(number)


def to_snakemake_in_rank_1(workflow: Workflow, run: Run, number: int) -> None:  # noqa: ARG001
    [snakemake] = workflow.rank(1).children()
    snakemake.send_signal(number)


@pytest.mark.parametrize(
    ("launcher", "send", "number"),
    [
        ("local", to_snakemake, signal.SIGTERM),
        ("local", to_snakemake, signal.SIGUSR1),
        ("mpich", to_rank_1, signal.SIGTERM),
        # MPICH takes it from the process that is rank 1 to MPI.
        ("mpich", to_snakemake_in_rank_1, signal.SIGUSR1),
    ],
)
def test_running_jobs_end_and_no_others_start(workflow: Workflow, launcher: str, send, number: int):
    workflow.write("Snakefile", SNAKEFILE)
    for n in range(6):
        workflow.write(f"out/{n}", "old\n")
    workflow.write("from.txt", "new\n")
    cores = ("--cores", "2") if launcher == "local" else ("--cores", "2", "--daskmpi-cores", "2")
    run = workflow.start(*cores, launcher=launcher, ranks=3)
    workflow.wait_for("started.local", run=run)
    wait_until(lambda: workflow.lines("ran"), on_timeout=lambda: run.text)
    send(workflow, run, number)
    name = signal.Signals(number).name
    wait_until(lambda: f"daskmpi: {name} was received: no further jobs start" in run.text, on_timeout=lambda: run.text)
    workflow.write("go", "")
    run.ends_with(75)
    assert "2 of 8 jobs are done, 6 left." in run.text, run.text
    [ran] = workflow.lines("ran")
    assert not workflow.incomplete(), "what never started is not incomplete"
    assert [workflow.read(f"out/{n}") for n in range(6)] == ["new\n" if str(n) == ran else "old\n" for n in range(6)]
    assert "Traceback" not in run.text, run.text
    workflow.assert_nothing_left()
    workflow.run(*cores).ends_with(0)
    assert sorted(workflow.lines("ran")) == [str(n) for n in range(6)], "nothing that had finished ran again"


def test_a_run_that_drains_when_nothing_is_left_has_succeeded(workflow: Workflow):
    workflow.write("Snakefile", LAST)
    run = workflow.start()
    workflow.wait_for("started", run=run)
    run.process.send_signal(signal.SIGUSR1)
    wait_until(lambda: "no further jobs start, 1 running one may end" in run.text, on_timeout=lambda: run.text)
    workflow.write("go", "")
    run.ends_with(0)
    assert "The run ends before its workflow" not in run.text


def test_a_second_sigterm_ends_running_jobs(workflow: Workflow):
    workflow.write("Snakefile", LAST)
    run = workflow.start()
    workflow.wait_for("started", run=run)
    run.process.send_signal(signal.SIGTERM)
    wait_until(lambda: "A second SIGTERM ends them." in run.text, on_timeout=lambda: run.text)
    run.process.send_signal(signal.SIGTERM)
    assert run.wait(90) not in (0, 75)
    assert "Terminating processes on user request" in run.text
