"""How jobs have ended, in words.

Runs on: wherever somebody looks at a run.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.messages import exit_text
from snakemake_executor_plugin_daskmpi.record.job_log import log_of
from snakemake_executor_plugin_daskmpi.record.plain import plain

if TYPE_CHECKING:
    from snakemake_executor_plugin_daskmpi.record.job_view import JobView
    from snakemake_executor_plugin_daskmpi.record.run_view import RunView

_VERBS = {
    "failed": "failed",
    "lost": "was lost",
    "out-of-memory": "ran out of memory",
    "cancelled": "was ended before it was done",
    "timed-out": "was ended, as the allocation ends",
    "spawned-instead": "could not go warm, and was handed over again",
}

#: How a workflow goes on after a run that broke off.
CONTINUE_SNAKEMAKE = "the same command of snakemake goes on, with --rerun-incomplete if it asks for it"


def log_text(view: RunView, job: JobView) -> str:
    """Return where the log of a job is, from here; "" if there is none."""
    log = log_of(view.folder, job)
    return plain(os.path.relpath(log)) if log.exists() else ""


def how_it_ended(job: JobView) -> str:
    """Return how a job that is not done has ended: in which way, where and why."""
    ended = job.ended
    if job.outcome == "failed" and not job.worker:
        return f"was refused: {plain(str(ended.get('reason', 'nothing is known of why')).partition(chr(10))[0])}"
    where = f" on {plain(job.worker)}" if job.worker else ""
    return f"{_VERBS.get(job.outcome, 'failed')}{where}{_why(ended)}"


def _why(ended: dict[str, object]) -> str:
    if ended.get("reason"):
        return f": {plain(ended['reason'])}"
    code, signal = ended.get("exit_code"), ended.get("signal")
    if not isinstance(code, int) and not isinstance(signal, int):
        return ""
    is_code = code if isinstance(code, int) else None
    return f" with {exit_text(is_code, signal if isinstance(signal, int) else None)}"
