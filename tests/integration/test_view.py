"""``snakemake-daskmpi status`` and ``watch``: while a run goes on, when it has ended, and when it broke off."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from harness import wait_until

if TYPE_CHECKING:
    from harness import Run, Workflow
    from terminal import Terminal

PROGRAM = [sys.executable, "-m", "snakemake_executor_plugin_daskmpi"]

SNAKEFILE = """
    rule all:
        input: expand("out/{n}", n=range(5)), "last"

    rule one:
        output: "out/{n}"
        shell: "touch started.{wildcards.n}; while [ ! -e go ]; do sleep 0.05; done; touch {output}"

    rule last:
        input: expand("out/{n}", n=range(5))
        output: "last"
        shell: "touch {output}"
"""


def started(workflow: Workflow) -> Run:
    """Start a run of which two jobs run and three wait."""
    workflow.write("Snakefile", SNAKEFILE)
    run = workflow.start("--daskmpi-workers", "2", "--daskmpi-cores", "1")
    wait_until(lambda: len(list(workflow.folder.glob("started.*"))) == 2 or run.has_ended, on_timeout=lambda: run.text)
    return run


def status(workflow: Workflow, *args: str, code: int = 0) -> str:
    """Return what status says."""
    command = [*PROGRAM, "status", *args]
    done = subprocess.run(
        command, check=False, cwd=workflow.folder, env=workflow.environ(), capture_output=True, text=True
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_run_is_shown_while_it_goes_on_and_when_it_has_ended(workflow: Workflow):
    run = started(workflow)
    assert "daskmpi: snakemake-daskmpi watch, in another terminal here, shows what runs where." in run.text
    text = wait_until(lambda: _if_has(status(workflow), "3 waiting: "), on_timeout=lambda: status(workflow))
    assert "goes on" in text
    assert "0 of 6 jobs done (0%), 2 running, 3 waiting for workers, 1 for other jobs" in text
    assert "3 waiting: it needs 1 core, and rank 2, which is nearest, has none free: the rest is taken by" in text
    assert all(f"rank {number} (" in text for number in (2, 3))
    assert "\x1b" not in text, "there is no terminal"
    workflow.write("go", "")
    run.ends_with(0)
    text = status(workflow, "-d", ".", "T")
    assert "has ended" in text
    assert "6 of 6 jobs done (100%)" in text


def _if_has(text: str, words: str) -> str:
    return text if words in text else ""


def test_a_run_whose_rank_1_was_killed_broke_off(workflow: Workflow):
    run = started(workflow)
    workflow.killed = True
    os.kill(run.process.pid, signal.SIGKILL)
    run.wait()
    text = status(workflow)
    assert "broke off" in text
    assert "Seen: its record has no end, and rank 1 (process " in text
    assert "Next: the same command of snakemake goes on, with --rerun-incomplete if it asks for it" in text
    assert "0 of 6 jobs done (0%), 6 left" in text


def test_without_a_terminal_watch_says_what_to_do_instead(workflow: Workflow):
    started(workflow)
    workflow.write("go", "")
    workflow.runs[-1].ends_with(0)
    command = [*PROGRAM, "watch"]
    done = subprocess.run(
        command, check=False, cwd=workflow.folder, env=workflow.environ(), capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "Next: snakemake-daskmpi status" in done.stderr


def test_watch_shows_a_run_until_it_has_ended(workflow: Workflow, terminal: Terminal):
    run = started(workflow)
    terminal.type(shlex.join([*PROGRAM, "watch"]) + '; echo "code $?"', "Enter")
    terminal.shows("goes on", "2 running", "rank 2 (", "3 waiting: ")
    terminal.resize(50, 12)
    terminal.shows("goes on", "2 running")
    terminal.resize(90, 30)
    workflow.write("go", "")
    text = terminal.shows("has ended", "6 of 6 jobs done (100%)", "code 0")
    assert "goes on" not in text
    run.ends_with(0)


def test_ctrl_c_leaves_a_run_alone_and_restores_the_terminal(workflow: Workflow, terminal: Terminal):
    run = started(workflow)
    terminal.type("echo what was there before", "Enter")
    terminal.shows("what was there before")
    terminal.type(shlex.join([*PROGRAM, "watch"]) + '; echo "code $?"', "Enter")
    text = terminal.shows("goes on", "2 running")
    assert "what was there before" not in text
    terminal.type("C-c")
    text = terminal.shows("what was there before", "code 130")
    assert "2 running" not in text
    assert "Traceback" not in text
    terminal.type("echo still $((40 + 2))", "Enter")
    terminal.shows("still 42")
    assert not run.has_ended
    workflow.write("go", "")
    run.ends_with(0)


def test_q_leaves_a_run_alone_and_restores_the_terminal(workflow: Workflow, terminal: Terminal):
    run = started(workflow)
    terminal.type(shlex.join([*PROGRAM, "watch"]) + '; echo "code $?"', "Enter")
    terminal.shows("goes on", "2 running")
    terminal.type("q")
    assert "2 running" not in terminal.shows("code 0")
    terminal.type("echo still $((40 + 2))", "Enter")
    terminal.shows("echo still", "still 42")
    assert not run.has_ended
    workflow.write("go", "")
    run.ends_with(0)


def test_watch_says_that_no_run_goes_on_and_shows_the_last_one(workflow: Workflow, terminal: Terminal):
    run = started(workflow)
    workflow.write("go", "")
    run.ends_with(0)
    terminal.type(shlex.join([*PROGRAM, "watch"]) + '; echo "code $?"', "Enter")
    terminal.shows("No run goes on here now. The last one:", "has ended", "6 of 6 jobs done (100%)", "code 0")
