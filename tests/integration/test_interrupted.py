"""Ctrl-C and two SIGTERMs end jobs with all that they started, and the same command goes on later."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from harness import wait_until
from mpis import MPIS
from required import at_night

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness import Run, Workflow

#: Jobs on two workers and a local rule on rank 1, each with children in the background, in another
#: session, and deaf to SIGTERM.
SNAKEFILE = """
    localrules: all, local

    rule all:
        input: "shell.txt", "run.txt", "local.txt"

    rule shell:
        output: "shell.txt"
        shell:
            "echo half > {output}; [ -e go ] || "
            "{{ sleep 1000 & setsid sleep 1000 & (trap '' TERM INT; touch shell.started; sleep 1000); }}; "
            "echo whole > {output}"

    rule run:
        output: "run.txt"
        run:
            import os, subprocess
            open(output[0], "w").write("half")
            if not os.path.exists("go"):
                subprocess.Popen(["sleep", "1000"], start_new_session=True)
                shell("sleep 1000 & touch run.started; sleep 1000")
            open(output[0], "w").write("whole\\n")

    rule local:
        output: "local.txt"
        shell: "echo half > {output}; [ -e go ] || {{ touch local.started; sleep 1000; }}; echo whole > {output}"
"""

#: Jobs that take their time when they are asked to end.
SLOW_TO_END = """
    rule all:
        input: "never.0", "never.1"

    rule one:
        output: "never.{n}"
        shell: "trap 'touch asked; sleep 2; touch had.time' TERM; touch started; while true; do sleep 0.1; done"
"""


def interrupt(workflow: Workflow, run: Run) -> None:  # noqa: ARG001 - the same for all ways
    """Do what a terminal does on Ctrl-C."""
    run.interrupt()


def terminate(workflow: Workflow, run: Run) -> None:  # noqa: ARG001
    """Do what ``kill`` does to the program that was started, twice: the first one lets jobs end."""
    _terminate_twice(run.process.send_signal, run)


def terminate_rank_1(workflow: Workflow, run: Run) -> None:
    """Do what a batch system does to a rank, twice."""
    _terminate_twice(workflow.rank(1).send_signal, run)


def _terminate_twice(send: Callable[[int], None], run: Run) -> None:
    send(signal.SIGTERM)
    # Open MPI's mpiexec ends all ranks on the first one, and shows nothing that they say after it.
    wait_until(
        lambda: "SIGTERM was received: no further jobs start" in run.text or run.has_ended, on_timeout=lambda: run.text
    )
    if not run.has_ended:
        send(signal.SIGTERM)


#: Where the launcher ends all ranks by SIGKILL at once, so that their scratch directories stay.
BY_SIGKILL = {("mpich", "terminate"), ("openmpi", "interrupt")}

WAYS = [
    ("local", interrupt),
    ("local", terminate),
    ("mpiexec", interrupt),
]
#: Each MPI's launcher has a way of its own.
WAYS_AT_NIGHT = [(mpi, end) for mpi in MPIS for end in (interrupt, terminate, terminate_rank_1)]


@pytest.mark.parametrize(("launcher", "end"), [*WAYS, *at_night(WAYS_AT_NIGHT)])
def test_an_interrupted_run_leaves_nothing_and_can_go_on(workflow: Workflow, launcher: str, end):
    workflow.write("Snakefile", SNAKEFILE)
    workers = ("--daskmpi-workers", "2") if launcher in ("local", "mpiexec") else ()
    run = workflow.start(*workers, launcher=launcher)
    workflow.wait_for("shell.started", "run.started", "local.started", run=run)
    end(workflow, run)
    assert run.wait(90) != 0
    assert "Traceback" not in run.text, run.text
    workflow.killed = (launcher, end.__name__) in BY_SIGKILL
    workflow.assert_nothing_left()
    workflow.write("go", "")
    run = workflow.start("--rerun-incomplete", *workers, launcher=launcher)
    run.ends_with(0)
    assert [workflow.read(f"{name}.txt") for name in ("shell", "run", "local")] == ["whole\n"] * 3


def test_a_second_ctrl_c_ends_jobs_at_once(workflow: Workflow):
    workflow.write("Snakefile", SLOW_TO_END)
    run = workflow.start("--daskmpi-cores", "1")
    workflow.wait_for("started", run=run)
    run.interrupt()
    workflow.wait_for("asked", run=run)
    run.interrupt()
    assert run.wait(90) != 0
    assert not workflow.has("had.time"), "a first Ctrl-C alone leaves it more than two seconds"
    assert len(workflow.incomplete()) == 1, "the other one never started"
    assert "Traceback" not in run.text, run.text


@pytest.mark.parametrize("launcher", ["local", *at_night(["mpich"])])
def test_more_ctrl_c_during_the_end_do_no_harm(workflow: Workflow, launcher: str):
    workflow.write("Snakefile", SNAKEFILE)
    run = workflow.start("--daskmpi-workers", "2", launcher=launcher)
    workflow.wait_for("shell.started", "run.started", "local.started", run=run)
    run.interrupt()
    wait_until(lambda: "Terminating processes on user request" in run.text, on_timeout=lambda: run.text)
    run.interrupt()
    run.process.send_signal(signal.SIGTERM)
    # MPICH's mpiexec answers the second one by SIGKILL to all ranks, which then cannot clean up, and
    # by an exit code that is now and then 0 (an assertion of its own fails in its proxy).
    workflow.killed = launcher == "mpich"
    assert run.wait(90) != 0 or launcher == "mpich", run.text
    assert "Traceback" not in run.text, run.text


@pytest.mark.parametrize("launcher", ["local", *at_night(["mpich"])])
def test_ctrl_c_while_the_world_starts_ends_it(workflow: Workflow, launcher: str):
    workflow.write("Snakefile", 'open("parsed", "w").close()\n')
    workflow.write("Snakefile", workflow.read("Snakefile") + "rule all:\n    output: 'a'\n    shell: 'sleep 1000'\n")
    run = workflow.start("--daskmpi-workers", "2", launcher=launcher)
    workflow.wait_for("parsed", run=run)
    run.interrupt()
    assert run.wait(90) != 0


# Snakemake itself drops what is raised while it writes to the terminal; the header of a run takes it a while.
DROPPED = """
import os, signal, sys
from snakemake.logging import logger

class Slow:
    __hash__ = object.__hash__

    def __eq__(self, other):
        if sys._getframe(1).f_code.co_name == "emit":
            os.kill(os.getpid(), signal.SIGINT)
        return False

logger.info("slow", extra={"event": Slow()})
open("parsed", "w").close()
rule all:
    output: "a"
    shell: "touch a"
"""


def test_ctrl_c_that_snakemake_drops_while_it_logs_is_not_lost(workflow: Workflow):
    workflow.write("Snakefile", DROPPED)
    run = workflow.start("--daskmpi-workers", "2", launcher="local")
    assert run.wait(90) != 0, run.text
    assert workflow.has("parsed"), "it was raised there, not dropped"
    assert not workflow.has("a")
