"""A world of MPI ranks forms, runs a workflow, and ends with rank 1's exit code."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from harness import require, wait_until
from killing import WAITING
from mpis import MPIS, SAMPLED
from required import at_night

if TYPE_CHECKING:
    from harness import Workflow

#: Twelve jobs that say which forkserver they were forked from, and one that needs them all.
SNAKEFILE = """
    import os, time

    rule all:
        input: "count.txt"

    rule one:
        output: "out/{n}.txt"
        run:
            time.sleep(0.1)
            with open(output[0], "w") as file:
                print(os.getppid(), file=file)

    rule count:
        input: expand("out/{n}.txt", n=range(12))
        output: "count.txt"
        shell: "cat {input} | wc -l > {output}"
"""


@pytest.mark.parametrize("mpi", MPIS)
def test_a_world_of_four_ranks_runs_a_workflow_and_only_rank_1_speaks(workflow: Workflow, mpi: str):
    workflow.write("Snakefile", SNAKEFILE)
    run = workflow.start(launcher=mpi)
    run.ends_with(0)
    assert workflow.read("count.txt").strip() == "12"
    forkservers = {workflow.read(f"out/{n}.txt").strip() for n in range(12)}
    assert len(forkservers) == 2, "both workers run jobs"
    for headline in ("Building DAG of jobs...", "Job stats:", "13 of 14 steps", "14 of 14 steps", "daskmpi: 4 ranks"):
        assert run.text.count(headline) == 1, f"{headline!r} in:\n{run.text}"
    for chatter in ("distributed", "Traceback", "tornado", "PMI", "MPI_"):
        assert chatter not in run.text
    logs = {path.name for path in workflow.folder.glob(".snakemake/daskmpi/*/rank-*.log")}
    assert logs == {f"rank-{rank}.log" for rank in range(4)}


@pytest.mark.parametrize("mpi", at_night(MPIS))
def test_a_world_ends_with_the_exit_code_of_a_snakefile_that_exits(workflow: Workflow, mpi: str):
    workflow.write("Snakefile", "import sys; sys.exit(3)\n")
    workflow.start(launcher=mpi).ends_with(3)


@pytest.mark.parametrize("mpi", SAMPLED)
def test_a_world_ends_with_1_if_a_job_failed(workflow: Workflow, mpi: str):
    workflow.write("Snakefile", "rule all:\n    output: 'a'\n    shell: 'exit 4'\n")
    run = workflow.start(launcher=mpi)
    run.ends_with(1)
    assert "exit code 4" in run.text


#: Ways for Snakemake to end: a Snakefile, arguments, the exit code, and what is said.
ENDS = {
    "os._exit": ("import os; os._exit(5)\n", (), 5, ""),
    "syntax error": ("rule all:\n  output: 'a'\n  shell 'typo'\n", (), 1, "SyntaxError"),
    "exception in the Snakefile": ("raise ValueError('no such sample')\n", (), 1, "no such sample"),
    "missing input": ("rule all:\n  input: 'nowhere'\n", (), 1, "MissingInputException"),
    "dry-run": ("rule all:\n  output: 'a'\n  shell: 'touch a'\n", ("-n",), 0, "dry-run"),
    "nothing to do": ("rule all:\n  output: 'Snakefile'\n  shell: ''\n", (), 0, "Nothing to be done"),
}


@pytest.mark.parametrize("how", ["os._exit", *at_night(name for name in ENDS if name != "os._exit")])
def test_a_world_ends_with_rank_1s_exit_code(workflow: Workflow, how: str):
    snakefile, arguments, code, text = ENDS[how]
    workflow.write("Snakefile", snakefile)
    run = workflow.start(*arguments, launcher="mpich")
    run.ends_with(code)
    assert text in run.text
    assert run.text.count(text) <= 2, "only rank 1 says it (Snakemake says some things twice itself)"
    assert not workflow.has("a")


@pytest.mark.nightly
def test_lint_in_a_world_ends_as_it_does_without_one(workflow: Workflow):
    workflow.write("Snakefile", "rule all:\n    output: 'a'\n    shell: 'touch a'\n")
    outside, inside = (workflow.start("--lint", launcher=launcher) for launcher in ("auto", "mpich"))
    inside.ends_with(outside.wait())
    assert inside.text.count("No log directive") == 1


def test_a_world_of_two_ranks_is_refused_once_with_a_next_step(workflow: Workflow):
    workflow.write("Snakefile", SNAKEFILE)
    run = workflow.start(launcher="mpich", ranks=2)
    assert run.wait() != 0
    assert run.text.count("The MPI world has 2 ranks; daskmpi needs at least 3") == 1
    assert run.text.count("Next: mpiexec -n 3") == 1
    assert "Traceback" not in run.text
    assert not workflow.has("out")


def test_the_mpiexec_of_another_mpi_library_is_found_out(workflow: Workflow):
    require("openmpi")
    workflow.write("Snakefile", SNAKEFILE)
    run = workflow.start(launcher="mpich", env=MPIS["openmpi"].environ)
    assert run.wait() != 0
    assert run.text.count("MPI sees 1 rank where 4 were started.") == 1
    assert run.text.count("Next:") == 1
    assert not workflow.has("out")


@pytest.mark.parametrize("launcher", ["local", *at_night(["mpich"])])
def test_a_run_leaves_nothing_where_temporary_files_go(workflow: Workflow, launcher: str):
    workflow.write("Snakefile", SNAKEFILE)
    workflow.start(launcher=launcher).ends_with(0)
    assert not list(workflow.tmpdir.iterdir())


def test_a_second_snakemake_in_the_same_folder_is_refused_by_the_lock(workflow: Workflow):
    workflow.write("Snakefile", WAITING)
    first = workflow.start(launcher="local")
    workflow.wait_for("started.0", run=first)
    second = workflow.start(launcher="local")
    assert second.wait() != 0
    assert "Directory cannot be locked" in second.text
    workflow.write("go", "")
    first.ends_with(0)


def test_a_scheduler_that_ends_is_named_and_ends_a_local_world(workflow: Workflow):
    workflow.write("Snakefile", WAITING)
    run = workflow.start(launcher="local")
    workflow.wait_for("started.0", run=run)
    workflow.rank(0).kill()
    assert run.wait() != 0
    assert "The Dask scheduler is gone" in run.text
    assert "Next: " in run.text


@pytest.mark.nightly
def test_a_world_needs_no_home_and_no_terminal(workflow: Workflow):
    workflow.write("Snakefile", SNAKEFILE)
    run = workflow.start(launcher="mpich", env={"HOME": "/nonexistent", "TERM": "dumb"})
    run.ends_with(0)
    wait_until(lambda: not workflow.processes(), on_timeout=lambda: run.text, timeout_s=30)
    assert os.listdir(workflow.folder / "out")


def test_an_alarm_set_before_the_ranks_part_is_rank_ones_alone(workflow: Workflow):
    # As a test runner does that limits the time of a test, in whose process each rank enters the world.
    program = """
        import signal, sys, time

        signal.signal(signal.SIGALRM, lambda *_: print("an alarm", flush=True))
        signal.setitimer(signal.ITIMER_REAL, 2)
        from snakemake_executor_plugin_daskmpi import ExecutorSettings

        ExecutorSettings()
        deadline = time.monotonic() + 60
        while signal.getitimer(signal.ITIMER_REAL)[0] and time.monotonic() < deadline:
            signal.sigtimedwait([signal.SIGUSR2], 0.1)
        print("rank 1 goes on", flush=True)
    """
    require("mpich")
    workflow.write("program.py", program)
    command = [str(MPIS["mpich"].mpiexec), "-n", "3", sys.executable, "program.py"]
    run = workflow.start_command(command, {**workflow.environ(), **MPIS["mpich"].environ})
    run.ends_with(0)
    assert run.text.count("an alarm") == 1, run.text
    assert run.text.count("rank 1 goes on") == 1
