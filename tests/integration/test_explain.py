"""``snakemake-daskmpi explain``: what it says of jobs in situations that are staged, while they last and afterwards."""

from __future__ import annotations

import os
import re
import signal
import time
from typing import TYPE_CHECKING

import pytest

from harness import wait_until
from snakemake_executor_plugin_daskmpi import cli
from snakemake_executor_plugin_daskmpi.record.find import runs_of
from snakemake_executor_plugin_daskmpi.record.run_view import RunView, State

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness import Run, Workflow

    Explain = Callable[..., str]

#: What a job does that goes on until a file is there.
STAYS = "touch {rule}.started; while [ ! -e go ]; do sleep 0.05; done; touch {output}"


@pytest.fixture
def explain(workflow: Workflow, capsys: pytest.CaptureFixture[str]) -> Explain:
    """Return what explain says of a word, once it says some words, with a certain exit code."""

    def said(word: str, *expected: str, code: int = 0) -> str:
        def texts() -> str:
            ended_with = cli.main(["explain", word, "--directory", str(workflow.folder)])
            out, err = capsys.readouterr()
            seen.append(out + err)
            return seen[-1] if ended_with == code and all(text in seen[-1] for text in expected) else ""

        seen: list[str] = []
        return wait_until(texts, on_timeout=lambda: seen[-1], timeout_s=20, every_s=0.1)

    return said


def staged(workflow: Workflow, snakefile: str, *args: str, until: str = "", env: dict[str, str] | None = None) -> Run:
    """Start a workflow on one worker, and wait for a file that says that all is staged."""
    workflow.write("Snakefile", snakefile.replace("STAYS", STAYS))
    run = workflow.start("--keep-going", "--daskmpi-mem-mb", "2000", *args, env=env)
    if until:
        workflow.wait_for(*until.split(), run=run)
    return run


SHORT_OF = """
    rule all:
        input: "held", "cores", "memory", "gpus", "scratch", "last"

    rule holds:
        output: "held"
        priority: 10
        threads: 3
        resources: mem_mb=1500, gpu=1, disk_mb=90
        shell: "STAYS"

    rule cores:
        output: "cores"
        threads: 4
        shell: "touch {output}"

    rule memory:
        output: "memory"
        resources: mem_mb=1000
        shell: "touch {output}"

    rule gpus:
        output: "gpus"
        resources: gpu=1
        shell: "touch {output}"

    rule scratch:
        output: "scratch"
        resources: disk_mb=50
        shell: "touch {output}"

    rule last:
        input: "held"
        output: "last"
        shell: "touch {output}"
"""


def test_jobs_wait_for_what_another_one_has(workflow: Workflow, explain: Explain):
    flags = ("--daskmpi-cores", "5", "--daskmpi-gpus", "0", "--daskmpi-disk-mb", "100")
    run = staged(workflow, SHORT_OF, *flags, until="holds.started")
    for rule, needs, free in (
        ("cores", "4 cores", "2"),
        ("memory", "1000 MB of memory", "500"),
        ("gpus", "1 GPU", "none"),
        ("scratch", "50 MB of scratch space", "10"),
    ):
        text = explain(rule, f"it needs {needs}, and rank 2, which is nearest, has {free} free")
        assert "the rest is taken by rule holds (jobid " in text
        assert "rule holds (jobid 1) has 3 cores, 1500 MB of memory, 90 MB of scratch space, 1 GPU there, for " in text
        assert "What lets it start: the end of rule holds (jobid 1), or as much room on another worker." in text
    text = explain("held", "rule holds (jobid 1): running")
    assert "It runs on rank 2 (" in text
    assert "Its GPUs: 0." in text
    assert "Its output so far: " in text
    explain("last", "Snakemake waits for jobs that these come after")
    workflow.write("go", "")
    run.ends_with(0)
    text = explain("last", "rule last (jobid 6): done")
    assert "It took 0." in text


