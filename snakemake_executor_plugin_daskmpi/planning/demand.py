"""What a workflow still has to do: its jobs, what each asks for, and which has to wait for which.

Runs on: the login node, in the process that is Snakemake, when the DAG is there and nothing has run.

Each job is looked at once and nothing is kept of Snakemake's objects, so that planning is pure and cheap: 10,000 jobs
take less time than Snakemake needs to find out which of them have to run.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from snakemake_executor_plugin_daskmpi.resources import JobResources, Steering, WorkerResources, says_memory, shrunk
from snakemake_executor_plugin_daskmpi.snakemake_internals.group_needs import least_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: Minutes that a job is taken to need whose rule does not say. Arbitrary.
ASSUMED_RUNTIME_MIN = 5
#: Memory in MB that a job is taken to need as long as nobody knows, as when it depends on the size of an input that
#: does not exist yet. The least that Snakemake's own default (``max(2*input.size_mb, 1000)``) comes to.
ASSUMED_MEM_MB = 1000


@dataclass(frozen=True, slots=True)
class Need:
    """What a job needs."""

    #: As asked for; memory that is not known is filled in.
    resources: JobResources
    steering: Steering
    #: How long it runs, as far as anyone knows.
    minutes: float
    #: Whether it runs on rank 1, inside Snakemake's own process.
    is_local: bool = False
    #: What a group of jobs is content with, then taking longer; None for a single job.
    least: JobResources | None = None

    @property
    def cores(self) -> int:
        """Cores that it takes from a worker."""
        return self.resources.cores


@dataclass(frozen=True, slots=True)
class Job:
    """One job that has to run, or one group of jobs."""

    rule: str
    need: Need
    priority: int = 0
    #: The jobs that have to end before it starts, by their index in the demand.
    after: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Shape:
    """So many jobs that need the same."""

    need: Need
    count: int
    rules: tuple[str, ...]

    @property
    def minutes(self) -> float:
        """Minutes of all its jobs, one after the other."""
        return self.count * self.need.minutes

    @property
    def work(self) -> float:
        """Core-minutes of all its jobs; a job without cores counts as one with a hundredth."""
        return self.minutes * (self.need.cores or 0.01)


@dataclass(frozen=True, slots=True)
class Demand:
    """All that has to run."""

    jobs: tuple[Job, ...]
    #: Rules without ``runtime``.
    assumed_runtime: tuple[str, ...] = ()
    #: Rules whose memory is not known.
    assumed_memory: tuple[str, ...] = ()
    #: Checkpoints among the jobs: what comes after them is not known yet.
    checkpoints: tuple[str, ...] = ()
    #: Rules without ``runtime`` whose jobs are taken to last as long as in an earlier run.
    recorded_runtime: tuple[str, ...] = ()
    #: Which run that was, for people.
    recorded_in: str = ""

    @property
    def n_worker_jobs(self) -> int:
        """Jobs that go to workers."""
        return sum(not job.need.is_local for job in self.jobs)

    @property
    def work(self) -> float:
        """Core-minutes of all jobs that go to workers."""
        return sum(shape.work for shape in self.shapes())

    def shapes(self) -> list[Shape]:
        """Return what the workers' jobs ask for, each kind once, those without steering first, then by size."""
        rules: dict[Need, Counter[str]] = {}
        for job in self.jobs:
            if not job.need.is_local:
                rules.setdefault(job.need, Counter())[job.rule] += 1
        shapes = [Shape(need, sum(names.values()), tuple(sorted(names))) for need, names in rules.items()]
        return sorted(shapes, key=_order)

    def within(self, offers_of: Callable[[Steering], list[WorkerResources]]) -> Demand:
        """Return the same with groups that ask for no more than there is.

        Parameters
        ----------
        offers_of
            Returns what whole nodes would offer to a job.
        """
        return replace(self, jobs=tuple(replace(job, need=_within(job.need, offers_of)) for job in self.jobs))

    def with_recorded_runtimes(self, minutes_of: Mapping[str, float], recorded_in: str) -> Demand:
        """Return the same with runtimes that a record knows, for rules that do not say.

        What a rule states stays as it is, and so does what its jobs ask for: rank 1 knows no more than before. Groups
        keep what is assumed, since how long one takes depends on the room that it gets.
        """
        rules = {
            job.rule
            for job in self.jobs
            if job.rule in minutes_of and job.rule in self.assumed_runtime and job.need.least is None
        }
        # Equal needs stay one object.
        needs: dict[tuple[str, int], Need] = {}
        jobs = []
        for job in self.jobs:
            if job.rule not in rules or job.need.resources.runtime_min or job.need.is_local or job.need.least:
                jobs.append(job)
                continue
            key = (job.rule, id(job.need))
            if key not in needs:
                needs[key] = replace(job.need, minutes=minutes_of[job.rule])
            jobs.append(replace(job, need=needs[key]))
        return replace(
            self,
            jobs=tuple(jobs),
            assumed_runtime=tuple(rule for rule in self.assumed_runtime if rule not in rules),
            recorded_runtime=tuple(sorted(rules)),
            recorded_in=recorded_in if rules else "",
        )

    def critical_path_min(self) -> float:
        """Return the minutes of the longest chain of jobs that wait for one another."""
        ends = [0.0] * len(self.jobs)
        for index in self._in_order():
            job = self.jobs[index]
            ends[index] = max((ends[i] for i in job.after), default=0.0) + job.need.minutes
        return max(ends, default=0.0)

    def n_behind(self) -> list[int]:
        """Return for each job how many jobs the longest chain has that waits for it."""
        waiting, lengths = self.dependents(), [0] * len(self.jobs)
        for index in reversed(self._in_order()):
            lengths[index] = max((lengths[other] + 1 for other in waiting[index]), default=0)
        return lengths

    def dependents(self) -> list[list[int]]:
        """Return for each job those that wait for it."""
        waiting: list[list[int]] = [[] for _ in self.jobs]
        for index, job in enumerate(self.jobs):
            for before in job.after:
                waiting[before].append(index)
        return waiting

    def _in_order(self) -> list[int]:
        """Return all jobs' indices, each after those that it waits for."""
        waiting, left = self.dependents(), [len(job.after) for job in self.jobs]
        ready, order = deque(index for index, number in enumerate(left) if not number), []
        while ready:
            index = ready.popleft()
            order.append(index)
            for dependent in waiting[index]:
                left[dependent] -= 1
                if not left[dependent]:
                    ready.append(dependent)
        return order


