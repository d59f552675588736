"""A world of processes on this machine: scheduler and workers, no MPI.

Runs on: the process that is Snakemake, outside any MPI world.
Called by: launch.launchers.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from snakemake_executor_plugin_daskmpi.errors import LaunchError
from snakemake_executor_plugin_daskmpi.link import Link
from snakemake_executor_plugin_daskmpi.messages import exit_text
from snakemake_executor_plugin_daskmpi.world import rank_log, roles, tuning

if TYPE_CHECKING:
    from snakemake_executor_plugin_daskmpi.settings import Settings

_log = logging.getLogger(__name__)

#: Seconds that processes have to end by themselves once they were told to.
_GRACE_S = 10.0


@dataclass(slots=True)
class LocalWorld:
    """The processes of a local world and the link to them."""

    n_workers: int
    link: Link
    description: str
    _processes: list[subprocess.Popen[str]] = field(default_factory=list)
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

    def close(self) -> None:
        """End all processes of the world; kill what does not end in time."""
        self.link.end_world()
        _end(self._processes)
        if self._scratch is not None:
            self._scratch.cleanup()


def start_local_world(settings: Settings) -> LocalWorld:
    """Start one scheduler and ``--daskmpi-workers`` worker processes, and connect to them."""
    tuning.apply_dask_config()
    import distributed  # noqa: F401 - makes its loggers, which are quieted next

    rank_log.quiet("rank 1", roles.Role.CLIENT)
    n_workers = settings.workers or 1
    scratch = tempfile.TemporaryDirectory(prefix="daskmpi-", ignore_cleanup_errors=True)
    processes = [_start({"rank": 0, "scratch": scratch.name})]
    try:
        address = _address_of(processes[0])
        for index in range(n_workers):
            order = {
                "rank": 2 + index,
                "address": address,
                "share": (index, n_workers),
                "settings": dataclasses.asdict(settings),
                "scratch": scratch.name,
            }
            processes.append(_start(order))
        described = f"{n_workers} worker process{'es' * (n_workers > 1)} on this machine (--daskmpi-workers)"
        return LocalWorld(n_workers, Link(address), described, processes, scratch)
    except BaseException:
        _end(processes)
        scratch.cleanup()
        raise


def _start(order: dict[str, Any]) -> subprocess.Popen[str]:
    program = [sys.executable, "-P", "-m", "snakemake_executor_plugin_daskmpi.world.serve", json.dumps(order)]
    # A session of its own: the terminal's Ctrl-C is ours to handle.
    return subprocess.Popen(  # noqa: S603
        program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True, env=dict(os.environ)
    )


def _address_of(scheduler: subprocess.Popen[str]) -> str:
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


def _end(processes: list[subprocess.Popen[str]]) -> None:
    for process in processes:
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
    deadline = time.monotonic() + _GRACE_S
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            _log.warning("process %d of the local world had to be killed", process.pid)
            process.kill()
            process.wait()
