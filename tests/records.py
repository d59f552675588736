"""A run's record, as rank 1 writes it, line by line.

Called by: the unit tests of what reads records.
"""

from __future__ import annotations

import json
import os
import socket
from typing import TYPE_CHECKING, Any

from snakemake_executor_plugin_daskmpi.record.events import FILE_NAME, VERSION
from snakemake_executor_plugin_daskmpi.record.run_view import RunView

if TYPE_CHECKING:
    from pathlib import Path

#: When its run has started, and what time it is unless a line says another one.
START = 1_000_000.0


class Record:
    """The record of a run in a folder, whose first line is there: that of this process, on this machine."""

    def __init__(self, directory: Path, run_id: str = "2026-01-01T120000.000000-1", **about: Any) -> None:
        self.folder = directory / ".snakemake" / "daskmpi" / run_id
        self.folder.mkdir(parents=True)
        self.path = self.folder / FILE_NAME
        self.path.touch(0o600)
        mine = {"host": socket.gethostname(), "pid": os.getpid(), "workdir": str(directory)}
        self.note("run", **{"version": VERSION, "run_id": run_id, "description": "2 workers", **mine, **about})

    def note(self, event: str, time: float = START, **fields: Any) -> None:
        """Add a line."""
        self.write(json.dumps({"event": event, "time": time, **fields}) + "\n")

    def write(self, text: str) -> None:
        """Add whatever there may be in the file."""
        with self.path.open("a") as file:
            file.write(text)

    def worker(self, name: str = "rank 2", cores: int = 4, **fields: Any) -> None:
        """Add a worker."""
        amounts = {"cores": list(range(cores)), "mem_mb": 4000, "disk_mb": 1000, "gpus": []}
        self.note("worker", **{"worker": name, "host": "node1", "het_group": None, **amounts, **fields})

    def submitted(self, key: str, rule: str = "one", jobid: Any = 1, **fields: Any) -> None:
        """Hand over a job."""
        rest = {"attempt": 1, "outputs": [f"out/{jobid}"], "asks": {}, "priority": 0, **fields}
        self.note("submitted", job=key, name=f"rule {rule} (jobid {jobid})", rule=rule, jobid=jobid, **rest)

    def started(self, key: str, worker: str = "rank 2", **fields: Any) -> None:
        """Start a job."""
        self.note("started", **{"job": key, "worker": worker, "cores": [0], **fields})

    def ended(self, key: str, outcome: str = "ok", **fields: Any) -> None:
        """End a job."""
        times = {"started_at": START, "ended_at": START + 10}
        self.note("ended", **{"job": key, "outcome": outcome, "worker": "rank 2", **times, **fields})

    def ran(self, key: str, outcome: str = "ok", *, job: dict[str, Any] | None = None, **fields: Any) -> None:
        """Hand over, start and end a job."""
        self.submitted(key, **(job or {}))
        self.started(key)
        self.ended(key, outcome, **fields)

    def view(self) -> RunView:
        """Return what it says so far."""
        view = RunView(self.folder)
        view.update()
        return view
