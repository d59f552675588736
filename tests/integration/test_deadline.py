"""An allocation ends before the workflow does: the run ends in time and in order, and plain Snakemake goes on."""

from __future__ import annotations

import datetime as dt
import re
import time
from typing import TYPE_CHECKING

import pytest

from required import at_night

if TYPE_CHECKING:
    from harness import Workflow

#: Jobs that end in no time, those that would never end but for a file, and one that waits for these.
SNAKEFILE = """
    rule all:
        input: "late.txt", "last.txt", expand("quick.{n}.txt", n=range(3))

    rule quick:
        output: "quick.{n}.txt"
        shell: "echo {wildcards.n} >> ran; echo whole > {output}"

    rule late:
        output: "late.txt"
        shell: "echo late >> ran; echo half > {output}; [ -e go ] || sleep 1000; echo whole > {output}"

    rule last:
        input: "late.txt"
        output: "last.txt"
        shell: "cp {input} {output}"
"""

#: A job that would not end before the deadline, whose output is there already.
TOO_LONG = """
    rule all:
        input: "long.txt", "short.txt"

    rule long:
        input: "from.txt"
        output: "long.txt"
        resources: runtime=lambda wildcards: 1 if os.path.exists("go") else 4
        shell: "echo long >> ran; cp {input} {output}"

    rule short:
        output: "short.txt"
        resources: runtime=1
        shell: "echo short >> ran; sleep 1; touch {output}"
"""


@pytest.mark.parametrize(
    ("launcher", "flags"), [("local", ("--keep-going", "--retries", "2")), *at_night([("mpich", ())])]
)
def test_what_runs_at_the_end_is_ended_and_the_same_command_goes_on(workflow: Workflow, launcher: str, flags):
    workflow.write("Snakefile", SNAKEFILE)
    run = workflow.start("--daskmpi-deadline", "30s", *flags, launcher=launcher)
    run.ends_with(75)
    assert "3 of 6 jobs are done, 3 left; 1 of them was ended and starts anew." in run.text, run.text
    assert "Error in rule" not in run.text, "it is no failure of a job"
    assert "Traceback" not in run.text, run.text
    assert not workflow.incomplete()
    assert not workflow.has("late.txt"), "half of an output is none"
    workflow.assert_nothing_left()
    workflow.write("go", "")
    workflow.run(launcher=launcher).ends_with(0)
    assert sorted(workflow.lines("ran")) == ["0", "1", "2", "late", "late"]


def test_a_job_that_would_not_end_in_time_does_not_start_and_others_do(workflow: Workflow):
    workflow.write("Snakefile", TOO_LONG)
    workflow.write("long.txt", "old")
    workflow.write("from.txt", "new")
    # What Slurm tells since 23.02.
    now = int(time.time())
    slurm = {"SLURM_JOB_ID": "1", "SLURM_JOB_START_TIME": str(now - 3600), "SLURM_JOB_END_TIME": str(now + 230)}
    run = workflow.start(env=slurm)
    run.ends_with(75)
    assert re.search(r"\(Slurm\); jobs have [123]\.", run.text)
    assert "1 of 3 jobs is done, 2 left." in run.text, run.text
    assert "no job that is left would end before the allocation does" in run.text
    assert not workflow.incomplete(), "it never started"
    assert workflow.read("long.txt") == "old"
    workflow.write("go", "")
    workflow.run("--daskmpi-deadline", "1h").ends_with(0)
    assert workflow.lines("ran") == ["short", "long"]
    assert workflow.read("long.txt") == "new"


def test_a_job_that_fits_no_such_allocation_is_refused(workflow: Workflow):
    workflow.write("from.txt", "")
    workflow.write("Snakefile", TOO_LONG)
    run = workflow.start("--keep-going", "--daskmpi-deadline", "110s")
    run.ends_with(1)
    assert "was refused: No allocation like this one is long enough for a job with runtime=4 (minutes)." in run.text
    assert "Next: a longer one (--daskmpi-walltime, sbatch --time)" in run.text
    assert workflow.lines("ran") == ["short"]


def test_a_job_that_failed_counts_more_than_those_that_are_left(workflow: Workflow):
    workflow.write("Snakefile", SNAKEFILE.replace("sleep 1000", "{{ sleep 2; exit 3; }}"))
    workflow.write(
        "Snakefile", workflow.read("Snakefile").replace('"late.txt", "last', '"stays.txt", "late.txt", "last')
    )
    stays = '\nrule stays:\n    output: "stays.txt"\n    shell: "sleep 1000"\n'
    workflow.write("Snakefile", workflow.read("Snakefile") + stays)
    run = workflow.start("--keep-going", "--daskmpi-deadline", "30s")
    run.ends_with(1)
    assert "3 of 7 jobs are done, 4 left; 1 of them was ended and starts anew; 1 failed." in run.text, run.text


def test_a_run_that_ends_in_time_knows_nothing_of_a_deadline(workflow: Workflow):
    workflow.write("Snakefile", SNAKEFILE)
    workflow.write("go", "")
    later = dt.datetime.now().astimezone() + dt.timedelta(hours=1)
    run = workflow.run("--daskmpi-deadline", later.isoformat(timespec="minutes"))
    run.ends_with(0)
    assert "the allocation ends at" in run.text
    assert "The run ends before its workflow" not in run.text


@pytest.mark.parametrize(("text", "happened"), [("soon", "cannot be 'soon'"), ("2001-01-01T00:00", "has passed")])
def test_a_deadline_that_cannot_be_is_refused_at_once(workflow: Workflow, text: str, happened: str):
    workflow.write("Snakefile", SNAKEFILE)
    run = workflow.run("--daskmpi-deadline", text)
    run.ends_with(1)
    assert f"--daskmpi-deadline {text} {happened}" in run.text or f"--daskmpi-deadline {happened}" in run.text
    assert "Next: --daskmpi-deadline" in run.text
    assert not workflow.has("ran")
