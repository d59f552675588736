"""The forkserver: imports Snakemake and nothing of the user's, then forks the processes that run jobs.

Runs on: ranks >= 2, in a single-threaded process of its own that never holds MPI or Dask.

Protocol, all pickled tuples over a ``multiprocessing`` connection::

    runner → forkserver    ("context", RunContext, log)   get ready for this run, write to this log
                           ("run", JobSpec, Grant)        run this job (after another one: grant.after)
    forkserver → runner    ("ready", obstacle)            ready; or why not, then all jobs are spawned
                           ("unsharable", reason)         one parse cannot be shared, and this process ends
                           ("started", key, pid)          the process that runs it
                           ("lingers", key, programs)     its body has ended, and these programs of it have not
                           ("ended", key, Ending)

A job has ended when its process has, and all that is left in its session: a program that a shell has started in the
background, or for ``tee >(gzip > …)``, may be writing still. What has left the session, as daemons do, is neither
waited for nor killed.

The end of the connection is the order to end: all jobs' processes are killed first.
"""

from __future__ import annotations

import contextlib
import gc
import os
import selectors
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any, NoReturn

from snakemake_executor_plugin_daskmpi.messages import Grant, JobSpec, RunContext
from snakemake_executor_plugin_daskmpi.rank import job_environment, processes, roles
from snakemake_executor_plugin_daskmpi.worker import child
from snakemake_executor_plugin_daskmpi.worker.ending import Ending
from snakemake_executor_plugin_daskmpi.worker.lingering import Lingering
from snakemake_executor_plugin_daskmpi.worker.warmth import UnsharableError, Warmth


@dataclass(slots=True, eq=False)
class _Child:
    """A job's process; idle while it has no spec."""

    pid: int
    connection: Connection
    spec: JobSpec | None
    started_at: float
    #: Its last words, if it said that it will end.
    report: dict[str, Any] | None = None
    #: Exit code and signal, once it has ended and programs of its session have not.
    exit: tuple[int | None, int | None] = (None, None)
    #: CPU seconds: of the jobs that it ran before while it lives, and of its last one once it has ended.
    cpu_s: float = 0.0


def fork() -> tuple[int, Connection]:
    """Fork a forkserver off this process and return its pid and the connection to it.

    Only for a process that is still single-threaded and has not started MPI.
    """
    ours, theirs = Pipe(duplex=True)
    pid = os.fork()
    if pid == 0:
        ours.close()
        _main(theirs)
    theirs.close()
    return pid, ours


def start_anew() -> tuple[int, Connection]:
    """Start a forkserver as a new program, for a process that must not fork any more.

    It shares nothing with this process, so it costs an import of Snakemake.
    """
    ours, theirs = Pipe(duplex=True)
    program = f"from {__name__} import serve; serve({theirs.fileno()})"
    process = subprocess.Popen([sys.executable, "-P", "-c", program], pass_fds=[theirs.fileno()])  # noqa: S603
    theirs.close()
    # Reaped by the runner, by its pid.
    process.returncode = 0
    return process.pid, ours


def serve(fd: int) -> NoReturn:
    """Be the forkserver of the runner at the other end of an inherited socket."""
    import snakemake.api
    import snakemake.executors.local  # noqa: F401 - so that all forks share it

    _main(Connection(fd))


def _main(connection: Connection) -> NoReturn:
    """Be the forkserver until the connection ends, then end this process."""
    code = 1
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        # Slurm sends it to all processes of a step when the run is to drain, and jobs are to go on. They inherit this;
        # a program that uses the signal sets a handler. Outside of a step nobody sends it, and it keeps its default.
        signal.signal(signal.SIGUSR1, signal.SIG_IGN if roles.in_step(os.environ) else signal.SIG_DFL)
        signal.signal(signal.SIGUSR2, signal.SIG_DFL)
        processes.end_with_parent(signal.SIGTERM)
        processes.adopt_orphans()
        with Path(os.devnull).open("rb") as nothing:
            os.dup2(nothing.fileno(), 0)
        job_environment.scrub(os.environ)
        _Forkserver(connection).serve()
        code = 0
    except BaseException:  # noqa: BLE001 - the process ends here, its log says why
        child.print_error()
    finally:
        child.flush()
        os._exit(code)


