"""A run of the load, and who is who in it.

Runs on: the machine of the tests.
Called by: kinds, campaign. The one place that knows how the processes of a world are related.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import psutil

from harness import Workflow, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from load import Load
    from runs import Run

_T = TypeVar("_T")

#: Two workers, however the world is made.
WORKERS = (2, 3)


@dataclass(slots=True)
class Scene:
    """One run of the load, from its start to what a fault leaves of it."""

    workflow: Workflow
    load: Load
    launcher: str
    run: Run
    #: Rank 0 to 3, as they were when the first job had ended: in an MPI world their keepers, and who works for them.
    ranks: dict[int, psutil.Process] = field(default_factory=dict)
    servers: dict[int, psutil.Process] = field(default_factory=dict)
    #: What undoes the fault, so that the next run has a chance.
    repairs: list[Callable[[], None]] = field(default_factory=list)

    @property
    def is_mpi(self) -> bool:
        """Whether the ranks are an MPI world."""
        return self.launcher not in ("local", "grow")

    @property
    def workers(self) -> tuple[int, ...]:
        """The ranks that are workers from the start."""
        return WORKERS[:1] if self.launcher == "grow" else WORKERS

    # -- progress ------------------------------------------------------------------------------

    @property
    def n_finished(self) -> int:
        """How many jobs Snakemake has reported as finished."""
        return self.run.text.count("Finished jobid: ")

    def wait_for_progress(self, n_jobs: int) -> None:
        """Wait until so many jobs are finished, or the run has ended; get to know the ranks on the way."""
        self._wait_for_jobs(1)
        self.wait_while_running(self._get_to_know_ranks)
        self._wait_for_jobs(n_jobs)

    def _get_to_know_ranks(self) -> bool:
        numbers = (0, 1, *self.workers) if self.is_mpi else (0, *self.workers)
        client = {1: psutil.Process(self.run.process.pid)}
        self.servers = client | {number: self.workflow.server(number) for number in numbers}
        self.ranks = client | {number: self.workflow.rank(number) for number in numbers}
        return True

    def _wait_for_jobs(self, n_jobs: int) -> None:
        wait_until(
            lambda: self.run.has_ended or self.n_finished >= n_jobs,
            on_timeout=lambda: f"{self.n_finished} of {n_jobs} jobs are finished, and the run says:\n{self.run.text}",
        )

    def wait_while_running(self, fn: Callable[[], _T]) -> _T | None:
        """Return the first true value of a function, None if the run ends before there is one."""
        found: list[_T] = []

        def look() -> bool:
            with contextlib.suppress(psutil.Error, OSError):
                if value := fn():
                    found.append(value)
            return bool(found) or self.run.has_ended

        wait_until(look, on_timeout=lambda: f"what the fault waits for does not come:\n{self.run.text}")
        return found[0] if found else None

    # -- who is who ----------------------------------------------------------------------------

    def process(self, number: int) -> psutil.Process:
        """Return the process that does the work of a rank."""
        return self.servers[number]

    @property
    def scheduler(self) -> psutil.Process:
        """The process that is the Dask scheduler."""
        return self.process(0)

    @property
    def client(self) -> psutil.Process:
        """The process that is Snakemake."""
        return self.process(1)

    def worker(self, number: int) -> psutil.Process:
        """Return the process that is a Dask worker."""
        return self.process(number)

    @property
    def launchers(self) -> list[psutil.Process]:
        """mpiexec and what it has between itself and the ranks, from the top."""
        return [psutil.Process(self.run.process.pid), *reversed(self.ranks[1].parents()[:1])] if self.is_mpi else []

    def forkserver(self, number: int) -> psutil.Process | None:
        """Return the forkserver of a worker; None in the moment in which there is none."""
        children = self.worker(number).children()
        return children[-1] if children else None

    def bodies(self) -> list[psutil.Process]:
        """Return the processes that run bodies, or wait for one."""
        forkservers = [server for number in WORKERS if (server := self.forkserver(number))]
        return [body for server in forkservers for body in server.children()]

    def programs(self) -> list[psutil.Process]:
        """Return what bodies have started."""
        return [program for body in self.bodies() for program in body.children(recursive=True)]

    # -- folders -------------------------------------------------------------------------------

    @property
    def outputs(self) -> Path:
        """Where the outputs of all jobs go."""
        return self.workflow.folder / "out"

    @property
    def logs(self) -> Path:
        """Where the logs of ranks and jobs go."""
        return self.workflow.folder / ".snakemake" / "daskmpi"

    @property
    def clock(self) -> Path:
        """What a clock of the run's own shows, as seconds that it is off."""
        return self.workflow.folder / "clock"

    def scratch(self) -> list[Path]:
        """Return the scratch folders of all workers."""
        return list(self.workflow.tmpdir.glob("daskmpi-*"))
