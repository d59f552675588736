"""A world of processes on this machine: scheduler and workers, no MPI.

Runs on: the process that is Snakemake, outside any MPI world.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.errors import LaunchError
from snakemake_executor_plugin_daskmpi.messages import exit_text
from snakemake_executor_plugin_daskmpi.rank import dask_config, graces, job_environment, rank_log, roles, security
from snakemake_executor_plugin_daskmpi.worker import limits
from snakemake_executor_plugin_daskmpi.world import prefork, serve_order
from snakemake_executor_plugin_daskmpi.world.link import Link
from snakemake_executor_plugin_daskmpi.world.serve_order import Order, Server

if TYPE_CHECKING:
    from collections.abc import Callable

    from snakemake_executor_plugin_daskmpi.resources import WorkerResources
    from snakemake_executor_plugin_daskmpi.settings.flags import Settings

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class LocalWorld:
    """The processes of a local world and the link to them."""

    n_workers: int
    link: Link
    description: str
    #: With which its processes speak to each other; None if anyone may.
    credentials: security.Credentials | None
    #: By rank: the scheduler, then the workers.
    _processes: list[Server] = field(default_factory=list)
    #: Starts the worker at a place in that list, which is started anew so many more times when it is lost.
    _start_anew: Callable[[int, int], Server] = field(kw_only=True)
    #: How many times each of them is.
    _lives_left: list[int] = field(kw_only=True)
    #: Holds the workers' scratch, so that it goes even if a worker is killed.
    _scratch: tempfile.TemporaryDirectory[str] | None = None

    @property
    def pids(self) -> frozenset[int]:
        """The processes that are the world, for telling them from those of local rules."""
        return frozenset(process.pid for process in self._processes)

    def check(self) -> None:
        """Raise a LaunchError if one of the processes has ended already."""
        for rank, process in zip((0, *range(2, 2 + self.n_workers)), self._processes, strict=True):
            if process.poll() is not None:
                raise LaunchError(
                    f"Rank {rank} of the local world ended before it was ready.",
                    seen=f"{exit_text(process.returncode, None)}; what it said is above.",
                    next_step="repair what it names, and run the same command again.",
                )

    def respawn(self, name: str) -> None:
        """Start a lost worker anew."""
        place = int(name.rpartition(" ")[2]) - 1
        lost = self._processes[place]
        lost.kill()
        _end([lost])
        self._lives_left[place] -= 1
        self._processes[place] = self._start_anew(place, self._lives_left[place])

    def close(self) -> None:
        """End all processes of the world; kill what does not end in time."""
        self.link.end_world()
        _end(self._processes)
        if self._scratch is not None:
            self._scratch.cleanup()


def offers_here(settings: Settings, cores: int | None) -> list[WorkerResources]:
    """Return what each worker of a local world is going to offer; the parameters are those of start_local_world."""
    n = settings.workers or 1
    return [limits.offer_of(settings, os.environ, limits.Share(index, n), cores) for index in range(n)]


def start_local_world(settings: Settings, cores: int | None) -> LocalWorld:
    """Start one scheduler and ``--daskmpi-workers`` worker processes, and connect to them.

    Parameters
    ----------
    cores
        How many cores the workers offer together, as with Snakemake's local executor; None for all of the machine.
    """
    dask_config.apply_dask_config()
    rank_log.quiet("rank 1", roles.Role.CLIENT)
    n_workers = settings.workers or 1
    scratch = tempfile.TemporaryDirectory(prefix="daskmpi-", ignore_cleanup_errors=True)
    credentials = None if settings.insecure else security.Credentials.make()
    security.apply(credentials)
    processes = [_start(Order(0, scratch.name, settings=dataclasses.asdict(settings)), credentials)]

    def start_worker(place: int, lives_left: int) -> Server:
        told = Order(
            rank=place + 1,
            scratch=scratch.name,
            address=address,
            share=(place - 1, n_workers, 0),
            cores=cores,
            lives_left=lives_left,
            settings=dataclasses.asdict(settings),
        )
        return _start(told, credentials)

    try:
        address = _address_of(processes[0])
        lives = [settings.respawn] * (1 + n_workers)
        processes += map(start_worker, range(1, n_workers + 1), lives[1:])
        described = f"{n_workers} worker process{'es' * (n_workers > 1)} on this machine (--daskmpi-workers)"
        link = Link(address)
        return LocalWorld(
            *(n_workers, link, described, credentials, processes, scratch), _start_anew=start_worker, _lives_left=lives
        )
    except BaseException:
        _end(processes)
        scratch.cleanup()
        raise


def _start(told: Order, credentials: security.Credentials | None) -> Server:
    """Give an order to a fork that waits for one, else start a program with it."""
    if (waiting := prefork.take()) is not None:
        serve_order.give(told, credentials, waiting)
        return waiting
    # The world may be one task of a Slurm step, which its processes must not take for their own.
    environ = dict(os.environ)
    job_environment.scrub(environ)
    return serve_order.start(told, credentials, environ)


def _address_of(scheduler: Server) -> str:
    """Return the address that a scheduler process prints first."""
    assert scheduler.stdout is not None  # noqa: S101 - it was asked for
    address = scheduler.stdout.readline().strip()
    if not address:
        raise LaunchError(
            "The Dask scheduler process of the local world did not start.",
            seen=f"it ended with exit code {scheduler.wait()}; what it said is above.",
            next_step="python -m distributed.cli.dask_scheduler --version shows whether Dask works at all.",
        )
    return address


def _end(processes: list[Server]) -> None:
    for process in processes:
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
    deadline = time.monotonic() + graces.RANK_S
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            _log.warning("process %d of the local world had to be killed", process.pid)
            process.kill()
            process.wait()
