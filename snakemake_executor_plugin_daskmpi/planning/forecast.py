"""What a run of a plan will look like: when it ends, and how busy its workers are.

Runs on: the login node. Pure.

The jobs of the demand are played through the same placement that rank 1 uses, with the runtimes that their rules state
or a record knows. What it does not know is what rank 1, starting and file systems cost.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.placement.placement import Placement
from snakemake_executor_plugin_daskmpi.resources import UNLIMITED_DISK_MB, WorkerResources

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from snakemake_executor_plugin_daskmpi.planning.demand import Demand
    from snakemake_executor_plugin_daskmpi.slurm.plan import Component, Plan

#: Equal stretches of time in which busy cores are counted.
SLICES = 60


@dataclass(frozen=True, slots=True)
class Activity:
    """What the workers of one component do."""

    component: str
    workers: int
    cores: int
    core_min: float
    jobs: int
    #: Mean number of busy cores in each of :data:`SLICES` equal parts of the makespan.
    busy: tuple[float, ...]
    #: By rule, how many jobs ran here.
    rules: dict[str, int]
    #: Of each worker, from when to when it runs jobs, in minutes.
    spans: tuple[tuple[tuple[float, float], ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Forecast:
    """A run that has not happened."""

    makespan_min: float
    activities: tuple[Activity, ...]

    @property
    def utilisation(self) -> float:
        """The part of the workers' core time that jobs use."""
        offered = sum(each.cores for each in self.activities) * self.makespan_min
        return sum(each.core_min for each in self.activities) / offered if offered else 0.0

    def utilisation_of(self, activity: Activity) -> float:
        """Return the part of one component's core time that jobs use."""
        offered = activity.cores * self.makespan_min
        return activity.core_min / offered if offered else 0.0


@dataclass(frozen=True, slots=True)
class _Run:
    """One job that ran."""

    worker: str
    rule: str
    cores: int
    start: float
    end: float


def forecast_of(plan: Plan, demand: Demand) -> Forecast:
    """Play the demand through the workers of a plan; those that come and go in further jobs are always there.

    Raises
    ------
    ValueError
        If some job fits no worker, which no plan should have.
    """
    workers = _workers_of(plan)
    runs = _runs(_placement(workers), demand)
    makespan = max((run.end for run in runs), default=0.0)
    by_worker: dict[str, list[_Run]] = {name: [] for names in workers.values() for name in names}
    for run in runs:
        by_worker[run.worker].append(run)
    activities = []
    for component, names in workers.items():
        its_runs = [run for name in names for run in by_worker[name]]
        activities.append(
            Activity(
                component.name,
                len(names),
                len(names) * component.cpus_per_task,
                sum(run.cores * (run.end - run.start) for run in its_runs),
                len(its_runs),
                _busy(its_runs, makespan),
                dict(Counter(run.rule for run in its_runs)),
                tuple(merged_spans((run.start, run.end) for run in by_worker[name]) for name in names),
            )
        )
    return Forecast(makespan, tuple(activities))


def merged_spans(spans: Iterable[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Return stretches of time with those in one that meet or overlap.

    >>> merged_spans([(5, 6), (0, 2), (2, 3), (1, 2)])
    ((0, 3), (5, 6))
    """
    found: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return tuple(found)


def makespan_on(
    workers: Sequence[tuple[WorkerResources, str]],
    demand: Demand,
    *,
    max_cores: int | None = None,
    n_behind: Sequence[int] | None = None,
) -> float:
    """Return the minutes that a demand takes on workers that are there.

    Parameters
    ----------
    workers
        What each offers, and its step group (:meth:`Placement.add_worker`).
    max_cores
        Those of ``--cores``.
    n_behind
        Of each job, where more may wait for it than is in the demand; see :meth:`Demand.n_behind`.

    Raises
    ------
    ValueError
        If some job fits no worker.
    """
    placement = Placement(max_cores=max_cores)
    for number, (offer, step_group) in enumerate(workers):
        placement.add_worker(str(number), offer, step_group)
    runs = _runs(placement, demand, n_behind)
    return max((run.end for run in runs), default=0.0)


def _workers_of(plan: Plan) -> dict[Component, list[str]]:
    """Return the components that have workers, and names for these."""
    numbers = {component: component.n_tasks for component in (*plan.components, *plan.further)}
    if plan.has_head:
        # Ranks 0 and 1 are the first two tasks of the first one.
        numbers[plan.components[0]] -= 2
    return {
        component: [f"{component.name}.{index}" for index in range(number)]
        for component, number in numbers.items()
        if number
    }


def _runs(placement: Placement, demand: Demand, n_behind: Sequence[int] | None = None) -> list[_Run]:
    """Return when and where each job runs, each as soon as those before it are done and a worker has room."""
    waiting, left = demand.dependents(), [len(job.after) for job in demand.jobs]
    n_behind = demand.n_behind() if n_behind is None else n_behind
    ends: list[tuple[float, int]] = []
    runs: list[_Run] = []
    ready = [index for index, number in enumerate(left) if not number]
    now, done = 0.0, 0
    while done < len(demand.jobs):
        for index in ready:
            job = demand.jobs[index]
            if job.need.is_local:
                heappush(ends, (now + job.need.minutes, index))
            else:
                placement.enqueue(str(index), job.need.resources, job.priority, n_behind[index])
        for assignment in placement.assignments():
            job = demand.jobs[int(assignment.key)]
            end = now + job.need.minutes
            heappush(ends, (end, int(assignment.key)))
            runs.append(_Run(assignment.worker, job.rule, job.need.cores, now, end))
        if not ends:
            raise ValueError(f"{placement.queued} jobs fit no worker: {placement.unplaceable()[:3]}")
        now, ready = ends[0][0], []
        while ends and ends[0][0] == now:
            _, index = heappop(ends)
            done += 1
            placement.release(str(index))
            for dependent in waiting[index]:
                left[dependent] -= 1
                if not left[dependent]:
                    ready.append(dependent)
    return runs


def _placement(workers: Mapping[Component, Sequence[str]]) -> Placement:
    """Return an empty queue over all workers."""
    placement = Placement()
    for component, names in workers.items():
        offer = WorkerResources(
            cores=tuple(range(component.cpus_per_task)),
            mem_mb=component.cpus_per_task * component.mem_per_cpu_mb,
            disk_mb=UNLIMITED_DISK_MB,
            gpus=tuple(map(str, range(component.gpus_per_task))),
            components=component.serves,
        )
        for name in names:
            placement.add_worker(name, offer, component.name)
    return placement


def _busy(runs: Sequence[_Run], makespan: float) -> tuple[float, ...]:
    """Return the mean number of busy cores in each slice, in time that does not grow with the length of the jobs."""
    if not makespan:
        return (0.0,) * SLICES
    # The integral of busy cores over time, at each slice's end: a ramp begins with each job and ends with it.
    slope, value = [0.0] * (SLICES + 1), [0.0] * (SLICES + 1)
    for run in runs:
        for time, cores in ((run.start, run.cores), (run.end, -run.cores)):
            place = time / makespan * SLICES
            first = min(int(place), SLICES)
            slope[first] += cores
            value[first] += cores * (first - place)
    busy, rate, level = [], 0.0, 0.0
    for index in range(SLICES):
        rate += slope[index]
        level += value[index]
        busy.append(rate + level)
        level = 0.0
    return tuple(busy)
