"""What Slurm counted of jobs: ``sacct`` tells it of all that the site's accounting knows, ``sstat`` of what runs.

Runs on: wherever somebody asks for a report.
Called by: report.allocation.

It is a courtesy: who does not answer soon is not waited for, and whatever goes wrong is a sentence for people.
"""

from __future__ import annotations

import textwrap
import time
from typing import TYPE_CHECKING, NamedTuple

from snakemake_executor_plugin_daskmpi.errors import LaunchError
from snakemake_executor_plugin_daskmpi.slurm import sacct
from snakemake_executor_plugin_daskmpi.slurm.controller import answer_of
from snakemake_executor_plugin_daskmpi.slurm.counted import lives_then, with_use

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from snakemake_executor_plugin_daskmpi.slurm.counted import AskedJob, Counted, Life, Step, Usage

#: Seconds for all questions of a report together; an answer takes a tenth of one where nobody is overloaded.
PATIENCE_S = 4.0
#: Characters of what a program says.
_MOST_WORDS = 300


class Told(NamedTuple):
    """What Slurm told of a job."""

    #: One if it is no hetjob.
    components: tuple[Counted, ...] = ()
    #: Why there are none, as a sentence without its full stop.
    why_none: str = ""


class _Silence(Exception):  # noqa: N818 - it is none
    """There is no answer; the text says why."""


def ask_counts(jobs: Sequence[AskedJob]) -> list[Told]:
    """Return what Slurm tells of each of some jobs; all of it takes :data:`PATIENCE_S` at most."""
    until = time.monotonic() + PATIENCE_S
    told: dict[AskedJob, Told] = {}
    for cluster in dict.fromkeys(job.cluster for job in jobs):
        of_it = [job for job in jobs if job.cluster == cluster]
        try:
            text = _answer(sacct.accounts_command([job.id for job in of_it], cluster), until)
        except _Silence as silence:
            told |= {job: _told_by_the_queue(job, until) or Told(why_none=str(silence)) for job in of_it}
        else:
            told |= _told_by_accounts(of_it, sacct.parse_accounts(text), until)
    return [told[job] for job in jobs]


def _told_by_accounts(jobs: Sequence[AskedJob], lives: Sequence[Life], until: float) -> dict[AskedJob, Told]:
    its = {job: lives_then(job, lives) for job in jobs}
    usages = _usages_now([life for found in its.values() for life in found], until)
    return {
        job: Told(
            tuple(with_use(life, usages) for life in found),
            "" if found else f"Slurm's accounting knows no job {job.id}{_where(job)} that ran then",
        )
        for job, found in its.items()
    }


def _where(job: AskedJob) -> str:
    return f" of cluster {job.cluster}" if job.cluster else ""


def _told_by_the_queue(job: AskedJob, until: float) -> Told | None:
    """Return what is to be had without accounting: of a job that runs."""
    if not job.goes_on:
        return None
    try:
        lives = sacct.parse_queue(_answer(sacct.queue_command(job.id), until))
    except _Silence:
        return None
    found = lives_then(job, lives)
    usages = _usages_now(found, until)
    return Told(tuple(with_use(life, usages) for life in found)) if found else None


def _usages_now(lives: Iterable[Life], until: float) -> dict[Step, Usage]:
    """Ask what running steps have used so far; of those nothing is known that nobody tells of."""
    running = [life.number for life in lives if life.counted.ended_at is None]
    try:
        return sacct.parse_steps(_answer(sacct.steps_command(running), until)) if running else {}
    except _Silence:
        return {}


def _answer(command: list[str], until: float) -> str:
    """Return what one of Slurm's programs prints, if it does in time."""
    program = command[0]
    late = f"{program} gave no answer in {PATIENCE_S:.0f} s"
    if (left_s := until - time.monotonic()) <= 0:
        raise _Silence(late)
    try:
        # In Slurm's own notation of times, an hour of each autumn is there twice.
        answer = answer_of(command, timeout_s=left_s, added={"SLURM_TIME_FORMAT": "%s"})
    except LaunchError as error:
        raise _Silence(f"there is no {program} on this machine; a login node of the cluster has it") from error
    except OSError as error:
        raise _Silence(f"{program} cannot be run here: {error.strerror}") from error
    if answer.code:
        said = textwrap.shorten(answer.words, _MOST_WORDS, placeholder=" …")
        raise _Silence(late if time.monotonic() >= until else f"{program} said: {said}")
    return answer.out
