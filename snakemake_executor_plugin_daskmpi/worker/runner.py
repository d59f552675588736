"""Run jobs on a worker: hand them to the forkserver, watch them, say how they ended.

Runs on: ranks >= 2, in the Dask worker's process and event loop.
Called by: pool.Pool, by reference through Dask (``describe``, ``prepare``, ``run_job``,
``cancel_jobs``); rank 1 never executes this module's functions itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import os
import signal
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snakemake_executor_plugin_daskmpi.messages import (
    OUTCOME_TOPIC,
    Grant,
    JobOutcome,
    JobSpec,
    OutcomeKind,
    RunContext,
    WorkerInfo,
    exit_text,
)
from snakemake_executor_plugin_daskmpi.worker import environment, forkserver
from snakemake_executor_plugin_daskmpi.world import processes, rank_log, roles

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from snakemake_executor_plugin_daskmpi.resources import WorkerResources

_log = logging.getLogger(__name__)

#: Seconds between SIGTERM and SIGKILL for a cancelled job.
GRACE_S = 3.0
#: How much of a failed job's log is shown.
_TAIL_LINES, _TAIL_BYTES = 20, 8192


@dataclass(slots=True)
class _Running:
    spec: JobSpec
    outcome: asyncio.Future[JobOutcome]
    pid: int | None = None
    #: Why it is being killed, if it is.
    killed_for: OutcomeKind | None = None
    reason: str = ""


@dataclass(slots=True)
class Runner:
    """The worker's end of the connection to its forkserver."""

    #: Name in messages, ``rank 3``.
    name: str
    offer: WorkerResources
    connection: Connection
    forkserver_pid: int
    context: RunContext | None = None
    #: Why all jobs of this run are spawned, once the forkserver has said so.
    obstacle: str = ""
    _running: dict[str, _Running] = field(default_factory=dict)
    _send_event: Any = None

    def prepare(self, context: RunContext, dask_worker: Any) -> None:
        """Get ready for a run: parse its workflow in the forkserver, in the background."""
        self._send_event = dask_worker.log_event
        if self.context is None:
            self._listen()
        else:
            # A second run in this world. The forkserver is full of the first one's workflow.
            self._forget_forkserver()
            self._start_forkserver()
        self.context = context
        self.connection.send(("context", context, self.log_path))

    @property
    def log_path(self) -> str:
        """Where the forkserver writes what it has to say: the rank's log."""
        return str(rank_log.rank_log_path(self.context.run_dir, self.name)) if self.context else os.devnull

    async def run(self, spec: JobSpec, grant: Grant) -> JobOutcome:
        """Run one job to its end; never raises for what the job does."""
        added = environment.granted_environment(grant, self.offer.gpus, os.environ)
        if grant.nodes:
            added |= environment.step_environment(self._write_nodes(spec, grant))
        spec = dataclasses.replace(spec, environment=(*added.items(), *spec.environment))
        running = _Running(spec, asyncio.get_running_loop().create_future())
        self._running[spec.key] = running
        try:
            self.connection.send(("run", spec, grant))
        except OSError:
            # The forkserver died just now; its end of file restarts it and answers this job.
            _log.warning("%s: could not be handed to the forkserver", spec.name)
        return await running.outcome

    def _write_nodes(self, spec: JobSpec, grant: Grant) -> Path:
        """Write the node of each MPI task of a job beside its log, as srun reads it, and return the file."""
        file = Path(spec.log).with_suffix(".nodes")
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file.write_text("".join(f"{node}\n" for node in grant.nodes))
        return file

    async def cancel(self) -> None:
        """End all running jobs."""
        await self._kill(list(self._running.values()), OutcomeKind.CANCELLED)

    async def kill(self, key: str, reason: str) -> None:
        """End a job that was lost on another worker, if it still runs here."""
        await self._kill([job for job in self._running.values() if job.spec.key == key], OutcomeKind.LOST, reason)

    async def _kill(self, jobs: list[_Running], why: OutcomeKind, reason: str = "") -> None:
        """End jobs: SIGTERM to their process groups, SIGKILL after a grace."""
        for job in jobs:
            job.killed_for, job.reason = why, reason
            self._signal(job, signal.SIGTERM)
        if jobs:
            await asyncio.wait([job.outcome for job in jobs], timeout=GRACE_S)
        for job in jobs:
            if not job.outcome.done():
                self._signal(job, signal.SIGKILL)
        if jobs:
            await asyncio.wait([job.outcome for job in jobs], timeout=GRACE_S)

    def close(self) -> None:
        """End the forkserver, which kills what still runs first, and wait for its end."""
        with contextlib.suppress(OSError):
            self.connection.close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.forkserver_pid, 0)

    # -- messages of the forkserver ------------------------------------------------------

    def _listen(self) -> None:
        asyncio.get_running_loop().add_reader(self.connection.fileno(), self._on_readable)

    def _on_readable(self) -> None:
        try:
            while self.connection.poll():
                self._take(self.connection.recv())
        except (EOFError, OSError):
            self._on_forkserver_death()

    def _take(self, message: tuple[Any, ...]) -> None:
        match message:
            case ("ready", obstacle):
                self.obstacle = obstacle
                _log.info("forkserver ready%s", f", but {obstacle}" if obstacle else "")
            case ("started", key, pid) if key in self._running:
                self._running[key].pid = pid
                if self._running[key].killed_for:
                    self._signal(self._running[key], signal.SIGTERM)
            case ("ended", key, ending) if key in self._running:
                self._end(self._running[key], self._outcome(self._running[key], ending))

    def _end(self, job: _Running, outcome: JobOutcome) -> None:
        del self._running[job.spec.key]
        if not job.outcome.done():
            job.outcome.set_result(outcome)

    def _outcome(self, job: _Running, ending: forkserver.Ending) -> JobOutcome:
        succeeded = ending.exit_code == 0 and ending.signal is None
        kind = OutcomeKind.OK if succeeded else (job.killed_for or OutcomeKind.FAILED)
        return JobOutcome(
            key=job.spec.key,
            kind=kind,
            worker=self.name,
            host=socket.gethostname(),
            exit_code=ending.exit_code,
            signal=ending.signal,
            reason="" if succeeded else job.reason,
            log_tail="" if succeeded else tail_of(Path(job.spec.log)),
            shadow_dir=ending.report.get("shadow_dir"),
            obstacle=ending.report.get("obstacle", ""),
            started_at=ending.started_at,
            ended_at=ending.ended_at,
        )

    # -- a killed forkserver --------------------------------------------------------------

    def _on_forkserver_death(self) -> None:
        """End what ran under a forkserver that died, report it, and start another one."""
        died_of = _exit_of(self.forkserver_pid)
        _log.error("the forkserver died (%s) with %d jobs running", died_of, len(self._running))
        self._forget_forkserver()
        for job in list(self._running.values()):
            self._signal(job, signal.SIGKILL)
            outcome = JobOutcome(
                key=job.spec.key,
                kind=job.killed_for or OutcomeKind.LOST,
                worker=self.name,
                host=socket.gethostname(),
                reason=f"the forkserver of the worker died ({died_of}), and its jobs with it",
                log_tail=tail_of(Path(job.spec.log)),
            )
            self._end(job, outcome)
        self._start_forkserver()
        if self.context is not None:
            self.connection.send(("context", self.context, self.log_path))

    def _forget_forkserver(self) -> None:
        asyncio.get_running_loop().remove_reader(self.connection.fileno())
        self.connection.close()

    def _start_forkserver(self) -> None:
        self.forkserver_pid, self.connection = forkserver.start_anew()
        self._listen()

    def _signal(self, job: _Running, number: int) -> None:
        if job.pid is not None:
            processes.send_to_group(job.pid, number)


