"""Why cores idled.

Runs on: wherever somebody asks for a report. Pure.

At each moment, the cores that idle are those that workers offer less those that jobs have. They are shared out in this
order:

1. *drain*: all of them, from the moment on at which nothing starts any more;
2. *starting*: as many as those waiting jobs ask for that would have fit a worker then. They are on their way, or held
   back by ``--cores`` or for a larger job;
3. *too large*: as many as the other waiting jobs ask for: no worker had all that one of them needs, be it cores,
   memory, GPUs or disk. Which of these it was, see :class:`Lack`, is what the record said of jobs like it then, or
   said next, as it looks once a second; where fewer cores idled than such jobs ask for, they are parted in the same
   proportions;
4. *no job*: the rest. Nothing that waited could have used them.
"""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from snakemake_executor_plugin_daskmpi.record.events import Cause
from snakemake_executor_plugin_daskmpi.report.steps import Steps
from snakemake_executor_plugin_daskmpi.resources import UNLIMITED_DISK_MB

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from snakemake_executor_plugin_daskmpi.record.events import Reason
    from snakemake_executor_plugin_daskmpi.record.run_view import JobView, WorkerView
    from snakemake_executor_plugin_daskmpi.report.history import RunHistory


class Idle(StrEnum):
    """Why a core idled."""

    NO_JOB = "no ready job"
    TOO_LARGE = "ready jobs too large for what was free"
    STARTING = "ready jobs being started or held back"
    DRAIN = "drain"


class Lack(StrEnum):
    """What of too little was free, where jobs were too large for what was free."""

    CORES = "cores"
    MEMORY = "memory"
    GPUS = "GPUs"
    DISK = "scratch space"
    TOGETHER = "one worker with all of it free"
    WORKER = "a worker that could hold them"
    UNKNOWN = "something not noted"


_LACK_OF = {
    Cause.CORES: Lack.CORES,
    Cause.MEMORY: Lack.MEMORY,
    Cause.GPUS: Lack.GPUS,
    Cause.DISK: Lack.DISK,
    Cause.TOGETHER: Lack.TOGETHER,
    Cause.AWAITED: Lack.WORKER,
}


class IdleSteps(NamedTuple):
    """How many cores idled over time."""

    by_reason: dict[Idle, Steps]
    #: The parts of :attr:`Idle.TOO_LARGE`.
    by_lack: dict[Lack, Steps]


class Shape(NamedTuple):
    """What a job needs of one worker."""

    cores: int
    mem_mb: int
    disk_mb: int
    gpus: int
    component: str


@dataclass(slots=True)
class Room:
    """What is free on a worker."""

    cores: int
    mem_mb: int
    disk_mb: int
    gpus: int
    components: tuple[str, ...] | None

    def fits(self, shape: Shape) -> bool:
        """Say whether a job fits in."""
        return (
            self.cores >= shape.cores
            and self.mem_mb >= shape.mem_mb
            and self.disk_mb >= shape.disk_mb
            and self.gpus >= shape.gpus
            and (not shape.component or self.components is None or shape.component in self.components)
        )


class _Moment:
    """Workers and waiting jobs at one moment, which moves on."""

    def __init__(self) -> None:
        self.rooms: dict[str, Room] = {}
        self.waiting: Counter[Shape] = Counter()
        #: Of what jobs that wait have too little, as it was noted last, or will be next.
        self.lacks: dict[Shape, Lack] = {}
        self.offered = self.granted = 0

    def come(self, worker: WorkerView) -> None:
        disk_mb = worker.disk_mb or UNLIMITED_DISK_MB
        self.rooms[worker.name] = Room(len(worker.cores), worker.mem_mb, disk_mb, len(worker.gpus), worker.components)
        self.offered += len(worker.cores)

    def go(self, worker: WorkerView) -> None:
        del self.rooms[worker.name]
        self.offered -= len(worker.cores)

    def wait(self, shape: Shape, number: int) -> None:
        """Let a job begin to wait (1) or no longer wait (-1)."""
        self.waiting[shape] += number

    def look(self, lacks: dict[Shape, Lack]) -> None:
        """Take note of why jobs wait."""
        self.lacks = lacks

    def pass_by(self) -> None:
        """Change nothing: only the time goes on."""

    def give(self, job: JobView, cores: int, sign: int) -> None:
        """Let a job begin (1) or end (-1)."""
        self.granted += sign * cores
        if (room := self.rooms.get(job.worker)) is not None:
            room.cores -= sign * len(job.cores)
            room.mem_mb -= sign * int(job.asks.get("mem_mb", 0))
            room.disk_mb -= sign * int(job.asks.get("disk_mb", 0))
            room.gpus -= sign * len(job.gpus)

    def idle(self, *, drained: bool) -> tuple[dict[Idle, int], dict[Lack, float]]:
        """Share out what idles now, in cores, and what of it jobs were too large for."""
        left = max(0, self.offered - self.granted)
        if drained or not left:
            return {Idle.DRAIN: left}, {}
        fitting = 0
        other: Counter[Lack] = Counter()
        for shape, number in self.waiting.items():
            if number <= 0 or not shape.cores:
                continue
            if any(room.fits(shape) for room in self.rooms.values()):
                fitting += number * shape.cores
            else:
                other[self.lacks.get(shape, Lack.UNKNOWN)] += number * shape.cores
        starting = min(left, fitting)
        too_large = min(left - starting, other.total())
        by_lack = {lack: too_large * cores / other.total() for lack, cores in other.items()}
        reasons = {Idle.STARTING: starting, Idle.TOO_LARGE: too_large, Idle.NO_JOB: left - starting - too_large}
        return reasons, by_lack


