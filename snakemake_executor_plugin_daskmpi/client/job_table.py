"""One line for each job that has ended, in a file that people, spreadsheets and pandas read: ``<run>/jobs.tsv``.

Runs on: rank 1, in the pool's thread.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from snakemake_executor_plugin_daskmpi.messages import JobOutcome, JobSpec

#: Times in seconds since the epoch, memory in MB; empty where it is not known.
COLUMNS = (
    *("job", "rule", "worker", "host", "outcome", "started", "ended"),
    *("mem_mb", "peak_rss_mb", "peak_pss_mb"),
)


class Journal:
    """The file of one run; it is made with the first line.

    Each line is written at once, so that it is there whatever ends the run.
    """

    def __init__(self, run_dir: Path) -> None:
        self._path = run_dir / "jobs.tsv"
        self._descriptor: int | None = None

    def note(self, spec: JobSpec, outcome: JobOutcome) -> None:
        """Append the line of a job.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        line = line_of(spec, outcome)
        if self._descriptor is None:
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            if os.fstat(self._descriptor).st_size == 0:
                line = "\t".join(COLUMNS) + "\n" + line
        os.write(self._descriptor, line.encode())

    def close(self) -> None:
        """Close the file."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def line_of(spec: JobSpec, outcome: JobOutcome) -> str:
    r"""Return the line of a job.

    >>> from snakemake_executor_plugin_daskmpi.messages import JobOutcome, JobSpec, OutcomeKind
    >>> spec = JobSpec("1", "rule a (jobid 1, w=x\ty)", "a", "a.log")
    >>> print(line_of(spec, JobOutcome("1", OutcomeKind.LOST, requested_mb=500)).rstrip().expandtabs(1))
    rule a (jobid 1, w=x\ty) a   lost   500
    """
    times = (outcome.started_at, outcome.ended_at)
    memory = (outcome.requested_mb, outcome.peak_rss_mb, outcome.peak_pss_mb)
    fields = (
        *map(_plain, (spec.name, spec.kind, outcome.worker, outcome.host)),
        outcome.kind.value,
        *(f"{time:.3f}" if time else "" for time in times),
        *(str(mb) if mb else "" for mb in memory),
    )
    return "\t".join(fields) + "\n"


def _plain(text: str) -> str:
    """Return a text without what ends a field or a line, or moves a terminal's cursor: wildcards may hold anything."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)
