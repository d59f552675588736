"""Run jobs on a worker: hand them to the forkserver, watch them, say how they ended.

Runs on: ranks >= 2, in the Dask worker's process and event loop.
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
    Grant,
    JobOutcome,
    JobSpec,
    OutcomeKind,
    RunContext,
    exit_text,
)
from snakemake_executor_plugin_daskmpi.rank import job_environment, processes, rank_log
from snakemake_executor_plugin_daskmpi.rank.graces import BODY_S
from snakemake_executor_plugin_daskmpi.worker import forkserver
from snakemake_executor_plugin_daskmpi.worker.group import Group
from snakemake_executor_plugin_daskmpi.worker.memory.watch import Watch
from snakemake_executor_plugin_daskmpi.worker.running_job import Running

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

    from snakemake_executor_plugin_daskmpi.resources import WorkerResources

_log = logging.getLogger(__name__)

#: Most seconds between two starts of a forkserver that dies before it is ready; the first is at once, then it doubles.
_MOST_BETWEEN_STARTS_S = 30.0


@dataclass(slots=True)
class Runner:
    """The worker's end of the connection to its forkserver."""

    #: Name in messages, ``rank 3``.
    name: str
    offer: WorkerResources
    connection: Connection
    forkserver_pid: int
    #: How many times this worker is started anew when it is lost.
    lives_left: int = 0
    #: Starts another forkserver in place of one that died; returns its pid and the connection to it.
    start_forkserver: Callable[[], tuple[int, Connection]] = forkserver.start_anew
    context: RunContext | None = None
    #: Why all jobs of this run are spawned, once the forkserver has said so.
    obstacle: str = ""
    _running: dict[str, Running] = field(default_factory=dict)
    _groups: list[Group] = field(default_factory=list)
    _watch: Watch | None = None
    _say: Callable[[str], None] = print
    #: How many forkservers have died since one was ready.
    _deaths: int = 0

    def prepare(self, context: RunContext, say: Callable[[str], None]) -> None:
        """Get ready for a run, the forkserver in the background; what the user is to read is given to ``say``."""
        self._say = say
        if self.context is None:
            self._listen()
        else:
            # A second run in this world. The forkserver is full of the first one's workflow.
            self._forget_forkserver()
            self._start_forkserver()
        self.context = context
        self._start_watch(context.memory)
        with contextlib.suppress(OSError):  # it died just now: its end of file restarts it
            self.connection.send(("context", context, self.log_path))

    @property
    def log_path(self) -> str:
        """Where the forkserver writes what it has to say: the rank's log."""
        return str(rank_log.rank_log_path(self.context.run_dir, self.name)) if self.context else os.devnull

    async def run(self, spec: JobSpec, grant: Grant) -> JobOutcome:
        """Run one job, or a group of them, to its end; never raises for what the job does."""
        if not spec.units:
            return await self._run_one(spec, grant)
        self._groups.append(group := Group(spec, grant, self._run_one, self._end_member))
        if grant.after in self._running:
            await asyncio.wait([self._running[grant.after].outcome])
        try:
            return await group.outcome()
        finally:
            self._groups.remove(group)

    async def _run_one(self, spec: JobSpec, grant: Grant) -> JobOutcome:
        added = job_environment.granted_environment(grant, self.offer.gpus, os.environ)
        if grant.nodes:
            try:
                added |= job_environment.step_environment(self._write_nodes(spec, grant))
            except OSError as error:
                reason = f"the list of its nodes could not be written: {error}"
                return JobOutcome(spec.key, OutcomeKind.FAILED, self.name, socket.gethostname(), reason=reason)
        spec = spec._replace(environment=(*added.items(), *spec.environment))
        running = Running(spec, grant, asyncio.get_running_loop().create_future())
        self._running[spec.key] = running
        try:
            self.connection.send(("run", spec, grant))
        except OSError:
            # The forkserver died: just now, and its end of file answers this job, or before, and the next one gets it.
            _log.warning("%s: could not be handed to the forkserver", spec.name)
        return await running.outcome

    def _write_nodes(self, spec: JobSpec, grant: Grant) -> Path:
        """Write the node of each MPI task of a job beside its log, as srun reads it, and return the file."""
        file = Path(spec.log).with_suffix(".nodes")
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file.write_text("".join(f"{node}\n" for node in grant.nodes))
        return file

    async def end_all(self, why: OutcomeKind, reason: str = "", *, at_once: bool = False) -> None:
        """End all running jobs."""
        for group in self._groups:
            group.stopped = True
        await self._kill(list(self._running.values()), why, reason, grace_s=0.0 if at_once else BODY_S)

    async def kill(self, key: str, reason: str) -> None:
        """End a job that was lost on another worker, if it still runs here."""
        await self._kill([job for job in self._running.values() if job.spec.key == key], OutcomeKind.LOST, reason)

    async def _end_member(self, key: str) -> None:
        """End a member of a group, if it still runs."""
        await self._kill([job for job in self._running.values() if job.spec.key == key], OutcomeKind.CANCELLED)

    async def _kill(self, jobs: list[Running], why: OutcomeKind, reason: str = "", grace_s: float = BODY_S) -> None:
        """End jobs: SIGTERM to their process groups, SIGKILL after a grace."""
        for job in jobs:
            job.killed_for, job.reason = why, reason
            self._signal(job, signal.SIGTERM)
        if jobs and grace_s:
            await asyncio.wait([job.outcome for job in jobs], timeout=grace_s)
        for job in jobs:
            if not job.outcome.done():
                self._signal(job, signal.SIGKILL)
        if jobs:
            await asyncio.wait([job.outcome for job in jobs], timeout=BODY_S)

    def close(self) -> None:
        """End the forkserver, which kills what still runs first, and wait for its end."""
        if self._watch is not None:
            self._watch.close()
        with contextlib.suppress(OSError):
            self.connection.close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.forkserver_pid, 0)

    # -- memory --------------------------------------------------------------------------

    def _start_watch(self, policy: str) -> None:
        """Watch the memory of this run's jobs."""
        if self._watch is not None:
            self._watch.close()
        loop = asyncio.get_running_loop()
        self._watch = Watch(
            policy,
            self.offer,
            own_pids=lambda: (os.getpid(), self.forkserver_pid),
            on_excess=lambda key, reason: loop.call_soon_threadsafe(self._end_for_memory, key, reason),
        )

    def _end_for_memory(self, key: str, reason: str) -> None:
        """Kill a job that takes too much memory.

        At once: during the grace that others have, it could take gigabytes more, and what it would write to clean up
        needs memory as well. No SIGSTOP before: a process that is killed allocates no more either.
        """
        # It may have ended since it was looked at, and its process may have another job by now.
        self._on_readable()
        job = self._running.get(key)
        if job is None or job.pid is None or job.killed_for:
            return
        _log.warning("%s is ended: %s", job.spec.name, reason)
        job.killed_for, job.reason = OutcomeKind.OUT_OF_MEMORY, reason
        processes.kill_family(job.pid)
        processes.send_to_session(job.pid, signal.SIGKILL)

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
                self.obstacle, self._deaths = obstacle, 0
                _log.info("forkserver ready%s", f", but {obstacle}" if obstacle else "")
            case ("unsharable", reason):
                self._do_without_sharing(reason)
            case ("lingers", key, programs) if key in self._running:
                job = self._running[key]
                job.lingers = True
                bound = f"at most {self.context.linger_s:g} s (--daskmpi-linger)" if self.context else ""
                self._say(f"{job.spec.name} has ended, but {programs} still runs on {self.name}; waiting {bound}.")
            case ("started", key, pid) if key in self._running:
                self._running[key].pid = pid
                if self._watch is not None:
                    self._watch.add(key, pid, self._running[key].grant.mem_mb)
                if self._running[key].killed_for:
                    self._signal(self._running[key], signal.SIGTERM)
            case ("ended", key, ending) if key in self._running:
                self._end(self._running[key], self._running[key].ended(self.name, ending, self._watch))

    def _do_without_sharing(self, reason: str) -> None:
        """Have the next forkserver, which takes the place of this one, share no parse."""
        assert self.context is not None  # noqa: S101 - it was told to share one
        self.context = dataclasses.replace(self.context, shared_parse=False)
        self._forget_forkserver()
        _exit_of(self.forkserver_pid)
        self._restart()
        self._say(
            f"--daskmpi-shared-parse has no effect: {reason}. Each body that needs the Snakefile parses it itself."
        )

    def _end(self, job: Running, outcome: JobOutcome) -> None:
        del self._running[job.spec.key]
        if self._watch is not None:
            self._watch.remove(job.spec.key)
        if not job.outcome.done():
            job.outcome.set_result(outcome)

    # -- a killed forkserver --------------------------------------------------------------

    def _on_forkserver_death(self) -> None:
        """End what ran under a forkserver that died, report it, and start another one."""
        died_of = _exit_of(self.forkserver_pid)
        _log.error("the forkserver died (%s) with %d jobs running", died_of, len(self._running))
        self._forget_forkserver()
        self._lose_jobs(f"the forkserver of the worker died ({died_of}), and its jobs with it")
        self._restart_later()

    def _lose_jobs(self, reason: str) -> None:
        for job in list(self._running.values()):
            self._signal(job, signal.SIGKILL)
            self._end(job, job.lost(self.name, reason))

    def _restart_later(self) -> None:
        """Start another forkserver, the later the more have died: jobs that come until then wait for it."""
        delay_s = min(2.0 ** (self._deaths - 1), _MOST_BETWEEN_STARTS_S) if self._deaths else 0.0
        self._deaths += 1
        asyncio.get_running_loop().call_later(delay_s, self._restart)

    def _restart(self) -> None:
        try:
            self._start_forkserver()
        except OSError as error:
            _log.exception("no forkserver could be started")
            self._lose_jobs(f"no forkserver could be started on the worker: {error}")
            self._restart_later()
            return
        with contextlib.suppress(OSError):  # it died at once: its end of file says so
            if self.context is not None:
                self.connection.send(("context", self.context, self.log_path))
            for job in self._running.values():
                self.connection.send(("run", job.spec, job.grant))

    def _forget_forkserver(self) -> None:
        asyncio.get_running_loop().remove_reader(self.connection.fileno())
        self.connection.close()

    def _start_forkserver(self) -> None:
        self.forkserver_pid, self.connection = self.start_forkserver()
        self._listen()

    def _signal(self, job: Running, number: int) -> None:
        if job.pid is not None:
            processes.send_to_group(job.pid, number)
            if job.lingers or number == signal.SIGKILL:
                processes.send_to_session(job.pid, number)


def _exit_of(pid: int) -> str:
    """Return how a child process of this one ended."""
    try:
        _, status = os.waitpid(pid, 0)
    except ChildProcessError:
        return "unknown"
    code = os.waitstatus_to_exitcode(status)
    return exit_text(code, None) if code >= 0 else exit_text(None, -code)
