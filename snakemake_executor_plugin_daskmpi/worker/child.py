"""A job's process: a fork of the forkserver that runs one job, or several in turn.

Runs on: ranks >= 2, below the forkserver.

A body that runs user code in this very process (``run:``) and a spawned command get a fresh fork each, and end as a
Python program ends. A body that only starts other programs (``shell:``, ``script:``) leaves nothing behind here but
memory pages that were copied once; its process takes the next such job, which saves most of the cost of a trivial job.
What a body has started and not waited for is not touched here: this process ends, and the forkserver, to which it comes
then, waits for it.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import itertools
import os
import resource
import signal
import subprocess
import sys
import threading
import traceback
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from snakemake_executor_plugin_daskmpi.messages import PYTHON_VARIABLE
from snakemake_executor_plugin_daskmpi.rank import graces, processes
from snakemake_executor_plugin_daskmpi.snakemake_internals import workflows
from snakemake_executor_plugin_daskmpi.warm import body
from snakemake_executor_plugin_daskmpi.worker import finalizers

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from snakemake_executor_plugin_daskmpi.messages import Grant, JobSpec
    from snakemake_executor_plugin_daskmpi.worker.warmth import Warmth

#: Jobs that one process runs at most; arbitrary, bounds what may leak.
_JOBS_PER_PROCESS = 200
#: Added to what makes the kernel choose a process when memory is short: half of all memory, so that it chooses a body
#: before the worker, the forkserver or Snakemake, but no small body before a program of someone else that has the most.
_OOM_SCORE_ADJ = 500
#: Modules whose content a process destroys at its end also if it was born with them: Snakemake keeps there what the
#: Snakefile defines.
_HOMES_OF_USERS_OBJECTS = ("snakemake.workflow", "__main__", "builtins", "sys")


def be(connection: Connection, warmth: Warmth, spec: JobSpec, grant: Grant) -> NoReturn:
    """Run a job, and further ones that come over the connection, then end this process.

    Parameters
    ----------
    connection
        To the forkserver. ``("done", report)`` follows each job that leaves the process usable.
    """
    code = 1
    try:
        _settle()
        if spec.ends_as_python:
            # Objects of the forkserver must not be destroyed when this process ends.
            weakref.finalize._registry.clear()  # type: ignore[attr-defined] # noqa: SLF001 - there is no other way
            code = _run_once(connection, warmth, spec, grant)
        else:
            code = _run_in_turn(connection, warmth, spec, grant)
    except EOFError:
        code = 0  # the forkserver has gone, or has no more jobs
    except BaseException as error:  # noqa: BLE001 - the process ends here, and its last words say why
        print_error()
        with contextlib.suppress(OSError):
            connection.send(("last", failure_of(f"its process failed: {error_text(error)}")))
    finally:
        inborn = warmth.modules
        del connection, warmth, grant
        if spec.ends_as_python:
            _end_as_python(code, inborn)
        flush()
        os._exit(code)


def _run_once(connection: Connection, warmth: Warmth, spec: JobSpec, grant: Grant) -> int:
    """Run a job that has this process for itself, and return the exit code."""
    _take_on(spec, grant, os.sched_getaffinity(0))
    if not spec.needs_parse:
        workflows.after_fork(warmth.bare)
    report = _outcome_of(warmth, spec, grant)
    # The body may have closed all that it found open: then the exit code tells.
    with contextlib.suppress(OSError):
        connection.send(("last", report))
    return int(report.get("exit_code", 1 if report["failed"] else 0))


def _run_in_turn(connection: Connection, warmth: Warmth, spec: JobSpec, grant: Grant) -> int:
    """Run a job, and further ones as they come, and return the exit code of the last one."""
    if warmth.bare is not None:
        workflows.after_fork(warmth.bare)
    base, cores = dict(os.environ), os.sched_getaffinity(0)
    for number in itertools.count(1):
        used_s = _cpu_s()
        _take_on(spec, grant, cores)
        if spec.command is not None:
            os.environ[PYTHON_VARIABLE] = sys.executable
            os.execv("/bin/bash", ["bash", "-c", spec.command])  # noqa: S606
        report = _outcome_of(warmth, spec, grant) | {"cpu_s": _cpu_s() - used_s}
        flush()
        last = not spec.reusable or not spec.inherited.is_reversible or number == _JOBS_PER_PROCESS
        # The forkserver waits for the programs that a body has left.
        if last or report["failed"] or processes.has_children():
            connection.send(("last", report))
            return int(report.get("exit_code", 1 if report["failed"] else 0))
        connection.send(("done", report))
        spec, grant = connection.recv()
        _restore(base)
    raise AssertionError  # not reached


def _cpu_s() -> float:
    """Return the CPU seconds that this process, and the programs that it has waited for, have used."""
    parts = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(part.ru_utime + part.ru_stime for part in parts)


def _restore(environ: dict[str, str]) -> None:
    """Make this process's environment what it was: most of it has not changed, which is cheaper to see than to set."""
    for name in os.environ.keys() - environ.keys():
        del os.environ[name]
    for name, value in environ.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


def _settle() -> None:
    """Make this fork a process of its own."""
    os.setsid()
    processes.end_with_parent(signal.SIGKILL)
    # Orphans of this job's programs come to this process, not to that of another job.
    processes.adopt_orphans()
    processes.be_killed_first(_OOM_SCORE_ADJ)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, _end_programs)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if "numpy.random" in sys.modules:
        # Forks would share the state of the global generator, and so its numbers.
        sys.modules["numpy.random"].seed()


