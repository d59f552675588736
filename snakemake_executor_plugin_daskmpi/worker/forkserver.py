"""The forkserver: parses the workflow once, then forks one child per job.

Runs on: ranks >= 2, in a single-threaded process of its own that never holds MPI or Dask.
Called by: worker.runner, over a pair of sockets; started by world.bootstrap and world.serve
before MPI and Dask are, or anew as a program of its own after it was killed.

Protocol, all pickled tuples over a ``multiprocessing`` connection::

    runner → forkserver    ("context", RunContext, log)   parse this workflow, write to this log
                           ("run", JobSpec, Grant)        fork a child for this job
    forkserver → runner    ("ready", obstacle)            parsed; or why not, then all jobs are spawned
                           ("started", key, pid)          pid is the child's process group too
                           ("ended", key, Ending)

The end of the connection is the order to end: all children's process groups are killed first.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from snakemake_executor_plugin_daskmpi import body
from snakemake_executor_plugin_daskmpi.messages import Grant, JobSpec, RunContext
from snakemake_executor_plugin_daskmpi.worker import environment
from snakemake_executor_plugin_daskmpi.world import processes

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds between SIGTERM and SIGKILL when the worker has gone.
_GRACE_S = 2.0


@dataclass(frozen=True, slots=True)
class Ending:
    """How a child ended, as the forkserver saw it."""

    exit_code: int | None
    signal: int | None
    started_at: float
    ended_at: float
    max_rss_mb: int
    #: What the child said of itself: ``shadow_dir``, ``exit_code``, ``signal``, ``obstacle``.
    report: dict[str, Any]


@dataclass(slots=True)
class _Child:
    spec: JobSpec
    pid: int
    report_fd: int
    started_at: float


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


def _main(connection: Connection) -> NoReturn:
    """Be the forkserver until the connection ends, then end this process."""
    code = 1
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        processes.end_with_parent(signal.SIGTERM)
        processes.adopt_orphans()
        with open(os.devnull, "rb") as nothing:
            os.dup2(nothing.fileno(), 0)
        environment.scrub(os.environ)
        _Forkserver(connection).serve()
        code = 0
    except BaseException:  # noqa: BLE001 - the process ends here, its log says why
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


class _Forkserver:
    """The loop of the forkserver process."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._workflow: Any = None
        self._context: RunContext | None = None
        self._obstacle = "no workflow was parsed"
        self._children: dict[int, _Child] = {}
        self._wakeup, write_end = os.pipe()
        for fd in (self._wakeup, write_end):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self) -> None:
        """Take requests until the connection ends or SIGTERM says that the worker has died."""
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        try:
            while True:
                ready, _, _ = select.select([self._connection, self._wakeup], [], [])
                if self._wakeup in ready:
                    if signal.SIGTERM in os.read(self._wakeup, 4096):
                        break
                    self._reap()
                if self._connection in ready:
                    self._take(self._connection.recv())
        except (EOFError, ConnectionError):
            pass
        finally:
            self._end_children()

    def _take(self, message: tuple[Any, ...]) -> None:
        match message:
            case ("context", RunContext() as context, str(log)):
                _redirect_output(log)
                self._parse(context)
            case ("run", JobSpec() as spec, Grant() as grant):
                self._start(spec, grant)

    def _parse(self, context: RunContext) -> None:
        """Parse the workflow of a run; a failure is an obstacle for all its jobs, not an error."""
        self._context, self._workflow, self._obstacle = context, None, "--daskmpi-no-warm is set"
        os.chdir(context.workdir)
        if context.workflow:
            try:
                self._workflow = body.load_workflow(context.workflow)
                self._obstacle = ""
            except BaseException as error:  # noqa: BLE001 - becomes the obstacle
                traceback.print_exc()
                self._obstacle = f"the worker could not parse {context.snakefile}: {type(error).__name__}: {error}"
        # What exists now stays: a child's garbage collection must not touch, and so copy, it.
        gc.collect()
        gc.freeze()
        signal.signal(signal.SIGTERM, lambda *_: None)
        self._connection.send(("ready", self._obstacle))

    def _start(self, spec: JobSpec, grant: Grant) -> None:
        report_fd, child_end = os.pipe()
        os.set_blocking(report_fd, False)
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            os.close(report_fd)
            self._be_child(spec, grant, child_end)
        os.close(child_end)
        self._children[pid] = _Child(spec, pid, report_fd, time.time())
        self._connection.send(("started", spec.key, pid))

    def _be_child(self, spec: JobSpec, grant: Grant, report_fd: int) -> NoReturn:
        """Run one job in this fork and end it. The exit code is 0 only if the body succeeded."""
        code = 1
        try:
            self._settle(spec, grant)
            if spec.command is not None:
                os.execv("/bin/bash", ["bash", "-c", spec.command])  # noqa: S606
            code = self._run_body(spec, _reporter(report_fd))
        except BaseException:  # noqa: BLE001 - the process ends here, its log says why
            traceback.print_exc()
        finally:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def _settle(self, spec: JobSpec, grant: Grant) -> None:
        """Make this fork a process of its own: session, signals, log, environment, cores."""
        os.setsid()
        processes.end_with_parent(signal.SIGKILL)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self._connection.close()
        Path(spec.log).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _redirect_output(spec.log)
        os.environ.update(spec.environment)
        if grant.bind and grant.cores:
            usable = set(grant.cores) & os.sched_getaffinity(0)
            if usable:
                os.sched_setaffinity(0, usable)
        if "numpy" in sys.modules:
            # Forks would share the state of the global generator, and so its numbers.
            sys.modules["numpy"].random.seed()

    def _run_body(self, spec: JobSpec, report: Callable[..., None]) -> int:
        from snakemake.exceptions import print_exception

        if self._workflow is None or spec.body is None:
            report(obstacle=self._obstacle)
            return 1
        try:
            body.run(self._workflow, spec.body, lambda path: report(shadow_dir=path))
        except body.UnpackableError as error:
            report(obstacle=f"the job could not be rebuilt on the worker: {error}")
        except SystemExit as exit_:
            # As in Snakemake's own subprocess: a body that exits has failed unless it says 0.
            if exit_.code in (None, 0):
                return 0
            report(exit_code=exit_.code if isinstance(exit_.code, int) else 1)
            print(f"The body called exit({exit_.code!r}).", file=sys.stderr)
        except BaseException as error:  # noqa: BLE001 - the outcome is the report
            report(**_ending_of(error))
            print_exception(error, self._workflow.linemaps)
        else:
            return 0
        return 1

    def _reap(self) -> None:
        """Report all children that have ended, and kill what they left in their process group."""
        while True:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                return
            # Not reaped yet, so the number of the group cannot belong to anyone else.
            if ended.si_pid in self._children:
                processes.send_to_group(ended.si_pid, signal.SIGKILL)
            pid, status, usage = os.wait4(ended.si_pid, 0)
            if child := self._children.pop(pid, None):
                self._connection.send(("ended", child.spec.key, _ending(child, status, usage.ru_maxrss)))

    def _end_children(self) -> None:
        """Kill all children with their descendants; the worker has gone or wants none of them."""
        for pid in self._children:
            processes.send_to_group(pid, signal.SIGTERM)
        deadline = time.monotonic() + _GRACE_S
        while self._children and time.monotonic() < deadline:
            with contextlib.suppress(ChildProcessError):
                pid, _ = os.waitpid(-1, os.WNOHANG)
                self._children.pop(pid, None)
            time.sleep(0.02)
        for pid in self._children:
            processes.send_to_group(pid, signal.SIGKILL)


