"""Records of runs that never were, with known answers or of any size.

Runs on: the machine of the tests.
"""

from __future__ import annotations

import heapq
import json
import os
import random
import time
from typing import TYPE_CHECKING, Any

from snakemake_executor_plugin_daskmpi.record.events import FILE_NAME, VERSION

if TYPE_CHECKING:
    from pathlib import Path

#: When runs begin, in seconds since the epoch.
BEGIN = 1_700_000_000.0


class Record:
    """A record that is written line by line; times are seconds since its run began."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._lines: list[str] = []

    def note(self, event: str, at: float, **fields: Any) -> None:
        self._lines.append(json.dumps({"event": event, "time": BEGIN + at, **fields}))

    def run(self, **by_rule: int) -> None:
        about = {"command": "snakemake", "workdir": "/w", "host": "h", "pid": 1, "description": "d", "slurm_job": ""}
        self.note("run", 0, version=VERSION, run_id=self.folder.name, max_cores=None, **about)
        self.note("jobs", 0, by_rule=by_rule)

    def worker(
        self, name: str, n_cores: int, at: float = 0, mem_mb: int = 1000, gpus: tuple[str, ...] = (), **fields: Any
    ) -> None:
        offer = {"cores": list(range(n_cores)), "mem_mb": mem_mb, "disk_mb": 0, "gpus": gpus, "components": None}
        self.note("worker", at, worker=name, host="h", het_group=None, **offer, **fields)

    def submitted(self, jobid: int | str, at: float, attempt: int = 1, rule: str = "r", **fields: Any) -> str:
        key = fields.pop("key", f"{jobid}.{attempt}")
        given = {"name": f"rule {rule} (jobid {jobid})", "needs": [], "asks": {}, "outputs": [], **fields}
        self.note("submitted", at, job=key, rule=rule, jobid=jobid, attempt=attempt, **given)
        return key

    def started(self, key: str, at: float, worker: str, cores: list[int], **fields: Any) -> None:
        self.note("started", at, job=key, worker=worker, cores=cores, **fields)

    def ended(self, key: str, begin: float, end: float, outcome: str = "ok", **fields: Any) -> None:
        self.note("ended", end, job=key, outcome=outcome, started_at=BEGIN + begin, ended_at=BEGIN + end, **fields)

    def job(self, jobid: int | str, begin: float, end: float, worker: str, cores: list[int], **fields: Any) -> str:
        """Note a job from its submission to its end."""
        names = ("outcome", "cpu_s", "peak_rss_mb", "peak_pss_mb", "reason", "log")
        how_ended = {name: fields.pop(name) for name in names if name in fields}
        submitted_at = fields.pop("submitted_at", begin)
        key = self.submitted(jobid, submitted_at, **{"asks": {"cores": len(cores)}, **fields})
        self.started(key, begin, worker, cores)
        self.ended(key, begin, end, **how_ended)
        return key

    def end(self, at: float) -> None:
        self.note("end", at, done=0, total=0, failed=0)

    def write(self, silent_for_s: float = 0) -> Path:
        """Write the record, which nobody has touched for so long."""
        (path := self.folder / FILE_NAME).write_text("".join(line + "\n" for line in self._lines))
        os.utime(path, (touched_at := time.time() - silent_for_s, touched_at))
        return self.folder


def simulated_run(folder: Path, n_jobs: int, rules: tuple[str, ...], seed: int = 0, n_workers: int = 8) -> Path:
    """Write the record of a run whose jobs start as cores get free, in layers of which each needs the one before."""
    chance = random.Random(seed)
    record = Record(folder)
    record.run(**{rule: n_jobs // len(rules) for rule in rules})
    free = {f"rank {number}": list(range(32)) for number in range(2, 2 + n_workers)}
    for name in free:
        record.worker(name, 32, at=chance.random(), mem_mb=128_000)
    running: list[tuple[float, int, str, list[int]]] = []
    now = 2.0
    for jobid in range(1, n_jobs + 1):
        rule = rules[jobid * len(rules) // (n_jobs + 1)]
        n_cores = chance.choice([1, 1, 1, 2, 4, 8])
        while (name := next((name for name in free if len(free[name]) >= n_cores), None)) is None:
            now, _, freed, cores = heapq.heappop(running)
            free[freed] += cores
        cores, free[name] = sorted(free[name])[:n_cores], sorted(free[name])[n_cores:]
        end = now + chance.lognormvariate(2, 1)
        heapq.heappush(running, (end, jobid, name, cores))
        asks = {"cores": n_cores, "mem_mb": 2000 * n_cores, "runtime_min": 5}
        outcome = "failed" if chance.random() < 0.002 else "ok"
        needs = [jobid - n_jobs // 10] if jobid > n_jobs // 10 else []
        record.job(
            *(jobid, now, end, name, cores),
            rule=rule,
            name=f"rule {rule} (jobid {jobid}, sample=S{jobid:05}, lane=L{jobid % 8})",
            asks=asks,
            needs=needs,
            submitted_at=max(1.0, now - 20),
            outcome=outcome,
            cpu_s=(end - now) * n_cores * chance.random(),
            peak_rss_mb=500 * n_cores,
        )
    record.end(max(end for end, *_ in running))
    return record.write()
