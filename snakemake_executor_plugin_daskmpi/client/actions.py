"""What the state of a run asks for when something has happened. Data; the pool carries it out.

Runs on: rank 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snakemake_executor_plugin_daskmpi.client.job import Job
    from snakemake_executor_plugin_daskmpi.messages import Grant, JobOutcome, OutcomeKind


@dataclass(frozen=True, slots=True)
class Start:
    """Mark a job's outputs as being made, and send it to its worker."""

    job: Job
    grant: Grant


@dataclass(frozen=True, slots=True)
class Report:
    """Tell Snakemake how a job ended."""

    job: Job
    outcome: JobOutcome


@dataclass(frozen=True, slots=True)
class TakeBack:
    """Let Snakemake clean up after a job that was ended in time: it counts as left, not as failed."""

    job: Job
    outcome: JobOutcome


@dataclass(frozen=True, slots=True)
class WaitAgain:
    """Undo what a job has done that was ended since its worker leaves: it waits again, under another key."""

    job: Job
    outcome: JobOutcome
    again: Job


@dataclass(frozen=True, slots=True)
class EndJob:
    """Have a worker end a job."""

    key: str
    worker: str
    reason: str


@dataclass(frozen=True, slots=True)
class EndJobs:
    """Have all workers end all jobs."""

    kind: OutcomeKind
    reason: str = ""
    #: Without a grace.
    at_once: bool = False
    #: Address of the only worker that is meant; "" for all.
    worker: str = ""


@dataclass(frozen=True, slots=True)
class EndLocalJobs:
    """End the jobs of local rules, which Snakemake runs itself."""


@dataclass(frozen=True, slots=True)
class Respawn:
    """Have a lost worker started anew by whoever started it."""

    name: str


@dataclass(frozen=True, slots=True)
class Dismiss:
    """Let a worker go that has nothing to do any more."""

    worker: str


@dataclass(frozen=True, slots=True)
class Say:
    """Write a line to Snakemake's log."""

    text: str
    is_warning: bool = False


@dataclass(frozen=True, slots=True)
class EndRun:
    """Let Snakemake hand over nothing any more, and end when what runs has ended.

    It takes jobs that were set aside for running until then, so that it goes on with the others.
    """

    set_aside: tuple[Job, ...]


Action = Start | Report | TakeBack | WaitAgain | EndJob | EndJobs | EndLocalJobs | Respawn | Dismiss | Say | EndRun
