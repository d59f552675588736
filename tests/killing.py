"""A run in which something is killed while jobs run, and what must be true of it afterwards.

Called by: the tests test_killed_*, which differ in whom they kill.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psutil

from harness import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness import Run, Workflow

#: Two workers of two cores run the early jobs, then the four that wait for a file, then the late ones.
SNAKEFILE = """
    rule all:
        input: expand("early/{n}", n=range(6)), expand("slow/{n}", n=range(4)), expand("late/{n}", n=range(6))

    rule early:
        output: "early/{n}"
        priority: 2
        shell: "echo ran >> early.{wildcards.n}; touch {output}"

    rule slow:
        output: "slow/{n}"
        input: expand("early/{n}", n=range(6))
        priority: 1
        shell:
            "echo begun > {output}; echo $$ >> slow.{wildcards.n}; "
            "while [ ! -e go ]; do sleep 0.05; done; echo ended >> {output}"

    rule late:
        output: "late/{n}"
        input: expand("early/{n}", n=range(6))
        shell: "echo ran >> late.{wildcards.n}; touch {output}"
"""

#: A job on each of two workers that waits for a file.
WAITING = """
    rule all:
        input: "out/0.txt", "out/1.txt"

    rule wait:
        output: "out/{n}.txt"
        shell: "touch started.{wildcards.n}; while [ ! -e go ]; do sleep 0.05; done; touch {output}"
"""


def start(workflow: Workflow, *args: str, **options: Any) -> Run:
    """Start the workflow, and return when all four slow jobs run."""
    workflow.write("Snakefile", SNAKEFILE)
    run = workflow.start("--keep-going", "--daskmpi-workers", "2", "--daskmpi-cores", "2", *args, **options)
    workflow.wait_for(*(f"slow.{n}" for n in range(4)), run=run, filled=True)
    return run


def ancestors(workflow: Workflow, n: int) -> list[psutil.Process]:
    """Return who is above the shell of a slow job: its body, its forkserver, its worker, ..."""
    return psutil.Process(int(workflow.lines(f"slow.{n}")[0])).parents()


def slow_jobs_below(workflow: Workflow, process: psutil.Process) -> set[int]:
    """Return which of the slow jobs run below a process."""
    return {n for n in range(4) if process in ancestors(workflow, n)}


def wait_for_end(workflow: Workflow, process: psutil.Process, run: Run) -> None:
    """Wait for the end of a killed process, a zombie counting as ended."""

    def has_ended() -> bool:
        try:
            return process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    wait_until(
        has_ended,
        on_timeout=lambda: f"{process} of {workflow.folder} does not end:\n{run.text}",
    )


def wait_for_losses(run: Run, lost: set[int]) -> None:
    """Wait until the run has told of each lost job: told to go on before, one that still runs would end well."""
    wait_until(
        lambda: run.text.count("Next: ") >= len(lost),
        on_timeout=lambda: f"{lost} were lost, and the run says:\n{run.text}",
    )


def check_end(workflow: Workflow, run: Run, lost: set[int], retries: int, code: int | None = None) -> None:
    """Let the slow jobs go on, and check that those that were lost are the only ones that suffered."""
    workflow.write("go", "")
    run.ends_with((0 if retries else 1) if code is None else code)
    for n in range(6):
        assert workflow.lines(f"early.{n}") == ["ran"], "a finished job never runs again"
        assert workflow.lines(f"late.{n}") == ["ran"], "the others run, and run once"
    for n in range(4):
        times = 2 if n in lost and retries else 1
        assert len(workflow.lines(f"slow.{n}")) == times, f"slow.{n} of {lost} lost"
        finished = retries or n not in lost
        assert workflow.has(f"slow/{n}") == finished
        assert not finished or workflow.read(f"slow/{n}") == "begun\nended\n"
        said = [line for line in run.text.splitlines() if "Rule slow (jobid" in line and f"n={n})" in line]
        assert len(said) == (1 if n in lost else 0), f"{said} in\n{run.text}"
    assert run.text.count("Next: ") == len(lost)
    assert workflow.incomplete() == set()


def kill_and_check(
    workflow: Workflow, whom: Callable[[Workflow], psutil.Process], retries: int, launcher: str = "local"
) -> Run:
    """Kill a process of a run, and check that just the slow jobs below it are lost."""
    run = start(workflow, "--retries", str(retries), launcher=launcher)
    workflow.killed = True
    victim = whom(workflow)
    lost = slow_jobs_below(workflow, victim)
    victim.kill()
    wait_for_end(workflow, victim, run)
    wait_for_losses(run, lost)
    check_end(workflow, run, lost, retries)
    return run