def _end_programs(number: int, _frame: object) -> NoReturn:
    """On SIGTERM: pass it on to all that this process has started, let them clean up, and end by it."""
    processes.end_session(number, graces.PROGRAMS_S)
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    raise SystemExit(128 + number)  # not reached


#: The process of a body in Python, and whether it was told to end.
_own_pid, _terminated = 0, False


def _end_in_order_on_sigterm() -> None:
    """Handle SIGTERM as a body in Python does."""
    global _own_pid  # noqa: PLW0603 - one process runs one such body
    _own_pid = os.getpid()
    signal.signal(signal.SIGTERM, _let_end)


def _let_end(number: int, _frame: object) -> None:
    """On SIGTERM to a body in Python: let it end in order, but as a failed one.

    So does Snakemake's own process for such a body. Whoever wants it to end soon sends SIGTERM to its programs, too,
    and SIGKILL after a grace. Forks of it, those of multiprocessing for instance, end at once.
    """
    if os.getpid() != _own_pid:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    global _terminated  # noqa: PLW0603 - one process has one end
    _terminated = True


def _take_on(spec: JobSpec, grant: Grant, cores: set[int]) -> None:
    """Give this process a job's log, environment and cores."""
    Path(spec.log).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    processes.redirect_output(spec.log)
    os.environ.update(spec.environment)
    # What the Snakefile has set takes precedence over what each job is given.
    spec.inherited.apply()
    usable = set(grant.cores) & cores if grant.bind else set()
    if usable or grant.bind:
        os.sched_setaffinity(0, usable or cores)


def _outcome_of(warmth: Warmth, spec: JobSpec, grant: Grant) -> dict[str, Any]:
    """Run a body and return what is to be said of it; what it raised is printed to its log."""
    from snakemake.exceptions import print_exception

    report: dict[str, Any] = {"failed": True}
    if warmth.bare is None or spec.body is None:
        return report | {"obstacle": warmth.obstacle}
    workflow = warmth.bare
    try:
        with contextlib.ExitStack() as at_the_end:
            if spec.needs_parse:
                workflow = warmth.parsed()
            if workflow not in (warmth.bare, warmth.shared):
                at_the_end.callback(_tear_down, workflow)
            if spec.needs_parse:
                _end_in_order_on_sigterm()
            body.run(workflow, spec.body, report, grant.mpi)
    except body.UnpackableError as error:
        report["obstacle"] = f"a job could not be rebuilt on the worker: {error}"
    except SystemExit as exit_:
        report["failed"] = exit_.code not in (None, 0)
        report["exit_code"] = exit_.code if isinstance(exit_.code, int) else int(report["failed"])
        print(f"The body called exit({exit_.code!r}).", file=sys.stderr)
    except BaseException as error:  # noqa: BLE001 - the outcome is the report
        report |= _ending_of(error)
        try:
            print_exception(error, workflow.linemaps)
        except OSError as unwritable:
            report["reason"] = f"{error_text(error)} (its log takes no more: {error_text(unwritable)})"
    else:
        report["failed"] = False
    return report | ({"failed": True, "signal": signal.SIGTERM} if _terminated else {})


def _tear_down(workflow: Any) -> None:
    """Remove what a workflow has in folders for temporary files; a body may have closed all that it found open."""
    try:
        workflow.tear_down()
    except OSError:
        print_error()


def _ending_of(error: BaseException | None) -> dict[str, int]:
    """Return the exit code or signal of the program that a body's exception stems from, if any."""
    while error is not None:
        if isinstance(error, subprocess.CalledProcessError):
            code = error.returncode
            return {"signal": -code} if code < 0 else {"exit_code": code}
        error = error.__cause__ or error.__context__
    return {"exit_code": 1}


def _end_as_python(code: int, inborn: frozenset[str]) -> NoReturn:
    """End this process as Python ends a program.

    It waits for threads that are no daemons, calls what was registered with ``atexit``, and destroys all objects of
    the user's: files are closed, and libraries write what they hold. What this process was born with, Snakemake and
    the standard library, is left alone, for which it would copy all its memory first.

    Parameters
    ----------
    inborn
        The modules that it was born with.
    """
    try:
        # What Py_FinalizeEx does itself, while all modules can still be imported.
        threading._shutdown()  # type: ignore[attr-defined] # noqa: SLF001
        atexit._run_exitfuncs()  # noqa: SLF001 - as above
        finalizers.call_finalizers()
    except BaseException:  # noqa: BLE001 - as Python itself: said, and no reason to skip the rest
        print_error()
    flush()
    kept = [module for name in inborn - {*_HOMES_OF_USERS_OBJECTS} if (module := sys.modules.pop(name, None))]
    # Never released: these modules are not to be cleared.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(kept))
    ctypes.pythonapi.Py_Exit(code)
    raise AssertionError  # not reached


def failure_of(reason: str) -> dict[str, Any]:
    """Return the report of a job that failed before or beside its body."""
    return {"failed": True, "exit_code": 1, "reason": reason, "next_step": _REPAIR}


_REPAIR = "repair what it names on that host (df -h, df -i and ulimit -a show more); --retries N runs it again."


def error_text(error: BaseException) -> str:
    """Return an error as the text of a reason.

    >>> error_text(OSError(28, "No space left on device", "out"))
    "OSError: [Errno 28] No space left on device: 'out'"
    """
    return f"{type(error).__name__}: {error}".strip().removesuffix(":")


def print_error() -> None:
    """Print the error that is being handled, if the log takes it."""
    with contextlib.suppress(OSError):
        traceback.print_exc()


def flush() -> None:
    """Write out what was printed, if the log takes it."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
