"""A failed job says all that its user needs, and leaves the worker as it was."""

from __future__ import annotations

import os
import signal
import socket
from typing import TYPE_CHECKING

import pytest

from harness import REFERENCE
from runs import wait_until

if TYPE_CHECKING:
    from harness import Workflow

#: Jobs that fail in many ways, each followed by one that finds the worker usable.
FAILING = """
    import os, signal, sys, threading, time

    WAYS = ["code", "shell_signal", "raises", "exits", "segfault", "os_exit", "own_kill"]

    rule all:
        input: expand("{way}.{sample}.txt", way=WAYS, sample="s1"), expand("fine.{n}.txt", n=range(3))

    rule code:
        output: "code.{sample}.txt"
        shell: "touch {output}; echo first words; for i in $(seq 30); do echo line $i; done; exit 7"

    rule shell_signal:
        output: "shell_signal.{sample}.txt"
        shell: "kill -TERM $$"

    rule raises:
        output: "raises.{sample}.txt"
        run:
            raise ValueError("an error of the body's own")

    rule exits:
        output: "exits.{sample}.txt"
        run:
            sys.exit(9)

    rule segfault:
        output: "segfault.{sample}.txt"
        run:
            import ctypes
            ctypes.string_at(0)

    rule os_exit:
        output: "os_exit.{sample}.txt"
        run:
            print("words that were not flushed")
            os._exit(8)

    rule own_kill:
        output: "own_kill.{sample}.txt"
        run:
            os.kill(os.getpid(), signal.SIGKILL)

    rule fine:
        output: "fine.{n}.txt"
        priority: -1
        shell: "pwd > {output}"
"""

#: What the text of each failure has to name.
REASONS = {
    "code": "exit code 7",
    "shell_signal": "SIGTERM",
    "raises": "exit code 1",
    "exits": "exit code 9",
    "segfault": "SIGSEGV",
    "os_exit": "exit code 8",
    "own_kill": "SIGKILL",
}


def test_each_way_to_fail_is_named_with_rule_wildcards_rank_host_log_and_next_step(workflow: Workflow):
    workflow.write("Snakefile", FAILING)
    run = workflow.start("--keep-going", "--daskmpi-cores", "1")
    run.ends_with(1)
    host = socket.gethostname()
    for way, reason in REASONS.items():
        lines = run.text.splitlines()
        said = [line for line in lines if f"Rule {way} (jobid" in line]
        assert len(said) == 1, f"{way}: {said} in\n{run.text}"
        assert "sample=s1" in said[0]
        assert f"worker rank 2 ({host})" in said[0]
        assert reason in said[0]
        after = "\n".join(lines[lines.index(said[0]) :])
        assert "Seen: " in after.partition("Next: ")[0]
        assert not workflow.has(f"{way}.s1.txt"), "output of a failed job is removed"
    assert "| line 30" in run.text, "the end of its log"
    assert "| first words" not in run.text, "but not all of it"
    assert "an error of the body's own" in run.text
    assert [workflow.read(f"fine.{n}.txt").strip() for n in range(3)] == [str(workflow.folder)] * 3
    assert workflow.incomplete() == set()


def test_show_failed_logs_shows_the_whole_log(workflow: Workflow):
    workflow.write("Snakefile", FAILING)
    run = workflow.start("--show-failed-logs", "code.s1.txt")
    run.ends_with(1)
    assert "\n    first words\n" in run.text or "\nfirst words\n" in run.text


def test_without_keep_going_nothing_new_starts_after_a_failure(workflow: Workflow):
    snakefile = """
        rule all:
            input: "never.txt", "failed.txt"

        rule failed:
            output: "failed.txt"
            shell: "exit 1"

        rule slow:
            output: "slow.txt"
            shell: "until grep -qr 'Error in rule failed' .snakemake/log; do sleep 0.1; done; touch {output}"

        rule never:
            input: "slow.txt"
            output: "never.txt"
            shell: "touch {output}"
    """
    workflow.write("Snakefile", snakefile)
    run = workflow.start("--daskmpi-cores", "4")
    run.ends_with(1)
    assert not workflow.has("never.txt")
    assert workflow.has("slow.txt"), "what ran may end"