def tail_of(log: Path) -> str:
    """Return the last lines of a log, empty if there is none."""
    try:
        with log.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.rstrip().splitlines()[-_TAIL_LINES:])


def _exit_of(pid: int) -> str:
    """Return how a child process of this one ended."""
    try:
        _, status = os.waitpid(pid, 0)
    except ChildProcessError:
        return "unknown"
    code = os.waitstatus_to_exitcode(status)
    return exit_text(code, None) if code >= 0 else exit_text(None, -code)


# -- what rank 1 calls by reference -------------------------------------------------------

#: The runner of this process, set by whoever starts the Dask worker.
_runner: Runner | None = None


def install(runner: Runner) -> None:
    """Make a runner the one of this process."""
    global _runner  # noqa: PLW0603 - Dask calls functions, not objects, by reference
    _runner = runner


def _installed() -> Runner:
    if _runner is None:
        msg = "no runner in this process: it is not a worker of a daskmpi world"
        raise RuntimeError(msg)
    return _runner


async def describe(dask_worker: Any) -> WorkerInfo:
    """Return what this worker is and offers."""
    runner = _installed()
    return WorkerInfo(
        dask_worker.address,
        runner.name,
        socket.gethostname(),
        dataclasses.asdict(runner.offer),
        node=os.environ.get("SLURMD_NODENAME", "") if environment.is_in_step(os.environ) else "",
        het_group=roles.own_component(os.environ),
    )


async def prepare(context: RunContext, dask_worker: Any) -> None:
    """Get this worker ready for a run."""
    rank_log.open_rank_log(context.run_dir)
    _installed().prepare(context, dask_worker)


async def cancel_jobs() -> None:
    """End all jobs of this worker; returns when they have ended."""
    await _installed().cancel()


async def kill_job(key: str, reason: str) -> None:
    """End one job of this worker, if it still runs; returns when it has ended."""
    await _installed().kill(key, reason)


async def run_job(spec: JobSpec, grant: Grant) -> None:
    """Run one job and send its outcome to rank 1 as an event.

    An event and not the Future's result, since that would cost a round trip from rank 1 to
    the worker for each job.
    """
    runner = _installed()
    outcome = await runner.run(spec, grant)
    # Wrapped, since Dask writes the worker's address into an event's own keys.
    runner._send_event(OUTCOME_TOPIC, {"outcome": outcome.to_wire()})  # noqa: SLF001
