"""Which run began the chain that a run is in: Slurm jobs go on with a workflow by themselves.

Runs on: rank 1, before a run's record begins.
Called by: executor.Executor.

A Slurm job that is requeued goes on with what its earlier life left, and one that was submitted by the job before it
with what that one had no time for. A user who gives the same command again begins a new chain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.client import requeue
from snakemake_executor_plugin_daskmpi.slurm.submission import chain

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def handed_on(run_id: str, workdir: Path, environ: Mapping[str, str]) -> str:
    """Return the id of the first run of the chain that a run is in, its own if none is before it.

    It is left where the next one looks for it: beside the note of whose Snakemake's lock is, and in the folder of the
    submission.
    """
    first = requeue.first_run(workdir, environ) or chain.first_run(workdir) or run_id
    requeue.note_lock(workdir, environ, first)
    chain.note_first_run(first)
    return first