def test_retries_run_a_job_again_with_more(workflow: Workflow):
    snakefile = """
        rule all:
            output: "a.txt"
            retries: 3
            resources:
                mem_mb=lambda wildcards, attempt: 100 * attempt,
                n=lambda wildcards, attempt: attempt
            shell:
                "echo {resources.n} {resources.mem_mb} >> attempts; "
                "[ {resources.mem_mb} -ge 300 ] && echo {resources.n} > {output}"
    """
    workflow.write("Snakefile", snakefile)
    run = workflow.start()
    run.ends_with(0)
    assert workflow.read("attempts") == "1 100\n2 200\n3 300\n"
    assert workflow.read("a.txt") == "3\n"


@pytest.mark.parametrize("launcher", ["local", REFERENCE])
def test_a_file_of_an_aborted_run_is_made_again_with_rerun_incomplete(workflow: Workflow, launcher: str):
    snakefile = """
        rule all:
            output: "a.txt"
            shell: "echo begun > {output}; touch begun; while [ ! -e go ]; do sleep 0.05; done; echo ended >> {output}"
    """
    workflow.write("Snakefile", snakefile)
    some = ("--cores", "1") if launcher == REFERENCE else ()
    run = workflow.start(*some, launcher=launcher)
    workflow.wait_for("begun", run=run)
    # Snakemake's own executor marks what a job makes after its start.
    wait_until(workflow.incomplete, on_timeout=lambda: run.text)
    run.process.send_signal(signal.SIGKILL)
    run.wait()
    if launcher == REFERENCE:
        workflow.kill_all()  # Snakemake's own executor leaves its jobs running
    workflow.killed = True
    workflow.assert_nothing_left()
    assert workflow.incomplete() == {"a.txt"}
    workflow.run("--unlock", launcher="auto")
    workflow.write("go", "")
    run = workflow.start(*some, launcher=launcher)
    run.ends_with(1)
    assert "IncompleteFilesException" in run.text
    workflow.start("--rerun-incomplete", *some, launcher=launcher).ends_with(0)
    assert workflow.read("a.txt") == "begun\nended\n"
    assert workflow.incomplete() == set()


def test_a_body_that_behaves_badly_leaves_the_worker_as_it_was(workflow: Workflow):
    snakefile = """
        import os, sys, threading, time

        rule all:
            input: "thread.txt", "flood.txt", "moved.txt", "daemon.txt", "closed.txt", "after.txt"

        rule thread:
            output: "thread.txt"
            run:
                threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
                open(output[0], "w").close()

        rule flood:
            output: "flood.txt"
            shell: "head -c 100000000 /dev/zero; touch {output}"

        rule moved:
            output: "moved.txt"
            run:
                open(output[0], "w").close()
                os.chdir("/")
                os.environ.clear()
                sys.path.clear()
                os.nice(5)

        rule daemon:
            output: "daemon.txt"
            shell: "setsid -f sleep 1000; touch {output}"

        rule closed:
            output: "closed.txt"
            run:
                open(output[0], "w").close()
                os.closerange(3, 100)

        rule after:
            input: "thread.txt", "flood.txt", "moved.txt", "daemon.txt", "closed.txt"
            output: "after.txt"
            run:
                seen = os.getcwd(), threading.active_count(), os.nice(0), bool(sys.path), "PATH" in os.environ
                with open(output[0], "w") as file:
                    print(*seen, file=file)
    """
    workflow.write("Snakefile", snakefile)
    run = workflow.start("--daskmpi-cores", "1")
    run.ends_with(0)
    assert workflow.read("after.txt").split() == [str(workflow.folder), "2", str(os.nice(0)), "True", "True"]
    assert len(run.text) < 100_000, "100 MB of a job's output are in its log, not on the terminal"
