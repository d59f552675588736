"""Seeded mixed loads: makespan against the lower bound, for this placement and for Dask's own ``resources=``.

Runs on: one machine; jobs sleep, so two cores do. Called by: a person, or a release check.

    python tests/benchmark/packing.py [--seeds 1 2 3] [--extra] [--json FILE]

A load is 120 jobs of 1 to 4 threads, 500 to 6000 MB and 0.5 to 3 units of time, all queued at once, for 3 workers of
4 cores and 12,000 MB. All run as real Dask tasks on a fresh cluster of real Dask workers:

- ``dask``: each job submitted with ``resources={"cores": …, "mem_mb": …}``, all else as Dask comes.
- ``placement``: each job submitted pinned to the worker that Placement chose, when it chose it. Neither knows how
  long a job takes.
- ``placement, simulated``: the same decisions with no time lost between jobs. What it falls short of the bound is
  packing; what ``placement`` falls short of it is latency, which short jobs and a busy machine make large.
- with ``--extra`` also ``dask, largest first`` (Dask's ``priority=`` from our rank) and ``placement, runtimes``
  (every job carries a ``runtime_min`` that is right).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import random
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from heapq import heappop, heappush
from pathlib import Path

import distributed
from distributed import Client, Scheduler, Worker, wait

from snakemake_executor_plugin_daskmpi.placement.placement import Placement
from snakemake_executor_plugin_daskmpi.resources import JobResources, WorkerResources

WORKERS, CORES, MEM_MB = 3, 4, 12000
JOBS = 120


@dataclass(frozen=True)
class Job:
    """One job of a load."""

    key: str
    request: JobResources
    duration_s: float


#: Runs a load to its end, given a client and the addresses of the workers.
Run = Callable[[Client, Sequence[str], Sequence[Job]], Awaitable[None]]


def load_of(seed: int, seconds: float) -> list[Job]:
    """Return a seed's load, its durations scaled so that the bound on its makespan is some seconds."""
    rng = random.Random(seed)
    jobs = [
        Job(
            f"job-{number}",
            JobResources(cores=rng.randint(1, 4), mem_mb=rng.choice([500, 1000, 2000, 3000, 4000, 6000])),
            rng.uniform(0.5, 3),
        )
        for number in range(JOBS)
    ]
    scale = seconds / lower_bound_s(jobs)
    return [replace(job, duration_s=job.duration_s * scale) for job in jobs]


def lower_bound_s(jobs: Sequence[Job]) -> float:
    """Return a time in which no schedule whatsoever can be done.

    The largest of: the longest job; per resource, all demand times duration over all supply (e = 0); and the same
    with each share x of a worker counted as 1 if x > 1-e and as 0 if x < e, for some e up to 1/2. The shares of jobs
    that run together still sum to at most 1 (a dual feasible function: Fekete and Schepers 2001).
    """
    bound = max(job.duration_s for job in jobs)
    for shares in (
        [job.request.cores / CORES for job in jobs],
        [job.request.mem_mb / MEM_MB for job in jobs],
    ):
        for e in {0.0, 0.5, *(x for x in shares if x <= 0.5)}:
            counted = [1.0 if x > 1 - e else 0.0 if x < e else x for x in shares]
            area = sum(x * job.duration_s for x, job in zip(counted, jobs, strict=True))
            bound = max(bound, area / WORKERS)
    return bound


def work(duration_s: float) -> None:
    """Be a job."""
    time.sleep(duration_s)


async def run_dask(client: Client, _: Sequence[str], jobs: Sequence[Job], *, largest_first: bool = False) -> None:
    """Run a load with Dask's resources."""
    futures = [
        client.submit(
            work,
            job.duration_s,
            key=job.key,
            pure=False,
            resources={"cores": job.request.cores, "mem_mb": job.request.mem_mb},
            priority=max(job.request.cores / CORES, job.request.mem_mb / MEM_MB) if largest_first else 0,
        )
        for job in jobs
    ]
    await wait(futures)


async def run_placement(
    client: Client, addresses: Sequence[str], jobs: Sequence[Job], *, runtimes: bool = False
) -> None:
    """Run a load through Placement."""
    placement = placement_of(addresses, jobs, runtimes=runtimes)
    durations = {job.key: job.duration_s for job in jobs}
    running: set[asyncio.Task[str]] = set()

    async def run_one(key: str, worker: str) -> str:
        future = client.submit(
            work, durations[key], key=key, pure=False, workers=[worker], allow_other_workers=False, retries=0
        )
        await wait(future)
        return key

    while placement.queued or running:
        running |= {asyncio.create_task(run_one(a.key, a.worker)) for a in placement.assignments()}
        done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            placement.release(task.result())


