"""Processes that are forked for a local world before Snakemake has read anything of the user's.

Runs on: the process that is Snakemake, outside any MPI world (:func:`fork_ahead`, :func:`take`); and in the forks.

A start of Python and an import of Snakemake cost a second for each process of a world, a fork some milliseconds. The
moment for it is the one at which the ranks of an MPI world part, too: Snakemake is imported, and no Snakefile read.
Whether there will be anything to do is not known then, so the forks wait for their order, and end without one.
"""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TextIO

from snakemake_executor_plugin_daskmpi.rank import job_environment, processes
from snakemake_executor_plugin_daskmpi.world import serve
from snakemake_executor_plugin_daskmpi.world.serve_order import Order, line_of_stdin

if TYPE_CHECKING:
    from snakemake_executor_plugin_daskmpi.settings.flags import Settings

#: Seconds between two looks at a process whose end is awaited.
_PAUSE_S = 0.005


@dataclass(slots=True, eq=False)
class Forked:
    """A fork of this process, with as much of the interface of ``subprocess.Popen`` as a world needs."""

    pid: int
    stdin: TextIO
    stdout: TextIO
    returncode: int | None = None

    def poll(self) -> int | None:
        """Return its exit code, minus the signal that ended it; None while it runs."""
        if self.returncode is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:
                self.returncode = 0  # somebody else has taken its exit code, as user's code may
            else:
                self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return its exit code; TimeoutExpired after so many seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if deadline is not None and time.monotonic() >= deadline:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0.0)
            time.sleep(_PAUSE_S)
        return code

    def kill(self) -> None:
        """Kill it."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


#: Those that have no order yet.
_idle: list[Forked] = []


def fork_ahead(settings: Settings) -> None:
    """Fork the scheduler and the workers of a local world, if this process is fit for it.

    A program that calls Snakemake's Python interface has state and perhaps threads of its own, which no job may see.
    """
    if _idle or not _is_fresh_snakemake():
        return
    # What exists now is shared, and stays so if no garbage collection touches it.
    gc.freeze()
    while len(_idle) < 1 + (settings.workers or 1):
        _idle.append(_fork())
    gc.unfreeze()


def take() -> Forked | None:
    """Return a fork to give an order to, if one is left."""
    return _idle.pop(0) if _idle else None


def _is_fresh_snakemake() -> bool:
    """Say whether this process was started as the program Snakemake, and has no thread but this one.

    Not counted are those of NumPy's OpenBLAS, which Snakemake imports: it ends them before a fork by itself.
    """
    main = getattr(sys.modules["__main__"], "__file__", None) or ""
    snakemake = getattr(sys.modules.get("snakemake"), "__file__", None) or ""
    is_snakemake = Path(main).name == "snakemake" or Path(main) == Path(snakemake).with_name("__main__.py")
    return is_snakemake and threading.active_count() == 1


def _fork() -> Forked:
    their_stdin, stdin = os.pipe()
    stdout, their_stdout = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        _become_server(parent, their_stdin, their_stdout, ours=(stdin, stdout))
    os.close(their_stdin)
    os.close(their_stdout)
    return Forked(pid, open(stdin, "w"), open(stdout))  # noqa: PTH123 - pipes, closed by the world


def _become_server(parent: int, stdin: int, stdout: int, ours: tuple[int, int]) -> NoReturn:
    """Wait for an order, serve by it, and end this process."""
    code = 1
    try:
        # The terminal's Ctrl-C is rank 1's to handle.
        os.setsid()
        # As long as there is no order: this process is told of its parent's end by the end of stdin, which others hold
        # open that the parent has forked.
        processes.end_with_parent(signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(code)
        for other in _idle:
            other.stdin.close()
            other.stdout.close()
        for descriptor in ours:
            os.close(descriptor)
        os.dup2(stdin, 0)
        os.dup2(stdout, 1)
        for descriptor in (stdin, stdout):
            os.close(descriptor)
        # The world may be one task of a Slurm step, which its processes must not take for their own.
        job_environment.scrub(os.environ)
        order = Order.read(line_of_stdin())
        processes.outlive_parent()
        serve.main(order)
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:  # noqa: BLE001 - the process ends here, and says why
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
