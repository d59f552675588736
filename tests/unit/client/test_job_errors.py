"""Failure: what the user reads of a job that did not succeed, told apart by its ``Next:`` line."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from snakemake_executor_plugin_daskmpi.client.job_errors import enough_mb, job_text, text
from snakemake_executor_plugin_daskmpi.messages import JobOutcome, JobSpec, OutcomeKind

LOG = Path.cwd() / ".snakemake/daskmpi/run/jobs/align/17-1.log"
SPEC = JobSpec(key="run-1", kind="align", name="rule align (jobid 17, sample=B)", log=str(LOG))


def job(*, log: tuple[str, ...] = (), **wildcards: str) -> Any:
    """Return as much of a Snakemake job as a message asks for."""
    return SimpleNamespace(
        is_group=lambda: False,
        rule=SimpleNamespace(name="align"),
        jobid=17,
        wildcards_dict=wildcards,
        resources={"_cores": 4, "mem_mb": 2000},
        log=log,
    )


def outcome(kind: OutcomeKind = OutcomeKind.FAILED, **facts: Any) -> JobOutcome:
    return JobOutcome("run-1", kind, **({"worker": "rank 5", "host": "node023"} | facts))


def parts(failed: JobOutcome) -> tuple[str, str, str]:
    """Return what happened, what was seen, and what to do next."""
    happened, _, rest = text(failed, job(sample="B"), SPEC).partition("\n  Seen: ")
    seen, _, next_step = rest.partition("\n  Next: ")
    return happened, seen, next_step


def test_a_job_is_called_by_its_rule_its_id_and_its_wildcards():
    assert job_text(job(sample="B", lane="2")) == "rule align (jobid 17, sample=B, lane=2)"


def test_a_job_without_wildcards_is_called_by_its_rule_and_its_id():
    assert job_text(job()) == "rule align (jobid 17)"


def test_a_group_is_called_by_its_rules():
    jobs = [SimpleNamespace(rule=SimpleNamespace(name=name)) for name in ("sort", "align")]
    assert (
        job_text(SimpleNamespace(is_group=lambda: True, groupid="mapping", jobs=jobs)) == "group mapping (align, sort)"
    )


@pytest.mark.parametrize(
    ("failed", "happened", "next_step"),
    [
        pytest.param(
            outcome(exit_code=3),
            "Rule align (jobid 17, sample=B) failed on worker rank 5 (node023) with exit code 3.",
            "see the lines above; --show-failed-logs prints whole logs, --retries N runs failed jobs again.",
            id="exit code",
        ),
        pytest.param(
            outcome(signal=9),
            "Rule align (jobid 17, sample=B) failed on worker rank 5 (node023) with signal SIGKILL.",
            "if the kernel killed it for its memory, raise the rule's mem_mb (it asked for 2000).",
            id="SIGKILL",
        ),
        pytest.param(
            outcome(
                exit_code=1,
                reason="its process failed: OSError: [Errno 30] Read-only file system: 'log'",
                next_step="repair it.",
            ),
            "Rule align (jobid 17, sample=B) failed on worker rank 5 (node023): "
            "its process failed: OSError: [Errno 30] Read-only file system: 'log'.",
            "repair it.",
            id="no log",
        ),
        pytest.param(
            outcome(signal=11),
            "Rule align (jobid 17, sample=B) failed on worker rank 5 (node023) with signal SIGSEGV.",
            "see the lines above; --show-failed-logs prints whole logs, --retries N runs failed jobs again.",
            id="SIGSEGV",
        ),
        pytest.param(
            outcome(OutcomeKind.LOST, reason="worker rank 5 on node023 died while running it"),
            "Rule align (jobid 17, sample=B) was lost on worker rank 5 (node023): "
            "worker rank 5 on node023 died while running it.",
            "look at the log of that rank beside the jobs' logs; --retries 1 runs such jobs again.",
            id="lost",
        ),
        pytest.param(
            outcome(
                OutcomeKind.OUT_OF_MEMORY,
                reason="it took 3850 MB and had asked for mem_mb=1000",
                signal=9,
                requested_mb=1000,
                peak_rss_mb=4100,
                peak_pss_mb=3850,
            ),
            "Rule align (jobid 17, sample=B) ran out of memory on worker rank 5 (node023): "
            "it took 3850 MB and had asked for mem_mb=1000.",
            "resources: mem_mb=lambda wildcards, attempt: 4300 * attempt; with --retries 1, jobs that need more get "
            "8600 in their second attempt.",
            id="out of memory",
        ),
    ],
)
def test_a_failure_says_what_happened_and_what_to_do_next(failed, happened, next_step):
    assert (parts(failed)[0], parts(failed)[2]) == (happened, next_step)


def test_a_failure_shows_the_end_of_the_jobs_log_by_its_path_from_here():
    _, seen, _ = parts(outcome(exit_code=1, log_tail="Traceback\nKeyError: 'b'"))
    assert seen == ("the end of .snakemake/daskmpi/run/jobs/align/17-1.log:\n    | Traceback\n    | KeyError: 'b'")


def test_a_failure_that_left_no_word_says_so():
    assert parts(outcome(exit_code=1))[1] == "it wrote nothing to .snakemake/daskmpi/run/jobs/align/17-1.log."


@pytest.mark.parametrize(
    ("requested_mb", "peak_rss_mb", "peak_pss_mb", "enough"),
    [(0, 0, 0, 100), (500, 0, 0, 600), (500, 1000, 0, 1100), (500, 9000, 1000, 1100), (0, 1001, 0, 1200)],
)
def test_a_job_that_ran_out_of_memory_is_to_ask_for_a_tenth_more_than_it_took(
    requested_mb, peak_rss_mb, peak_pss_mb, enough
):
    seen = {"requested_mb": requested_mb, "peak_rss_mb": peak_rss_mb, "peak_pss_mb": peak_pss_mb}
    assert enough_mb(outcome(OutcomeKind.OUT_OF_MEMORY, **seen)) == enough


def test_a_job_that_no_worker_took_was_refused():
    refused = outcome(worker="", host="", reason="No worker can ever hold a job with threads=8.\n  Next: lower it.")
    assert parts(refused)[0].startswith("Rule align (jobid 17, sample=B) was refused: No worker can ever hold")
    assert text(refused, job(), SPEC).endswith("\n  Next: lower it.")


@pytest.mark.parametrize(
    ("kind", "verb"), [(OutcomeKind.OUT_OF_MEMORY, "ran out of memory"), (OutcomeKind.TIMED_OUT, "ran out of time")]
)
def test_a_job_that_ran_out_of_something_is_told_so(kind, verb):
    assert verb in parts(outcome(kind, exit_code=1))[0]


def test_the_end_of_a_log_that_the_rule_names_is_shown_too(tmp_path):
    named = tmp_path / "align.log"
    named.write_text("begun\nno such file\n")
    said = text(outcome(exit_code=1, log_tail="CalledProcessError"), job(log=(str(named), "empty")), SPEC)
    assert said.splitlines()[2:6] == [
        "    | CalledProcessError",
        f"  and the end of {named}:",
        "    | begun",
        "    | no such file",
    ]
