"""Make the picture of the report, ``docs/report.png``, of a run that never was: ``python tests/picture.py``.

Runs on: the machine of the tests, with Chromium.
"""

from __future__ import annotations

import base64
import heapq
import random
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from browser import Browser
from records import Record
from snakemake_executor_plugin_daskmpi import cli

PICTURE = Path(__file__).parent.parent / "docs" / "report.png"
#: Of the picture: down to the end of the timeline.
WIDTH, HEIGHT = 1280, 1070
N_SAMPLES = 48
WORKERS = ("rank 2", "rank 3", "rank 4", "rank 5")
WORKER_CORES, WORKER_MB = 8, 16_000
#: Of what fails once.
OUT_OF_MEMORY = ("align", 17)


class Rule(NamedTuple):
    """What jobs of a rule ask for and use."""

    cores: int
    mem_mb: int
    median_s: float
    part_of_memory: float
    runtime_min: int
    urgency: int


RULES = {
    "trim": Rule(1, 1000, 25, 0.5, 3, 1),
    "align": Rule(4, 6000, 90, 0.55, 10, 2),
    "sort": Rule(2, 3000, 30, 0.8, 5, 3),
    "call": Rule(2, 4000, 60, 0.35, 10, 4),
    "merge": Rule(8, 16_000, 120, 0.7, 10, 5),
}


class Job(NamedTuple):
    """One of them; the last one, of all samples, has no sample."""

    jobid: int
    rule: str
    sample: int | None
    needs: list[int]


def jobs_of_samples() -> list[Job]:
    """Return a chain of four jobs for each sample, and one that comes after all."""
    chain = [name for name in RULES if name != "merge"]
    jobs = []
    for sample in range(N_SAMPLES):
        for n, rule in enumerate(chain):
            jobs.append(Job(len(jobs) + 1, rule, sample, [len(jobs)] if n else []))
    return [*jobs, Job(len(jobs) + 1, "merge", None, [job.jobid for job in jobs if job.rule == chain[-1]])]


def write_record(folder: Path) -> None:
    """Write the record of a run in which jobs start as cores and memory get free."""
    about = {"command": "snakemake --executor daskmpi --jobs unlimited", "workdir": "/projects/cohort"}
    where = {"host": "node01", "pid": 4711, "description": "6 ranks, 4 workers on 2 nodes", "slurm_job": "4711"}
    # Its records begin at this time.
    chance, record = random.Random(3), Record(folder, "2023-11-14T221320.000000-4711", **about, **where)
    waiting, done, now = jobs_of_samples(), set[int](), 2.0
    record.note("jobs", by_rule={name: sum(job.rule == name for job in waiting) for name in RULES})
    free = {name: list(range(WORKER_CORES)) for name in WORKERS}
    free_mb = dict.fromkeys(WORKERS, WORKER_MB)
    for name in WORKERS:
        record.worker(name, WORKER_CORES, at=chance.random(), mem_mb=WORKER_MB)
    running: list[tuple[float, int, Job, str, list[int], float]] = []
    ready_at: dict[int, float] = {}
    tries: dict[int, int] = {}
    while waiting or running:
        ready = [job for job in waiting if done.issuperset(job.needs)]
        for job in sorted(ready, key=lambda job: (-RULES[job.rule].urgency, job.jobid)):
            rule = RULES[job.rule]
            ready_at.setdefault(job.jobid, now)
            fits = [name for name in WORKERS if len(free[name]) >= rule.cores and free_mb[name] >= rule.mem_mb]
            if not fits:
                continue
            cores, free[fits[0]] = sorted(free[fits[0]])[: rule.cores], sorted(free[fits[0]])[rule.cores :]
            free_mb[fits[0]] -= rule.mem_mb
            waiting.remove(job)
            tries[job.jobid] = tries.get(job.jobid, 0) + 1
            length = rule.median_s * chance.lognormvariate(0, 0.35) * (0.4 if fails(job, tries) else 1)
            heapq.heappush(running, (now + length, job.jobid, job, fits[0], cores, now))
        now, _, job, worker, cores, begin = heapq.heappop(running)
        free[worker] += cores
        free_mb[worker] += RULES[job.rule].mem_mb
        used = use_of(job, now - begin, chance, failed=fails(job, tries))
        record.job(
            *(job.rule, begin, now - begin),
            worker=worker,
            cores=cores,
            jobid=job.jobid,
            submitted_at=ready_at.pop(job.jobid),
            **used,
        )
        if fails(job, tries):
            waiting.append(job)
        else:
            done.add(job.jobid)
    record.end(now + 0.5)


def fails(job: Job, tries: dict[int, int]) -> bool:
    """Say whether this try of a job is the one that takes too much memory."""
    return (job.rule, job.sample) == OUT_OF_MEMORY and tries[job.jobid] == 1


def use_of(job: Job, length_s: float, chance: random.Random, *, failed: bool) -> dict[str, Any]:
    """Return what the record says of a job besides where and when it ran."""
    rule = RULES[job.rule]
    busy = 0.6 if job.rule == "align" else 0.9
    sample = "" if job.sample is None else f", sample=S{job.sample:02}"
    ending: dict[str, Any] = {"outcome": "out-of-memory", "reason": "6,300 MB, 6,000 asked for"} if failed else {}
    return {
        "name": f"rule {job.rule} (jobid {job.jobid}{sample})",
        "attempt": 2 if (job.rule, job.sample) == OUT_OF_MEMORY and not failed else 1,
        "needs": job.needs,
        "asks": {"cores": rule.cores, "mem_mb": rule.mem_mb, "runtime_min": rule.runtime_min},
        "cpu_s": length_s * rule.cores * busy * chance.uniform(0.9, 1),
        "peak_rss_mb": 6300 if failed else int(rule.mem_mb * rule.part_of_memory * chance.uniform(0.8, 1.1)),
        **ending,
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_record(folder)
        if cli.main(["report", "-d", name, "-o", str(folder / "page.html")]):
            sys.exit("there is no page")
        browser = Browser(folder)
        try:
            browser.open(folder / "page.html", width=WIDTH, height=HEIGHT)
            clip = {"x": 0, "y": 0, "width": WIDTH, "height": HEIGHT, "scale": 1}
            shot = browser.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
            PICTURE.write_bytes(base64.b64decode(shot["data"]))
        finally:
            browser.close()
