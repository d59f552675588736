"""A run's state with a clock that the test sets, and names for what happens in it.

Called by: the unit tests of client.run_state.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from snakemake_executor_plugin_daskmpi.client.actions import Report, Say, Start
from snakemake_executor_plugin_daskmpi.client.job import Job
from snakemake_executor_plugin_daskmpi.client.job_queue import JobQueue
from snakemake_executor_plugin_daskmpi.client.run_state import RunState
from snakemake_executor_plugin_daskmpi.messages import JobOutcome, JobSpec, OutcomeKind, WorkerInfo
from snakemake_executor_plugin_daskmpi.placement.deadline import Deadline
from snakemake_executor_plugin_daskmpi.resources import JobResources, WorkerResources

PATIENCE_S = 30.0


class Clock:
    """Seconds as the test says."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Run:
    """A run, with names for what happens in it."""

    def __init__(self, *, workers: int = 1, cores: int = 2, lives: int = 0, **options: Any) -> None:
        self.clock = Clock()
        self.state = RunState(JobQueue(), patience_s=PATIENCE_S, clock=self.clock, **options)
        for number in range(workers):
            assert self.state.on_worker_added(info(number + 2, cores=cores, lives=lives)) == []

    def submit(
        self, key: str, *, cores: int = 1, runtime: int | None = None, priority: int = 0, rule: str = "rule"
    ) -> list[Any]:
        """Submit a job, and see what comes of it at once."""
        request = JobResources(cores=cores, mem_mb=10, runtime_min=runtime)
        spec = JobSpec(key, f"rule {key}", rule, f"{key}.log")
        return self.state.on_submitted(Job(spec, request, request, priority))

    def start(self) -> dict[str, str | None]:
        """Take a turn, and return the jobs that start, with their workers."""
        return {action.job.key: action.job.worker for action in self.state.on_turn() if isinstance(action, Start)}

    def running(self, *keys: str, cores: int = 1) -> Run:
        """Have jobs run."""
        for key in keys:
            assert self.submit(key, cores=cores) == []
        assert list(self.start()) == list(keys)
        return self

    def ends(self, key: str, kind: OutcomeKind = OutcomeKind.OK, **fields: Any) -> list[Any]:
        """Let a job end."""
        return self.state.on_outcome(JobOutcome(key, kind, worker="rank 2", host="node", **fields))

    def wait(self, seconds: float) -> list[Any]:
        """Let time go by."""
        self.clock.now += seconds
        return self.state.on_time()

    def joins(self, name: str, minutes: float, *, cores: int = 2, **fields: Any) -> list[Any]:
        """Let a worker join whose allocation ends in some minutes; it drains a minute before, then ends its jobs."""
        joining = dataclasses.replace(
            info(9, cores=cores, address=name),
            name=f"rank {name}",
            allocation=name.partition(".")[0],
            ends_in_s=60 * minutes,
            length_s=60 * minutes,
            **fields,
        )
        return self.state.on_worker_added(joining)

    def deadline(self, in_s: float = 600.0) -> Run:
        """Have the allocation end: with 600 s, it drains after 540 s and ends jobs after 570."""
        ends_at = self.clock.now + in_s
        deadline = Deadline(ends_at=ends_at, length_s=in_s, said_by="Slurm", clock=self.clock)
        assert self.state.on_deadline_known(deadline) == []
        return self


def info(rank: int, *, cores: int = 2, lives: int = 0, address: str = "") -> WorkerInfo:
    offer = dataclasses.asdict(WorkerResources(cores=tuple(range(cores)), mem_mb=1000, disk_mb=1000))
    return WorkerInfo(address or f"tcp://{rank}", f"rank {rank}", "node", offer, lives_left=lives)


def kinds(actions: list[Any]) -> list[str]:
    return [type(action).__name__ for action in actions]


def reported(actions: list[Any]) -> dict[str, OutcomeKind]:
    return {action.job.key: action.outcome.kind for action in actions if isinstance(action, Report)}


def said(actions: list[Any]) -> list[str]:
    return [action.text for action in actions if isinstance(action, Say)]
