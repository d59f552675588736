"""Programs that a body leaves running: those in its session are waited for, for a time; daemons are left alone."""

from __future__ import annotations

import contextlib
import signal
from typing import TYPE_CHECKING

import psutil
import pytest

from runs import wait_until

if TYPE_CHECKING:
    from harness import Workflow

ENDLESS = """
    rule all:
        input: "endless.txt", expand("after/{n}.txt", n=range(3))

    rule endless:
        output: "endless.txt"
        shell: "sleep 1234 & echo $! > {output}"

    rule after:
        output: "after/{n}.txt"
        shell: "touch {output}"
    """

LATE = """
    rule all:
        input: "late.txt"

    rule late:
        output: "late.txt"
        shell: "(sleep 4; echo late >> {output}) & echo early > {output}"
    """


def pid_of(workflow: Workflow, program: str) -> int:
    """Return the process of a program of the test, 0 if there is none."""
    for process in workflow.processes():
        with contextlib.suppress(psutil.Error):  # others come and go
            if program in " ".join(process.cmdline()):
                return process.pid
    return 0


@pytest.mark.parametrize("launcher", ["local", "mpich"])
def test_a_program_that_does_not_end_fails_its_job_and_nothing_else(workflow: Workflow, launcher: str):
    workflow.write("Snakefile", ENDLESS)
    run = workflow.start("--daskmpi-linger", "3", "--keep-going", "--daskmpi-cores", "1", launcher=launcher)
    run.ends_with(1)
    assert "rule endless (jobid 1) has ended, but sleep 1234 (process " in run.text
    assert "waiting at most 3 s (--daskmpi-linger)" in run.text
    assert "its body has ended, but sleep 1234 (process " in run.text
    assert "still ran 3 s later and was killed" in run.text
    assert "Next: end the command with 'wait'" in run.text
    assert not workflow.has("endless.txt"), "the output of a failed job"
    assert all(workflow.has(f"after/{n}.txt") for n in range(3))
    assert "was lost" not in run.text
    workflow.assert_nothing_left()


def test_a_program_that_ends_in_time_is_said_and_waited_for(workflow: Workflow):
    workflow.write("Snakefile", LATE)
    run = workflow.start()
    run.ends_with(0)
    assert workflow.lines("late.txt") == ["early", "late"]
    assert "rule late (jobid 1) has ended, but sleep 4 (process " in run.text, run.text
    assert "waiting at most 300 s (--daskmpi-linger)" in run.text


def test_nothing_is_waited_for_if_the_user_says_so(workflow: Workflow):
    workflow.write("Snakefile", LATE)
    run = workflow.start("--daskmpi-linger", "0")
    run.ends_with(1)
    assert "still ran 0 s later and was killed" in run.text


def test_a_daemon_is_neither_waited_for_nor_killed_before_the_run_ends(workflow: Workflow):
    workflow.write(
        "Snakefile",
        """
        rule all:
            input: "seen.txt"

        # What ssh-agent does.
        rule agent:
            output: "agent.txt"
            shell: "setsid -f sleep 4321 > /dev/null 2>&1; pgrep -f 'sleep 432[1]' > {output}"

        rule more:
            input: "agent.txt"
            output: "more.{n}.txt"
            shell: "touch {output}"

        rule see:
            input: "agent.txt", expand("more.{n}.txt", n=range(20))
            output: "seen.txt"
            shell: "kill -0 $(cat agent.txt) && echo alive > {output}"
        """,
    )
    run = workflow.start()
    run.ends_with(0)
    assert workflow.read("seen.txt") == "alive\n"
    assert "sleep 4321" not in run.text
    workflow.assert_nothing_left()


def test_what_a_failed_body_has_left_is_waited_for_too(workflow: Workflow):
    workflow.write(
        "Snakefile",
        """
        rule fails:
            output: "fails.txt"
            shell: "(sleep 1; touch written_after) & exit 3"
        """,
    )
    run = workflow.start()
    run.ends_with(1)
    assert workflow.has("written_after")
    assert "exit code 3" in run.text


def test_ctrl_c_ends_what_is_waited_for(workflow: Workflow):
    workflow.write("Snakefile", ENDLESS)
    run = workflow.start()
    wait_until(lambda: "has ended, but sleep 1234" in run.text or run.has_ended, on_timeout=lambda: run.text)
    assert pid_of(workflow, "sleep 1234")
    run.process.send_signal(signal.SIGINT)
    run.ends_with(1)
    workflow.assert_nothing_left()


def test_what_is_left_of_a_killed_process_is_killed(workflow: Workflow):
    workflow.write(
        "Snakefile",
        """
        import os, signal, subprocess

        rule killed:
            output: "killed.txt"
            run:
                subprocess.Popen(["sleep", "5678"])
                os.kill(os.getpid(), signal.SIGKILL)
        """,
    )
    run = workflow.start()
    run.ends_with(1)
    assert "SIGKILL" in run.text
    assert "has ended, but" not in run.text
    workflow.assert_nothing_left()
