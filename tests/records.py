"""Records of runs that tests make up: events as rank 1 writes them, in the folder of a run.

Runs on: the machine of the tests.
"""

from __future__ import annotations

import json
import os
import socket
import time
from typing import TYPE_CHECKING, Any, Self

from snakemake_executor_plugin_daskmpi.record.events import FILE_NAME, VERSION
from snakemake_executor_plugin_daskmpi.record.run_view import RunView
from snakemake_executor_plugin_daskmpi.resources import UNLIMITED_DISK_MB

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

#: When runs begin, in seconds since the epoch; times of events are seconds since then.
START = 1_700_000_000.0
#: What is told of a job when it ends; all else is told when it is handed over.
_OF_END = {"outcome", "exit_code", "signal", "reason", "peak_rss_mb", "peak_pss_mb", "cpu_s", "log"}


class Record:
    """The record of a run, which is written line by line; the first one is there, as of this process on this machine.

    Parameters
    ----------
    workdir
        The workflow's folder.
    about
        Fields of the first line.
    """

    def __init__(self, workdir: Path, /, run_id: str = "2027-01-15T090000.000000-1", **about: Any) -> None:
        self.folder = workdir / ".snakemake" / "daskmpi" / run_id
        self.folder.mkdir(parents=True)
        self.path = self.folder / FILE_NAME
        self.path.touch(0o600)
        self._n_workers = self._n_jobs = 0
        self._last_at = 0.0
        mine = {"host": socket.gethostname(), "pid": os.getpid(), "workdir": str(workdir), "command": "snakemake"}
        self.note("run", **{"version": VERSION, "run_id": run_id, "description": "2 workers"} | mine | about)

    def note(self, event: str, at: float = 0.0, **fields: Any) -> None:
        """Add a line."""
        self._last_at = max(self._last_at, at)
        self.write(json.dumps({"event": event, "time": START + at, **fields}) + "\n")

    def write(self, text: str) -> None:
        """Add whatever there may be in the file."""
        with self.path.open("a") as file:
            file.write(text)

    def worker(self, name: str = "", cores: int = 4, at: float = 0.0, **fields: Any) -> None:
        """Let a worker join; the first one is rank 2."""
        self._n_workers += 1
        where = {"worker": name or f"rank {1 + self._n_workers}", "host": "node1", "het_group": None}
        amounts = {"cores": list(range(cores)), "mem_mb": 4000, "disk_mb": UNLIMITED_DISK_MB, "gpus": []}
        self.note("worker", at, **where | amounts | {"components": None} | fields)

    def workers(self, count: int, **fields: Any) -> None:
        """Let some join that are alike."""
        for _ in range(count):
            self.worker(**fields)

    def submitted(self, key: str, rule: str = "one", jobid: Any = None, at: float = 0.0, **fields: Any) -> None:
        """Hand over a job; the first one is 1."""
        self._n_jobs += 1
        jobid = self._n_jobs if jobid is None else jobid
        about = {"name": f"rule {rule} (jobid {jobid})", "attempt": 1, "outputs": [f"out/{jobid}"], "needs": []}
        rest = {"asks": {}, "priority": 0, "n_behind": 0, **fields}
        self.note("submitted", at, job=key, rule=rule, jobid=jobid, **about | rest)

    def started(self, key: str, at: float = 0.0, worker: str = "rank 2", **fields: Any) -> None:
        """Send a job to a worker."""
        self.note("started", at, **{"job": key, "worker": worker, "cores": [0]} | fields)

    def ended(self, key: str, outcome: str = "ok", begin: float = 0.0, end: float = 10.0, **fields: Any) -> None:
        """End a job, which has run from one time to another."""
        times = {"started_at": START + begin, "ended_at": START + end}
        self.note("ended", end, **{"job": key, "outcome": outcome, "worker": "rank 2"} | times | fields)

    def job(  # noqa: PLR0913 - each of them is what some test is about
        self,
        rule: str = "one",
        begin: float = 0.0,
        seconds: float = 10.0,
        *,
        worker: str = "rank 2",
        cores: Iterable[int] | None = None,
        jobid: Any = None,
        key: str = "",
        submitted_at: float | None = None,
        **fields: Any,
    ) -> Any:
        """Hand over, start and end a job, and return its id.

        Without ``cores``, it has as many as it asks for; without ``asks``, it asks for as many as it has.
        """
        jobid = self._n_jobs + 1 if jobid is None else jobid
        key = key or f"{jobid}.{fields.get('attempt', 1)}"
        its = list(range(fields.get("asks", {}).get("cores", 1)) if cores is None else cores)
        told = {name: fields.pop(name) for name in _OF_END & fields.keys()}
        asks = {"asks": {"cores": len(its)}} if len(its) > 1 else {}
        self.submitted(key, rule, jobid, begin if submitted_at is None else submitted_at, **asks | fields)
        self.started(key, begin, worker, cores=its)
        self.ended(key, begin=begin, end=begin + seconds, worker=worker, **told)
        return jobid

    def end(self, at: float | None = None, **fields: Any) -> Self:
        """Add the last line, by default as late as the latest one."""
        self.note("end", self._last_at if at is None else at, **{"done": 0, "total": 0, "failed": 0} | fields)
        return self

    def silent_for(self, seconds: float) -> Self:
        """Make it one that nobody has touched for so long."""
        os.utime(self.path, (touched_at := time.time() - seconds, touched_at))
        return self

    def view(self) -> RunView:
        """Return what it says so far."""
        view = RunView(self.folder)
        view.update()
        return view
