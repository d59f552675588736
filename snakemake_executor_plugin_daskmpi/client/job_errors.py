"""What the user reads of a job that did not succeed.

Runs on: rank 1. Pure, but for reading the end of the logs that a rule names.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_daskmpi.errors import printable, three_part_message
from snakemake_executor_plugin_daskmpi.messages import JobOutcome, JobSpec, OutcomeKind, exit_text
from snakemake_executor_plugin_daskmpi.worker.tail import tail_of

#: Arbitrary; what a job takes varies from run to run.
_HEAD_ROOM_PERCENT = 110

#: What lines of a log begin with in a message.
_OF_LOG = "    | "
#: Lines of each log that a rule names.
_N_LINES = 10


def job_text(job: Any) -> str:
    """Return a job as messages call it: rule, job id, wildcards."""
    if job.is_group():
        return f"group {job.groupid} ({', '.join(sorted(j.rule.name for j in job.jobs))})"
    wildcards = ", ".join(f"{name}={value}" for name, value in job.wildcards_dict.items())
    return f"rule {job.rule.name} (jobid {job.jobid}{', ' if wildcards else ''}{wildcards})"


def text(outcome: JobOutcome, job: Any, spec: JobSpec) -> str:
    """Return why a job failed: what happened, what was seen, what to do next."""
    where = f" on worker {outcome.worker} ({outcome.host})" if outcome.worker else ""
    happened = f"{_capitalized(spec.name)} {_verb(outcome)}{where}"
    if not outcome.worker:
        return printable(f"{_capitalized(spec.name)} was refused: {outcome.reason}")
    happened += f": {outcome.reason}." if outcome.reason else f" with {exit_text(outcome.exit_code, outcome.signal)}."
    log = os.path.relpath(outcome.log or spec.log)
    tails = [(log, outcome.log_tail), *((name, tail_of(Path(name), _N_LINES)) for name in rule_logs(job))]
    said = [f"the end of {name}:\n{_indented(tail)}" for name, tail in tails if tail]
    seen = "\n  and ".join(said) or f"it wrote nothing to {log}."
    return three_part_message(happened, seen=seen, next_step=_next_step(outcome, job))


def rule_logs(job: Any) -> list[str]:
    """Return the logs that the rule of a job names; none of a group."""
    return [] if job.is_group() else [str(log) for log in job.log]


def _indented(lines: str) -> str:
    return "\n".join(f"{_OF_LOG}{line}" for line in lines.splitlines())


def line_of(text: str) -> str:
    r"""Return the shortest that says why a job failed: what happened, and the last line of its log.

    >>> line_of("Rule a (jobid 1) failed with exit code 7.\n  Seen: the end of a.log:\n    | one\n    | two\n  Next: …")
    'Rule a (jobid 1) failed with exit code 7. Its log ends with: two'
    >>> line_of("daskmpi: rule a (jobid 1) did not start: this run ends before.")
    'daskmpi: rule a (jobid 1) did not start: this run ends before.'
    """
    happened, *more = text.splitlines()
    log = [line.removeprefix(_OF_LOG) for line in more if line.startswith(_OF_LOG)]
    return f"{happened} Its log ends with: {log[-1]}" if log else happened


def _verb(outcome: JobOutcome) -> str:
    return {
        OutcomeKind.LOST: "was lost",
        OutcomeKind.OUT_OF_MEMORY: "ran out of memory",
        OutcomeKind.TIMED_OUT: "ran out of time",
    }.get(outcome.kind, "failed")


def _next_step(outcome: JobOutcome, job: Any) -> str:
    if outcome.kind is OutcomeKind.OUT_OF_MEMORY:
        mem_mb = enough_mb(outcome)
        return (
            f"resources: mem_mb=lambda wildcards, attempt: {mem_mb} * attempt; with --retries 1, jobs that need more "
            f"get {2 * mem_mb} in their second attempt."
        )
    if outcome.kind is OutcomeKind.LOST:
        return "look at the log of that rank beside the jobs' logs; --retries 1 runs such jobs again."
    if outcome.next_step:
        return outcome.next_step
    if outcome.signal == 9:  # noqa: PLR2004 - SIGKILL
        asked = job.resources.get("mem_mb", 0)
        return f"if the kernel killed it for its memory, raise the rule's mem_mb (it asked for {asked})."
    return "see the lines above; --show-failed-logs prints whole logs, --retries N runs failed jobs again."


def enough_mb(outcome: JobOutcome) -> int:
    """Return what a job that ran out of memory may ask for the next time, in MB.

    A tenth more than it was seen to take, in hundreds; that is a lower bound, since it was ended before it had all.

    >>> enough_mb(JobOutcome("1", OutcomeKind.OUT_OF_MEMORY, requested_mb=1000, peak_rss_mb=4100, peak_pss_mb=3850))
    4300
    """
    seen = max(outcome.peak_pss_mb or outcome.peak_rss_mb, outcome.requested_mb)
    return max(100, math.ceil(seen * _HEAD_ROOM_PERCENT / 10_000) * 100)


def _capitalized(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