def placement_of(workers: Sequence[str], jobs: Sequence[Job], *, runtimes: bool = False) -> Placement:
    """Return a placement with all jobs queued."""
    placement = Placement()
    for worker in workers:
        placement.add_worker(worker, WorkerResources(cores=tuple(range(CORES)), mem_mb=MEM_MB, disk_mb=0))
    for job in jobs:
        runtime_min = round(1000 * job.duration_s) if runtimes else None
        placement.enqueue(job.key, replace(job.request, runtime_min=runtime_min))
    return placement


def simulated_makespan_s(jobs: Sequence[Job]) -> float:
    """Return how long a load takes through Placement if starting and ending a job takes no time."""
    placement = placement_of([f"w{number}" for number in range(WORKERS)], jobs)
    durations = {job.key: job.duration_s for job in jobs}
    now_s, ends = 0.0, [(0.0, "")]
    while ends:
        now_s, key = heappop(ends)
        placement.release(key)
        for assignment in placement.assignments():
            heappush(ends, (now_s + durations[assignment.key], assignment.key))
    return now_s


async def makespan_s(run: Run, jobs: Sequence[Job], client_interval_s: float) -> float:
    """Return how long a run takes on a fresh cluster that is up and has run a task on each worker."""
    async with AsyncExitStack() as stack:
        scheduler = await stack.enter_async_context(Scheduler(port=0, dashboard_address=":0", host="127.0.0.1"))
        addresses = []
        for _ in range(WORKERS):
            worker = Worker(
                scheduler.address, nthreads=16, resources={"cores": CORES, "mem_mb": MEM_MB}, dashboard_address=":0"
            )
            addresses.append((await stack.enter_async_context(worker)).address)
        client = await stack.enter_async_context(Client(scheduler.address, asynchronous=True))
        await asyncio.gather(*(client.submit(work, 0, workers=[address], pure=False) for address in addresses))
        client.scheduler_comm.interval = client_interval_s
        start = time.perf_counter()
        await asyncio.wait_for(run(client, addresses, jobs), timeout=120)
        return time.perf_counter() - start


async def measurements(
    seeds: Sequence[int], seconds: float, client_interval_s: float, *, extra: bool
) -> list[dict[str, object]]:
    """Return a row per seed and way to place, and print each."""
    ways: dict[str, Run] = {"placement": run_placement, "dask": run_dask}
    if extra:
        ways["placement, runtimes"] = partial(run_placement, runtimes=True)
        ways["dask, largest first"] = partial(run_dask, largest_first=True)
    rows: list[dict[str, object]] = []
    print(f"{'seed':>4}  {'placed by':22}  {'bound s':>7}  {'makespan s':>10}  {'bound/makespan':>14}")
    for seed in seeds:
        jobs = load_of(seed, seconds)
        bound_s = lower_bound_s(jobs)
        for name, run in {"placement, simulated": None, **ways}.items():
            elapsed_s = simulated_makespan_s(jobs) if run is None else await makespan_s(run, jobs, client_interval_s)
            ratio = bound_s / elapsed_s
            rows.append({"seed": seed, "placed_by": name, "bound_s": bound_s, "makespan_s": elapsed_s, "ratio": ratio})
            print(f"{seed:4}  {name:22}  {bound_s:7.2f}  {elapsed_s:10.2f}  {ratio:14.3f}", flush=True)
    return rows


def main() -> int:
    """Measure, print a table, and write it as JSON where asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--seconds", type=float, default=8, help="what the durations are scaled to: each load's bound")
    parser.add_argument(
        "--client-interval-ms",
        type=float,
        default=1,
        metavar="MS",
        help="how long Dask's client gathers messages before it sends them; 10 is Dask's own",
    )
    parser.add_argument("--extra", action="store_true", help="two more ways to place, see the docstring")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the figures")
    args = parser.parse_args()
    logging.getLogger("distributed").setLevel(logging.ERROR)
    rows = asyncio.run(measurements(args.seeds, args.seconds, args.client_interval_ms / 1000, extra=args.extra))
    if args.json:
        versions = {"python": sys.version.split()[0], "distributed": distributed.__version__}
        load = {"jobs": JOBS, "workers": WORKERS, "cores": CORES, "mem_mb": MEM_MB, "seconds": args.seconds}
        load |= {"client_interval_ms": args.client_interval_ms}
        args.json.write_text(json.dumps({"versions": versions, "load": load, "rows": rows}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