#: When, what of one moment comes first, and what it does.
_Change = tuple[float, int, "Callable[[_Moment], None]"]


def idle_by_reason(history: RunHistory) -> IdleSteps:
    """Return how many cores idled over time, by reason."""
    steps = IdleSteps({reason: Steps() for reason in Idle}, {lack: Steps() for lack in Lack})
    moment, since = _Moment(), history.started_at
    for at, _, change in sorted(_changes(history), key=lambda each: each[:2]):
        if at > since:
            drained = history.drained_at is not None and since >= history.drained_at
            reasons, lacks = moment.idle(drained=drained)
            until = min(at, history.until)
            for reason, cores in reasons.items():
                steps.by_reason[reason].add(since, until, cores)
            for lack, part in lacks.items():
                steps.by_lack[lack].add(since, until, part)
            since = at
        change(moment)
    return steps


def _changes(history: RunHistory) -> list[_Change]:
    """Return what changes and when; at one moment, what ends comes before what begins."""
    changes: list[_Change] = [(history.until, 3, _Moment.pass_by)]
    if history.drained_at is not None:
        changes.append((history.drained_at, 3, _Moment.pass_by))
    looks = [(history.started_at, {}), *((at, _lacks_of(reasons)) for at, reasons in history.reasons_over_time)]
    for (at, lacks), (_, following) in itertools.pairwise([*looks, (history.until, {})]):
        changes.append((at, 2, partial(_Moment.look, lacks={**following, **lacks})))
    for worker in history.all_workers:
        joined, left = history.life_of(worker)
        if left > joined:
            changes.append((joined, 1, partial(_Moment.come, worker=worker)))
            changes.append((left, 0, partial(_Moment.go, worker=worker)))
    for job in history.jobs.values():
        begin, end = history.waiting_of(job)
        shape = shape_of(job.asks)
        changes.append((begin, 2, partial(_Moment.wait, shape=shape, number=1)))
        changes.append((end, 2, partial(_Moment.wait, shape=shape, number=-1)))
        if (running := history.running_of(job)) is not None and running[1] > running[0]:
            cores = history.cores_of(job)
            changes.append((running[0], 2, partial(_Moment.give, job=job, cores=cores, sign=1)))
            changes.append((running[1], 0, partial(_Moment.give, job=job, cores=cores, sign=-1)))
    return changes


def _lacks_of(reasons: Sequence[Reason]) -> dict[Shape, Lack]:
    # Of several reasons for the same need, that of the highest rank, which comes first.
    return {shape_of(each.asks): _LACK_OF.get(each.cause, Lack.UNKNOWN) for each in reversed(reasons)}


def shape_of(asks: Mapping[str, Any]) -> Shape:
    """Return what a job needs of one worker that asks for so much; of an MPI program that may lie on several, one task.

    >>> shape_of({"cores": 8, "mem_mb": 4000, "tasks": 4, "spans": True})
    Shape(cores=2, mem_mb=1000, disk_mb=0, gpus=0, component='')
    """
    tasks = max(1, int(asks.get("tasks", 1))) if asks.get("spans") else 1
    cores, mem_mb, disk_mb = int(asks.get("cores", 1)), int(asks.get("mem_mb", 0)), int(asks.get("disk_mb", 0))
    component = str(asks.get("component", ""))
    return Shape(cores // tasks, mem_mb // tasks, disk_mb // tasks, int(asks.get("gpus", 0)), component)
