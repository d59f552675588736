"""How far a Slurm job of ours got, kept in its submission's folder for the one that follows.

Runs on: rank 1, which writes it; the node that plans the next job, which reads it.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from snakemake_executor_plugin_daskmpi.rank import whole_file

#: Names the folder of the submission whose job a process is in.
SUBMISSION = "DASKMPI_SUBMISSION"
_FILE = "progress.json"


@dataclass(frozen=True, slots=True)
class Progress:
    """Jobs of the workflow at the end of a run: how many it has ended, of how many."""

    done: int
    total: int


def write(progress: Progress) -> None:
    """Keep it, if this process is in a job of a submission; whole or not at all."""
    folder = os.environ.get(SUBMISSION)
    if folder and Path(folder).is_dir():
        whole_file.write(Path(folder) / _FILE, json.dumps(asdict(progress)) + "\n")


def read(folder: str) -> Progress | None:
    """Return what the run of a submission has kept; None if that is nothing."""
    try:
        return Progress(**json.loads((Path(folder) / _FILE).read_text()))
    except (OSError, ValueError, TypeError):
        return None