def test_jobs_wait_for_the_limit_of_cores(workflow: Workflow, explain: Explain):
    snakefile = """
        rule all:
            input: "held", "other"

        rule holds:
            output: "held"
            priority: 1
            threads: 2
            shell: "STAYS"

        rule other:
            output: "other"
            threads: 2
            shell: "touch {output}"
    """
    run = staged(workflow, snakefile, "--cores", "3", "--daskmpi-cores", "8", until="holds.started")
    text = explain("other", "it needs 2 cores, and --cores leaves 1: running jobs have the others")
    assert "a larger --cores (3 now)" in text
    workflow.write("go", "")
    run.ends_with(0)


def test_a_worker_is_held_back_for_a_job_that_many_have_overtaken(workflow: Workflow, explain: Explain):
    snakefile = """
        rule all:
            input: "held", "large", expand("small/{n}", n=range(60))

        rule holds:
            output: "held"
            priority: 2
            shell: "STAYS"

        rule large:
            output: "large"
            priority: 1
            threads: 2
            shell: "touch {output}"

        rule small:
            output: "small/{n}"
            shell: "touch {output}"
    """
    run = staged(workflow, snakefile, "--daskmpi-cores", "2", until="holds.started")
    text = explain("small", "it would fit on rank 2, which is held back for rule large (jobid 2): that has waited for")
    assert "rule small: 60 jobs: " in text
    workflow.write("go", "")
    run.ends_with(0)


def test_short_jobs_are_sent_ahead(workflow: Workflow, explain: Explain):
    snakefile = """
        rule all:
            input: expand("out/{n}", n=range(60))

        rule short:
            output: "out/{n}"
            shell:
                "echo {wildcards.n} >> ran; "
                "while [ ! -e go ] && [ $(wc -l < ran) -gt 30 ]; do sleep 0.05; done; touch {output}"
    """
    run = staged(workflow, snakefile, "--daskmpi-cores", "1")
    wait_until(lambda: len(workflow.lines("ran")) > 30 or run.has_ended, on_timeout=lambda: run.text)
    explain("short", "sent: rule short (jobid ")
    sent = next(job for job in view_of(workflow).current if job.state is State.SENT)
    explain(str(sent.jobid), "It was sent ahead to rank 2, and starts there as soon as rule short (jobid ")
    workflow.write("go", "")
    run.ends_with(0)


ENDINGS = """
    rule all:
        input: "good", "bad", "greedy", "refused"

    rule good:
        output: "good"
        resources: mem_mb=500
        shell: "python -c 'import time; x = bytearray(100_000_000); time.sleep(1)'; touch {output}"

    rule bad:
        output: "bad"
        log: "logs/bad"
        retries: 1
        shell: "echo 'what it says'; echo 'what it logs' > {log}; exit 3"

    rule greedy:
        output: "greedy"
        resources: mem_mb=50
        shell: "python -c 'import time; x = bytearray(300_000_000); time.sleep(100)'"

    rule refused:
        output: "refused"
        resources: mem_mb=99999
        shell: "touch {output}"
"""


def test_of_an_ended_run_it_is_told_how_each_job_has_ended(workflow: Workflow, explain: Explain):
    run = staged(workflow, ENDINGS, "--daskmpi-cores", "4", "--daskmpi-memory", "strict")
    run.ends_with(1)
    text = explain("good", "has ended", "rule good (jobid 1): done")
    assert "asks for 1 core, 500 MB of memory" in text
    assert "MB of memory at most of 500 asked for" in text
    text = explain("bad", "rule bad (jobid 2): failed")
    assert "attempt 1 failed on rank 2 with exit code 3; its log: " in text
    assert "It failed on rank 2 with exit code 3" in text
    assert "jobs/bad/2-2.log:" in text
    assert "  | what it says" in text
    assert "/logs/bad:\n    | what it logs" in text
    assert "  and the end of logs/bad:\n    | what it logs" in run.text
    assert "It ran out of memory on rank 2: it took " in explain("greedy")
    text = explain("refused")
    assert re.search(r"It was refused: .*\n  Seen: .*\n  Next: ", text), text


def test_of_a_lost_worker_it_is_told_who_was_lost_with_it(workflow: Workflow, explain: Explain):
    snakefile = """
        rule one:
            output: "one"
            shell: "STAYS"
    """
    flags = ("--daskmpi-workers", "2", "--retries", "1")
    run = staged(workflow, snakefile, *flags, until="one.started")
    workflow.killed = True
    lost = next(job.worker for job in view_of(workflow).current)
    workflow.server(int(lost.removeprefix("rank "))).kill()
    text = explain("one", "attempt 2 is the last one so far", "It runs on rank ")
    assert f"attempt 1 was lost on {lost}: worker {lost} on " in text
    workflow.write("go", "")
    run.ends_with(0)


