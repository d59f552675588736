"""How well jobs are packed: the makespan of seeded loads against a lower bound, and against the optimum of small ones.

Runs on: one machine, for seconds. Called by: hand, ``python tests/benchmark/packing.py [--seeds 1 2 3]``.

The decisions are those of a run, since they are made by its Placement, which is told of all that is ready and of each
end of a job, but never how long a job takes. Nothing but jobs takes time here: what starting them costs, throughput.py
shows.
"""

from __future__ import annotations

import argparse
import itertools
import random
import sys
from dataclasses import replace
from heapq import heappop, heappush
from statistics import mean

from mixes import KINDS, Job, Load, load_of, lower_bound_s, worker

from snakemake_executor_plugin_daskmpi.placement.placement import Placement
from snakemake_executor_plugin_daskmpi.resources import JobResources

#: Of the loads that are compared with their optimum, for two workers of 4 cores.
SMALL_JOBS = 7


def makespan_s(load: Load) -> float:
    """Return how long a load takes through Placement if starting and ending a job takes no time."""
    placement, n_behind, waiting = Placement(), load.demand.n_behind(), load.demand.dependents()
    for number, offer in enumerate(load.workers):
        placement.add_worker(f"w{number}", offer)
    left = [len(job.after) for job in load.jobs]
    now_s, ready, ends = 0.0, [i for i, n in enumerate(left) if not n], list[tuple[float, int]]()
    while True:
        for index in ready:
            placement.enqueue(str(index), load.jobs[index].request, n_behind=n_behind[index])
        for assignment in placement.assignments():
            index = int(assignment.key)
            heappush(ends, (now_s + load.jobs[index].duration_s, index))
        if not ends:
            break
        now_s, index = heappop(ends)
        placement.release(str(index))
        ready = []
        for other in waiting[index]:
            left[other] -= 1
            if not left[other]:
                ready.append(other)
    if placement.queued or any(left):
        raise RuntimeError("some jobs never ran")
    return now_s


def small_load(seed: int) -> Load:
    """Return a few jobs, all ready, for two workers."""
    rng = random.Random(seed)
    jobs = [
        Job(JobResources(rng.randint(1, 3), rng.choice([1000, 4000, 7000])), rng.uniform(1, 4))
        for _ in range(SMALL_JOBS)
    ]
    return Load(jobs, [worker(4, 12000)] * 2)


def with_runtimes(load: Load) -> Load:
    """Return the same with a right ``runtime`` for each job, of a minute for each twentieth of a second."""
    jobs = [replace(job, request=replace(job.request, runtime_min=1 + round(20 * job.duration_s))) for job in load.jobs]
    return replace(load, jobs=jobs)


def optimum_s(load: Load) -> float:
    """Return the makespan of the best of all schedules of ready jobs on two equal workers.

    Of one worker's jobs, some order is best in which each starts as soon as there is room. So it suffices to try all
    orders of each set of jobs, and all ways to share the jobs between the two.
    """
    indices = range(len(load.jobs))
    best_of = {
        chosen: min(_ordered_s([load.jobs[i] for i in order], load) for order in itertools.permutations(chosen))
        for size in range(len(load.jobs) + 1)
        for chosen in itertools.combinations(indices, size)
    }
    return min(max(best, best_of[tuple(i for i in indices if i not in chosen)]) for chosen, best in best_of.items())


def _ordered_s(jobs: list[Job], load: Load) -> float:
    """Return when one worker is done that starts jobs in this order, each as early as there is room until it ends."""
    cores, mem_mb = len(load.workers[0].cores), load.workers[0].mem_mb
    placed: list[tuple[float, float, JobResources]] = []
    for job in jobs:
        for start_s in sorted({0.0, *(end_s for _, end_s, _ in placed)}):
            end_s = start_s + job.duration_s
            beside = [other for other in placed if other[0] < end_s and other[1] > start_s]
            # What runs beside it takes most at its start, or when one of the others starts.
            if all(
                sum(r.cores for s, e, r in beside if s <= at < e) + job.request.cores <= cores
                and sum(r.mem_mb for s, e, r in beside if s <= at < e) + job.request.mem_mb <= mem_mb
                for at in (start_s, *(s for s, _, _ in beside if s > start_s))
            ):
                placed.append((start_s, end_s, job.request))
                break
    return max((end_s for _, end_s, _ in placed), default=0.0)


def main() -> int:
    """Measure, and print two tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    seeds = parser.parse_args().seeds
    print(f"lower bound / makespan{'':8}" + "".join(f"  seed {seed:<3}" for seed in seeds) + "    mean")
    for kind in KINDS:
        loads = [load_of(kind, seed) for seed in seeds]
        bounds = [lower_bound_s(load) for load in loads]
        for name, change in ((kind, lambda load: load), (f"{kind}, with runtimes", with_runtimes)):
            ratios = [bound / makespan_s(change(load)) for load, bound in zip(loads, bounds, strict=True)]
            print(f"{name:30}" + "".join(f"{ratio:10.3f}" for ratio in ratios) + f"{mean(ratios):8.3f}")
    small = [small_load(seed) for seed in range(20)]
    print(f"\noptimum / makespan of {len(small)} loads of {SMALL_JOBS} jobs on two workers")
    best = [optimum_s(load) for load in small]
    for name, change in (("", lambda load: load), (", with runtimes", with_runtimes)):
        ratios = sorted(optimum / makespan_s(change(load)) for optimum, load in zip(best, small, strict=True))
        print(f"small{name:25} mean {mean(ratios):.3f}, least {ratios[0]:.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
