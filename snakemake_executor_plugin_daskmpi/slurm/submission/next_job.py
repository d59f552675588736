"""Which submission goes on from another one, told in that one's folder.

Runs on: the node of a job that submits its successor, which tells; the login node, which follows or ends the chain.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.rank import whole_file
from snakemake_executor_plugin_daskmpi.slurm.submission.record import record_of, text_of

if TYPE_CHECKING:
    from snakemake_executor_plugin_daskmpi.slurm.submission.record import Record

#: The record of the submission that follows, and what says that none is to.
NEXT = "next.json"
STOP = "stop"


def note_successor(record: Record) -> None:
    """Tell whoever follows a submission which one goes on from there."""
    whole_file.write(Path(record.follows) / NEXT, text_of(record))


def successor_of(record: Record) -> Record | None:
    """Return the submission that goes on from another one; None if there is none."""
    try:
        return record_of((Path(record.folder) / NEXT).read_text())
    except (OSError, ValueError, TypeError, KeyError):
        return None


def stop_chain(record: Record) -> None:
    """Let no other submission follow."""
    with contextlib.suppress(OSError):
        (Path(record.folder) / STOP).touch()


def is_stopped(folder: str) -> bool:
    """Say whether no other submission is to follow."""
    return (Path(folder) / STOP).exists()
