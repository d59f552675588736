"""Seeded loads of six kinds, and a time in which no schedule whatsoever can be done with one.

Runs on: the machine of the tests. Called by: packing.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.planning import demand
from snakemake_executor_plugin_daskmpi.planning.demand import Demand, Need
from snakemake_executor_plugin_daskmpi.resources import JobResources, Steering, WorkerResources

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True)
class Job:
    """One job of a load."""

    request: JobResources
    duration_s: float
    #: The jobs that have to end before it starts, by their index.
    after: tuple[int, ...] = ()


@dataclass(frozen=True)
class Load:
    """All jobs, each after those that it waits for, and the workers for them."""

    jobs: list[Job]
    workers: list[WorkerResources]

    @property
    def demand(self) -> Demand:
        """What a plan reads from a DAG, with a rule for all."""
        needs = [(Need(job.request, Steering(), job.duration_s / 60), job.after) for job in self.jobs]
        return Demand(tuple(demand.Job("rule", need, after=after) for need, after in needs))


def worker(cores: int, mem_mb: int, gpus: int = 0) -> WorkerResources:
    """Return what one worker offers."""
    return WorkerResources(tuple(range(cores)), mem_mb, disk_mb=0, gpus=tuple(map(str, range(gpus))))


def mixed(rng: random.Random) -> Load:
    """Return jobs of all sizes, all ready at once; no rule says how long they take."""
    memory = [500, 1000, 2000, 3000, 4000, 6000]
    jobs = [Job(JobResources(rng.randint(1, 4), rng.choice(memory)), rng.uniform(0.5, 3)) for _ in range(120)]
    return Load(jobs, [worker(4, 12000)] * 3)


def long_tails(rng: random.Random) -> Load:
    """Return jobs of a short rule and of one that takes 20 times as long, as both say."""
    jobs = []
    for _ in range(150):
        is_long = rng.random() < 0.08
        duration_s = rng.uniform(40, 60) if is_long else 0.5 + rng.expovariate(0.5)
        jobs.append(Job(JobResources(1, 1000, runtime_min=60 if is_long else 5), duration_s))
    return Load(jobs, [worker(4, 12000)] * 3)


def gpus(rng: random.Random) -> Load:
    """Return jobs of which a third need a GPU, for two workers that have them and one that has none."""
    jobs = []
    for _ in range(200):
        n_gpus = int(rng.random() < 0.3)
        cores = rng.choice([1, 2] if n_gpus else [1, 2, 4])
        jobs.append(Job(JobResources(cores, rng.choice([1000, 4000]), gpus=n_gpus), rng.uniform(1, 6)))
    return Load(jobs, [worker(8, 32000, 2), worker(8, 32000, 2), worker(8, 32000)])


def memory_bound(rng: random.Random) -> Load:
    """Return jobs that fill the memory before the cores."""
    memory = [500, 2000, 4000, 7000, 9000]
    jobs = [Job(JobResources(rng.randint(1, 2), rng.choice(memory)), rng.uniform(1, 5)) for _ in range(150)]
    return Load(jobs, [worker(8, 16000)] * 3)


def chains(rng: random.Random) -> Load:
    """Return samples of which each is a chain of 2 to 12 jobs, beside jobs that nothing waits for."""
    jobs: list[Job] = []
    for _ in range(12):
        for step in range(rng.choice([2, 3, 12])):
            after = (len(jobs) - 1,) if step else ()
            jobs.append(Job(JobResources(rng.choice([1, 2]), 1000), rng.uniform(1, 3), after))
    jobs += [Job(JobResources(rng.choice([1, 1, 2]), 1000), rng.uniform(1, 3)) for _ in range(120)]
    return Load(jobs, [worker(4, 12000)] * 3)


def joins(rng: random.Random) -> Load:
    """Return samples of six parts that a large job joins, and two more work on; then a report of all."""
    jobs: list[Job] = []
    ends = []
    for _ in range(16):
        parts = range(len(jobs), len(jobs) + 6)
        jobs += [Job(JobResources(1, 1500), rng.uniform(1, 3)) for _ in parts]
        jobs.append(Job(JobResources(4, 6000), rng.uniform(2, 4), tuple(parts)))
        joined = (len(jobs) - 1,)
        ends += [len(jobs), len(jobs) + 1]
        jobs += [Job(JobResources(cores, 1500), rng.uniform(1, 3), joined) for cores in (1, 2)]
    jobs.append(Job(JobResources(1, 500), 1, tuple(ends)))
    return Load(jobs, [worker(4, 12000)] * 3)


KINDS: dict[str, Callable[[random.Random], Load]] = {
    each.__name__.replace("_", " "): each for each in (mixed, long_tails, gpus, memory_bound, chains, joins)
}


def load_of(kind: str, seed: int) -> Load:
    """Return a load that is the same each time."""
    return KINDS[kind](random.Random(f"{kind} {seed}"))


def lower_bound_s(load: Load) -> float:
    """Return a time in which no schedule whatsoever can be done.

    The longest chain; and of all jobs with at least h seconds of chain before and t seconds after them, h and t and the
    largest of these: per resource, all demand times duration over all supply (e = 0); and the same with each share x of
    a worker counted as 1 if x > 1-e and as 0 if x < e, for some e up to 1/2. The shares of jobs that run together still
    sum to at most 1 (a dual feasible function: Fekete and Schepers 2001).
    """
    jobs, waiting = load.jobs, load.demand.dependents()
    before, after = [0.0] * len(jobs), [0.0] * len(jobs)
    for index, job in enumerate(jobs):
        before[index] = max((before[i] + jobs[i].duration_s for i in job.after), default=0.0)
    for index in reversed(range(len(jobs))):
        after[index] = max((after[i] + jobs[i].duration_s for i in waiting[index]), default=0.0)
    bound = max(b + job.duration_s + a for b, job, a in zip(before, jobs, after, strict=True))
    for head in _some(before):
        for tail in _some(after):
            within = [job for job, b, a in zip(jobs, before, after, strict=True) if b >= head and a >= tail]
            if within:
                bound = max(bound, head + tail + _area_s(within, load.workers))
    return bound


def _some(values: list[float], at_most: int = 12) -> list[float]:
    """Return some of the different values, the least among them."""
    different = sorted(set(values))
    return different[:: max(1, len(different) // at_most)]


def _area_s(jobs: Sequence[Job], workers: Sequence[WorkerResources]) -> float:
    bound = 0.0
    for asked, offered in (
        ([job.request.cores for job in jobs], [len(each.cores) for each in workers]),
        ([job.request.mem_mb for job in jobs], [each.mem_mb for each in workers]),
        ([job.request.gpus for job in jobs], [len(each.gpus) for each in workers]),
    ):
        if not any(offered):
            continue
        bound = max(bound, sum(n * job.duration_s for n, job in zip(asked, jobs, strict=True)) / sum(offered))
        if len(set(offered)) > 1:
            continue
        shares = [n / offered[0] for n in asked]
        for e in {0.5, *(x for x in shares if 0 < x <= 0.5)}:
            counted = [1.0 if x > 1 - e else 0.0 if x < e else x for x in shares]
            area = sum(x * job.duration_s for x, job in zip(counted, jobs, strict=True))
            bound = max(bound, area / len(workers))
    return bound
