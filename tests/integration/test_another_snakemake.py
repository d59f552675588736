"""A version of Snakemake whose scheduler differs from those that are known: the run does without, and says so."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from harness import wait_until

if TYPE_CHECKING:
    from harness import Workflow

#: What is set at the birth of a scheduler is found in the function that makes it, and that is another one here.
ANOTHER = """
    from snakemake.scheduling.job_scheduler import JobScheduler

    theirs = JobScheduler.__init__

    def another(self, *args, **kwargs):
        theirs(self, *args, **kwargs)

    JobScheduler.__init__ = another
"""

SNAKEFILE = """
    rule all:
        input: expand("out/{n}", n=range(4))

    rule one:
        output: "out/{n}"
        shell: "touch started; while [ ! -e go ]; do sleep 0.05; done; touch {output}"
"""


def test_it_works_and_says_what_it_does_not_do(workflow: Workflow):
    workflow.write("Snakefile", ANOTHER + SNAKEFILE)
    workflow.write("go", "")
    run = workflow.run()
    run.ends_with(0)
    assert "daskmpi: at most 100 jobs start a second, unless --max-jobs-per-timespan lifts that: " in run.text
    assert "JobScheduler has no job_rate_limiter any more" in run.text
    assert "is lifted" not in run.text


def test_what_cannot_start_any_more_counts_as_failed(workflow: Workflow):
    workflow.write("Snakefile", ANOTHER + SNAKEFILE)
    run = workflow.start("--daskmpi-cores", "1", "--daskmpi-workers", "1", "--retries", "1")
    workflow.wait_for("started", run=run)
    run.process.send_signal(signal.SIGUSR1)
    wait_until(lambda: "no further jobs start, 1 running one may end." in run.text, on_timeout=lambda: run.text)
    workflow.write("go", "")
    run.ends_with(1)
    assert "jobs that cannot start before the run ends are going to count as failed" in run.text
    assert "did not start: this run ends before." in run.text
    assert sum(workflow.has(f"out/{n}") for n in range(4)) == 1, "what ran has ended"
    workflow.run().ends_with(0)


def test_the_installed_version_has_its_limit_lifted(workflow: Workflow):
    workflow.write("Snakefile", SNAKEFILE)
    workflow.write("go", "")
    run = workflow.run()
    run.ends_with(0)
    assert run.text.count("daskmpi: Snakemake's default limit of 100 job starts a second is lifted") == 1
    assert "differs from those we know" not in run.text
