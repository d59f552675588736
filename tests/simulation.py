"""A run that never was, of any size.

Runs on: the machine of the tests.
"""

from __future__ import annotations

import heapq
import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from records import Record


def simulate(record: Record, n_jobs: int, rules: tuple[str, ...], seed: int = 0, n_workers: int = 8) -> None:
    """Write the record of a run whose jobs start as cores get free, in layers of which each needs the one before."""
    chance = random.Random(seed)
    record.note("jobs", by_rule={rule: n_jobs // len(rules) for rule in rules})
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
        seconds = chance.lognormvariate(2, 1)
        heapq.heappush(running, (now + seconds, jobid, name, cores))
        record.job(
            *(rule, now, seconds),
            jobid=jobid,
            name=f"rule {rule} (jobid {jobid}, sample=S{jobid:05}, lane=L{jobid % 8})",
            worker=name,
            cores=cores,
            submitted_at=max(1.0, now - 20),
            asks={"cores": n_cores, "mem_mb": 2000 * n_cores, "runtime_min": 5},
            outcome="failed" if chance.random() < 0.002 else "ok",
            needs=[jobid - n_jobs // 10] if jobid > n_jobs // 10 else [],
            cpu_s=seconds * n_cores * chance.random(),
            peak_rss_mb=500 * n_cores,
        )
    record.end()
