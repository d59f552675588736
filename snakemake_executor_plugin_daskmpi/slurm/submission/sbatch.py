"""Sbatch, run once: a job that Slurm has taken without saying so is found, not submitted again.

Runs on: the login node, or that of a job with a successor, when Snakemake's lock is released and its process replaced.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.errors import LaunchError
from snakemake_executor_plugin_daskmpi.slurm.controller import PATIENCE_S, answer_of, away, say
from snakemake_executor_plugin_daskmpi.slurm.submission import next_job, queue, reasons, record
from snakemake_executor_plugin_daskmpi.slurm.submission.signals import signals_held

if TYPE_CHECKING:
    from snakemake_executor_plugin_daskmpi.slurm.submission.record import Record

#: Seconds between two looks for a job that sbatch got no answer about.
_LOOK_S = 2.0


def submit(submission: Record, patience_s: float = PATIENCE_S) -> Record:
    """Run sbatch, once: where slurmctld gives no answer, look whether it has the job before asking again.

    Raises
    ------
    LaunchError
        If sbatch refuses, or slurmctld stays away. There is no job then, and no record, unless the message says so.
    """
    script = str(Path(submission.folder) / record.SCRIPT)
    command = queue.submit_command(script, submission.arguments)
    give_up = time.monotonic() + patience_s
    told = False
    while True:
        with signals_held():
            answer = answer_of(command)
            if answer.code == 0:
                job_id, cluster = queue.parse_submitted(answer.out)
                return _submitted(submission, job_id, cluster)
        if not answer.is_silence:
            record.remove(submission)
            raise LaunchError(reasons.refusal_message(answer.words, script))
        if not told:
            say(f"Slurm's controller does not answer ({answer.words}); trying for up to {patience_s:.0f} s.")
            told = True
        found = found_job(submission.stamp, give_up)
        if found is None:
            raise unknown_error(answer.words)
        if found:
            return _submitted(submission, found, "")
        if time.monotonic() >= give_up:
            record.remove(submission)
            raise away(answer, patience_s)


def unknown_error(words: str) -> LaunchError:
    """Return the error of a submission of which nobody knows whether Slurm has it; its record stays, to find out."""
    return LaunchError(
        "Slurm's controller (slurmctld) gave no answer: it is not known whether it has the job.",
        seen=f"sbatch said: {words}.",
        next_step="once 'scontrol ping' says that it is up, run the same command again: it finds the job if there is "
        "one; or look for it with squeue --me.",
    )


def found_job(stamp: str, give_up: float) -> str | None:
    """Return the id of a job that sbatch got no answer about, "" if there is none; None if Slurm stays silent.

    Parameters
    ----------
    stamp
        What the path of its script, and of no other, has in it.
    give_up
        When to, on the clock that never goes back.
    """
    answers = 0
    while True:
        time.sleep(_LOOK_S)
        with contextlib.suppress(queue.SlurmSilenceError):
            if found := queue.find_submitted(stamp):
                return found
            # Asked twice: slurmctld may answer the first question before it has carried out the submission.
            answers += 1
            if answers > 1:
                return ""
        if time.monotonic() >= give_up and not answers:
            return None


def _submitted(submission: Record, job_id: str, cluster: str) -> Record:
    submission = dataclasses.replace(submission, job_id=job_id, cluster=cluster)
    record.save(submission)
    if submission.follows:
        next_job.note_successor(submission)
    return submission