class _Forkserver:
    """The loop of the forkserver process."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._parent = os.getppid()
        self._warmth = Warmth()
        self._children: dict[int, _Child] = {}
        #: Processes that have ended, and programs of whose session have not.
        self._ended: dict[int, _Child] = {}
        self._lingering = Lingering(processes.programs_of, lambda sid: processes.send_to_session(sid, signal.SIGKILL))
        #: Jobs that start when another one has ended, by that one's key.
        self._successors: dict[str, tuple[JobSpec, Grant]] = {}
        self._wakeup, write_end = os.pipe()
        for fd in (self._wakeup, write_end):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._selector = selectors.DefaultSelector()
        self._selector.register(connection, selectors.EVENT_READ, None)
        self._selector.register(self._wakeup, selectors.EVENT_READ, None)

    def serve(self) -> None:
        """Take requests until the connection ends or SIGTERM says that the worker, our parent, has died."""
        try:
            while True:
                ready = [key for key, _ in self._selector.select(self._lingering.pause_s(time.monotonic()))]
                for key in ready:
                    if isinstance(key.data, _Child):
                        self._hear(key.data)
                if any(key.fileobj == self._wakeup for key in ready):
                    # Slurm also sends SIGTERM when it ends all ranks; rank 1 then decides what happens here.
                    if signal.SIGTERM in os.read(self._wakeup, 4096) and os.getppid() != self._parent:
                        break
                    self._reap()
                self._look_after_lingering()
                if any(key.fileobj is self._connection for key in ready):
                    self._take(self._connection.recv())
        except (EOFError, ConnectionError):
            pass
        finally:
            # At once: the worker has gone, and these jobs may start anew elsewhere at any moment.
            processes.kill_descendants()
            self._warmth.tear_down()

    def _take(self, message: tuple[Any, ...]) -> None:
        match message:
            case ("context", RunContext() as context, str(log)):
                with contextlib.suppress(OSError):
                    # Without it, what it says goes where it went before.
                    Path(log).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                    processes.redirect_output(log)
                self._get_ready(context)
            case ("run", JobSpec() as spec, Grant() as grant):
                waits = [c.spec.key for c in self._children.values() if c.spec is not None]
                if grant.after in waits or any(s.key == grant.after for s, _ in self._successors.values()):
                    self._successors[grant.after] = (spec, grant)
                else:
                    self._start(spec, grant)

    def _get_ready(self, context: RunContext) -> None:
        """Get ready for the jobs of a run; a failure is an obstacle for all of them, not an error."""
        self._lingering.bound_s = context.linger_s
        try:
            self._warmth = Warmth.of(context)
        except UnsharableError as error:
            self._connection.send(("unsharable", str(error)))
            raise EOFError from error
        except BaseException as error:  # noqa: BLE001 - becomes the obstacle
            child.print_error()
            why = f"the worker could not get ready for {context.snakefile}: {child.error_text(error)}"
            self._warmth = Warmth(obstacle=why)
        # A garbage collection in a child must not touch, and so copy, what exists now.
        gc.collect()
        gc.freeze()
        signal.signal(signal.SIGTERM, lambda *_: None)
        self._connection.send(("ready", self._warmth.obstacle))

    # -- jobs ----------------------------------------------------------------------------

    def _start(self, spec: JobSpec, grant: Grant) -> None:
        """Start a job in an idle process if it may share one, else in a new one."""
        idle = next((c for c in self._children.values() if c.spec is None), None) if spec.reusable else None
        if idle is not None:
            idle.spec, idle.started_at = spec, time.time()
            with contextlib.suppress(OSError):  # it died just now: its reaping reports the job
                idle.connection.send((spec, grant))
            self._connection.send(("started", spec.key, idle.pid))
            return
        child.flush()
        try:
            ours, theirs = Pipe(duplex=True)
            pid = os.fork()
        except OSError as error:
            # No more processes, memory or descriptors: the job's failure, not the worker's end.
            report = child.failure_of(f"its process could not be started: {child.error_text(error)}")
            self._end(_Child(0, self._connection, spec, time.time(), report), exit_code=1, number=None)
            return
        if pid == 0:
            for connection in (self._connection, ours, *(c.connection for c in self._children.values())):
                connection.close()
            child.be(theirs, self._warmth, spec, grant)
        theirs.close()
        self._children[pid] = _Child(pid, ours, spec, time.time())
        self._selector.register(ours, selectors.EVENT_READ, self._children[pid])
        self._connection.send(("started", spec.key, pid))

    def _hear(self, process: _Child) -> None:
        """Take a job's report from its process."""
        try:
            word, report = process.connection.recv()
        except (EOFError, OSError):
            self._selector.unregister(process.connection)  # it ends; SIGCHLD says the rest
            return
        process.report = report
        if word == "done":
            process.cpu_s += report["cpu_s"]
            self._end(process, exit_code=0, number=None)

    def _reap(self) -> None:
        """Take note of all processes that have ended, and report the jobs of which nothing is left."""
        while True:
            try:
                pid, status, usage = os.wait3(os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            # Orphans come to this process, too; their session tells which job they belong to.
            process = self._children.pop(pid, None)
            if process is None:
                continue
            with contextlib.suppress(EOFError, OSError):
                while process.report is None and process.connection.poll():
                    process.report = process.connection.recv()[1]
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(process.connection)
            process.connection.close()
            was_killed = (code := os.waitstatus_to_exitcode(status)) < 0
            process.exit = (None, -code) if was_killed else (code, None)
            process.cpu_s = usage.ru_utime + usage.ru_stime - process.cpu_s
            if process.pid in processes.sessions_of_children(keep=self._children):
                self._ended[process.pid] = process
                self._lingering.add(process.pid, time.monotonic(), is_killed=was_killed)
            else:
                self._end(process, *process.exit)

    def _look_after_lingering(self) -> None:
        """Report the jobs of which nothing is left any more, and say which still have programs that run."""
        if not self._ended:
            return
        alive = processes.sessions_of_children(keep=self._children)
        ended, lingering = self._lingering.look(alive, time.monotonic())
        for sid, overdue in ended.items():
            process = self._ended.pop(sid)
            if overdue:
                process.report = (process.report or {"exit_code": 1}) | self._lingering.failure(overdue)
            self._end(process, *process.exit)
        for sid, programs in lingering.items():
            if (spec := self._ended[sid].spec) is not None:
                self._connection.send(("lingers", spec.key, programs))

    def _end(self, process: _Child, exit_code: int | None, number: int | None) -> None:
        """Report the end of a process's job, if it has one, and start the job that waits for it."""
        spec, report = process.spec, process.report or {}
        process.spec = process.report = None
        if spec is None:
            return
        if report.get("failed") and number is None:
            exit_code, number = report.get("exit_code"), report.get("signal")
        if exit_code == 0:
            with contextlib.suppress(OSError):
                if Path(spec.log).stat().st_size == 0:
                    Path(spec.log).unlink()
        # Before a successor may be its process's next job.
        times = (process.started_at, time.time(), report, report.get("cpu_s", process.cpu_s))
        if (successor := self._successors.pop(spec.key, None)) is not None:
            self._start(*successor)
        self._connection.send(("ended", spec.key, Ending(exit_code, number, *times)))