def _reporter(fd: int) -> Callable[..., None]:
    """Return a function with which a child tells the forkserver about itself, a line a call."""
    import json

    def report(**facts: Any) -> None:
        short = {name: fact[:2000] if isinstance(fact, str) else fact for name, fact in facts.items()}
        os.write(fd, (json.dumps(short) + "\n").encode())

    return report


def _ending(child: _Child, status: int, max_rss_kb: int) -> Ending:
    """Return how a child ended, after its log was dropped if there is nothing in it."""
    import json

    report: dict[str, Any] = {}
    with contextlib.suppress(BlockingIOError):
        for line in os.read(child.report_fd, 65536).decode().splitlines():
            report |= json.loads(line)
    os.close(child.report_fd)
    code = os.waitstatus_to_exitcode(status)
    with contextlib.suppress(OSError):
        if code == 0 and Path(child.spec.log).stat().st_size == 0:
            Path(child.spec.log).unlink()
    return Ending(
        exit_code=report.get("exit_code", code) if code >= 0 else None,
        signal=report.get("signal") if code >= 0 else -code,
        started_at=child.started_at,
        ended_at=time.time(),
        max_rss_mb=max_rss_kb // 1024,
        report=report,
    )


def _ending_of(error: BaseException | None) -> dict[str, int]:
    """Return the exit code or signal of the program that a body's exception stems from, if any."""
    while error is not None:
        if isinstance(error, subprocess.CalledProcessError):
            # A shell says 128 + n for a command that signal n ended.
            code = error.returncode
            return {"signal": -code} if code < 0 else {"exit_code": code}
        error = error.__cause__ or error.__context__
    return {}


def _redirect_output(log: str) -> None:
    """Send this process's stdout and stderr to the end of a log."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def start_anew() -> tuple[subprocess.Popen[bytes], Connection]:
    """Start a forkserver as a new program, for a process that must not fork any more.

    Its children share nothing with this process, so it costs an import of Snakemake.
    """
    ours, theirs = Pipe(duplex=True)
    program = f"from {__name__} import serve; serve({theirs.fileno()})"
    process = subprocess.Popen([sys.executable, "-P", "-c", program], pass_fds=[theirs.fileno()])  # noqa: S603
    theirs.close()
    return process, ours


def serve(fd: int) -> NoReturn:
    """Be the forkserver of the runner at the other end of an inherited socket."""
    import snakemake.api
    import snakemake.executors.local  # noqa: F401 - before the workflow is there, so that it is shared

    _main(Connection(fd))
