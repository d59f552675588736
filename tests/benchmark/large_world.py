"""How long a placement takes in a large world: 1,000 workers, and 100,000 jobs that wait.

Runs on: one machine, for some seconds. Called by: hand, ``python tests/benchmark/large_world.py``.

Only rank 1's decisions are measured, made by its Placement as in a run; there is no Dask and no network.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from statistics import median, quantiles
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.placement.placement import Placement
from snakemake_executor_plugin_daskmpi.resources import JobResources, WorkerResources

if TYPE_CHECKING:
    from collections.abc import Callable

#: How often each kind of placement is measured.
SAMPLES = 3000


def world_of(n_workers: int) -> Placement:
    """Return workers of 16 cores, of which each fourth has two GPUs."""
    placement = Placement()
    for number in range(n_workers):
        gpus = ("0", "1") if number % 4 == 0 else ()
        placement.add_worker(f"w{number}", WorkerResources(tuple(range(16)), 64000, 10**6, gpus))
    return placement


def request_of(rng: random.Random) -> JobResources:
    """Return what some rule asks for."""
    return JobResources(
        rng.choice([1, 1, 1, 2, 4, 8]),
        rng.choice([500, 1000, 2000, 4000, 8000]),
        gpus=rng.choice([0, 0, 0, 0, 1]),
        runtime_min=rng.choice([None, 5, 60]),
    )


def seconds_of(action: Callable[[], object]) -> float:
    """Return how long something takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def show(what: str, seconds: list[float]) -> None:
    """Print a line of the table."""
    print(f"{what:52}{1000 * median(seconds):10.3f}{1000 * quantiles(seconds, n=100)[98]:10.3f}")


def main() -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--requests", type=int, default=30, help="how many different ones; default: %(default)s")
    options = parser.parse_args()
    rng = random.Random(1)
    requests = [request_of(rng) for _ in range(options.requests)]
    print(f"{'':52}{'median ms':>10}{'99 % ms':>10}")

    placement = world_of(options.workers)
    show("a job comes, all workers idle", [_come(placement, f"early {i}", requests[0]) for i in range(SAMPLES)])

    placement = world_of(options.workers)
    for i in range(options.jobs):
        placement.enqueue(f"job {i}", rng.choice(requests), n_behind=i % 6)
    running = [assignment.key for assignment in placement.assignments()]
    seconds = []
    for _ in range(SAMPLES):
        placement_of_next: list[str] = []
        seconds.append(_end(placement, running.pop(rng.randrange(len(running))), placement_of_next))
        running += placement_of_next
    show(f"a job ends, {placement.queued} wait", seconds)
    late = [_come(placement, f"late {i}", rng.choice(requests)) for i in range(SAMPLES)]
    show(f"a job comes, {placement.queued} wait", late)
    return 0


def _come(placement: Placement, key: str, request: JobResources) -> float:
    return seconds_of(lambda: (placement.enqueue(key, request), placement.assignments()))


def _end(placement: Placement, key: str, started: list[str]) -> float:
    return seconds_of(lambda: (placement.release(key), started.extend(a.key for a in placement.assignments())))


if __name__ == "__main__":
    sys.exit(main())