def _order(shape: Shape) -> tuple[object, ...]:
    asked = shape.need.resources
    return (asked.component, -asked.gpus, -asked.cores, -asked.mem_mb, -shape.need.minutes, shape.rules)


def _within(need: Need, offers_of: Callable[[Steering], list[WorkerResources]]) -> Need:
    """Return a need that nodes can hold, if they hold the least of it; a group in less room takes longer."""
    if need.least is None:
        return need
    wish, given = need.resources, shrunk(need.resources, need.least, offers_of(need.steering))
    shares = ((wish.cores, given.cores), (wish.mem_mb, given.mem_mb))
    times = max((-(-asked // got) for asked, got in shares if got), default=1)
    return replace(need, resources=given, minutes=need.minutes * times)


def demand_of(dag: Any) -> Demand:
    """Read the jobs that have to run from Snakemake's DAG.

    A group of jobs counts as one job, as it is one to the executor.
    """
    units: dict[int, tuple[Any, list[Any]]] = {}
    for job in dag.jobs:  # in the order in which they were found; needrun_jobs() has none
        if dag.needrun(job) and not dag.finished(job):
            unit = dag.get_job_group(job) or job
            units.setdefault(id(unit), (unit, []))[1].append(job)
    index_of = {id(job): index for index, (_, members) in enumerate(units.values()) for job in members}
    reader = _Reader()
    jobs = []
    for index, (unit, members) in enumerate(units.values()):
        before = {index_of.get(id(other), index) for job in members for other in dag.job_dependencies(job)}
        need, priority = reader.need_of(unit), min(int(unit.priority), 2**31)
        jobs.append(Job(unit.name, need, priority, tuple(sorted(before - {index}))))
    return Demand(
        tuple(jobs),
        assumed_runtime=tuple(sorted(reader.assumed_runtime)),
        assumed_memory=tuple(sorted(reader.assumed_memory)),
        checkpoints=tuple(sorted({unit.name for unit, _ in units.values() if unit.is_checkpoint})),
    )


#: What a job without a body needs.
_NOTHING = Need(JobResources(cores=0), Steering(), 0.0, is_local=True)


class _Reader:
    """Reads what jobs need, equal ones into the same object, and remembers what the rules did not say."""

    def __init__(self) -> None:
        self.assumed_runtime: set[str] = set()
        self.assumed_memory: set[str] = set()
        self._needs: dict[object, Need] = {}

    def need_of(self, job: Any) -> Need:
        """Return what a job or a group needs. Its resources are evaluated here, once: Snakemake keeps them."""
        # A rule like ``all`` has what a profile's default resources say of every rule, and runs nothing.
        if not job.is_group() and job.is_norun:
            return _NOTHING
        resources = job.resources
        is_local = bool(job.is_local)
        # The folder for temporary files is not for us to read: it has a value on the node only.
        key = (is_local, *((name, str(value)) for name, value in resources.items() if name != "tmpdir"))
        asked = self._needs.get(key)
        if asked is None:
            asked = self._needs[key] = _need(job, resources, is_local=is_local)
        if not is_local:
            if not asked.resources.runtime_min:
                self.assumed_runtime.add(job.name)
            if not says_memory(resources):
                self.assumed_memory.add(job.name)
        return asked


def _need(job: Any, resources: Any, *, is_local: bool) -> Need:
    asked = JobResources.of(resources)
    if is_local:
        return Need(asked, Steering(), float(asked.runtime_min or 0), is_local=True)
    steps = len(job.toposorted) if job.is_group() else 1
    minutes = asked.runtime_min or ASSUMED_RUNTIME_MIN * steps
    if not says_memory(resources):
        asked = replace(asked, mem_mb=ASSUMED_MEM_MB)
    least = least_of(job, asked) if job.is_group() else None
    return Need(asked, Steering.of(resources), float(minutes), least=least)