def test_a_job_that_takes_longer_than_there_is_time_is_set_aside(workflow: Workflow, explain: Explain):
    snakefile = """
        rule all:
            input: "long", "held"

        rule long:
            output: "long"
            resources: runtime=4
            shell: "touch {output}"

        rule holds:
            output: "held"
            resources: runtime=1
            shell: "STAYS"
    """
    now = int(time.time())
    slurm = {"SLURM_JOB_ID": "1", "SLURM_JOB_START_TIME": str(now - 3600), "SLURM_JOB_END_TIME": str(now + 230)}
    run = staged(workflow, snakefile, until="holds.started", env=slurm)
    text = explain("long", "is left for a later run", "its runtime is longer than the time that is left")
    assert "asks for 1 core, a runtime of 4 min" in text
    workflow.write("go", "")
    run.ends_with(75)
    explain("long", "has ended", "is left for a later run")


def test_a_run_that_drains_starts_nothing_any_more(workflow: Workflow, explain: Explain):
    run = staged(workflow, SHORT_OF, "--daskmpi-cores", "5", "--daskmpi-gpus", "0", until="holds.started")
    explain("cores", "Why it waits")
    run.process.send_signal(signal.SIGUSR1)
    explain("cores", "It does not start in this run: SIGUSR1 was received.")
    assert "The run drains: SIGUSR1 was received." in explain("last")
    workflow.write("go", "")
    run.ends_with(75)
    assert "rule holds (jobid 1): done" in explain("held")


def test_a_group_is_told_by_any_of_its_jobs(workflow: Workflow, explain: Explain):
    snakefile = """
        rule last:
            input: "first"
            output: "last"
            group: "pair"
            shell: "STAYS"

        rule first:
            output: "first"
            group: "pair"
            shell: "touch {output}"
    """
    run = staged(workflow, snakefile, until="last.started")
    for word in ("first", "last", "pair", "0"):
        text = explain(word, "group pair (first, last): running")
        assert "is a group of 2 jobs: 1 of " in text
    workflow.write("go", "")
    run.ends_with(0)


def test_of_a_run_that_broke_off_it_is_told_what_its_jobs_did(workflow: Workflow, explain: Explain):
    flags = ("--daskmpi-cores", "5", "--daskmpi-gpus", "0")
    run = staged(workflow, SHORT_OF, *flags, until="holds.started")
    explain("cores", "Why it waits")
    workflow.killed = True
    os.kill(run.process.pid, signal.SIGKILL)
    run.wait()
    text = explain("held", "broke off", "rule holds (jobid 1): ran when the run broke off")
    assert "the same command of snakemake goes on, with --rerun-incomplete if it asks for it" in text
    explain("cores", "waited when the run broke off")
    assert "The run broke off." in explain("last")


def test_what_the_run_does_not_know_is_answered_with_what_may_be_meant(workflow: Workflow, explain: Explain):
    staged(workflow, "rule align:\n    output: 'bam'\n    shell: 'touch {output}'\n").ends_with(0)
    assert "Did you mean align?" in explain("algin", code=2)
    assert "Next: a job's id, a rule or a file of this run" in explain("17", code=2)


def test_a_folder_without_runs_has_nothing_to_explain(explain: Explain):
    assert "Next: snakemake --executor daskmpi" in explain("all", "There is no run to look at", code=1)


def view_of(workflow: Workflow) -> RunView:
    """Return what the record of the newest run says."""
    view = RunView(runs_of(workflow.folder)[0])
    view.update()
    return view


def test_a_job_without_its_output_has_failed_to_all(workflow: Workflow, explain):
    workflow.write("Snakefile", "rule forgets:\n    output: 'o'\n    shell: 'true'\n")
    workflow.start("--daskmpi-cores", "1").ends_with(1)
    explain("forgets", "rule forgets (jobid 0): failed", "Snakemake found its output missing or wrong")
