"""How far further jobs are, as Slurm sees it.

Runs on: rank 1, in threads that may wait for Slurm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from snakemake_executor_plugin_daskmpi.growth.submission import seconds_since
from snakemake_executor_plugin_daskmpi.slurm.submission import queue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from snakemake_executor_plugin_daskmpi.growth.further_job import FurtherJob


class Seen(NamedTuple):
    """What Slurm says of a job."""

    #: Its word for that; "gone" of a job that it does not know (any more).
    state: str
    #: Seconds since it has started, 0 before.
    for_s: float = 0.0

    @property
    def is_running(self) -> bool:
        """Whether it has nodes."""
        return self.state in queue.RUNNING

    @property
    def has_ended(self) -> bool:
        """Whether it will not run any more."""
        return self.state == "gone" or self.state in queue.ENDED


def look(jobs: Sequence[FurtherJob]) -> list[tuple[FurtherJob, Seen]]:
    """Return what Slurm says of jobs, each of one component.

    Raises
    ------
    SlurmSilenceError
        If slurmctld does not answer.
    """
    if not jobs:
        return []
    entries = {entry.number: entry for entry in queue.job_of(",".join(job.job_id for job in jobs))}
    found = []
    for job in jobs:
        entry = entries.get(job.job_id)
        for_s = max(0.0, seconds_since(entry.start)) if entry and entry.state in queue.RUNNING else 0.0
        found.append((job, Seen(entry.state, for_s) if entry else Seen("gone")))
    return found
