"""Raise KeyboardInterrupt where Snakemake reacts to it.

Runs on: rank 1, in Snakemake's main thread.

If it were raised wherever the main thread happens to be, it could be lost: Python only prints what a finalizer raises,
and Snakemake drops what is raised while it logs or calls a function of the Snakefile. Inside Snakemake's event loop, it
would leave the record of a finished job half-written, and be raised a second time, with a traceback, when the loop runs
again. So it waits until the loop has ended, and is repeated until the executor has been told to end. One that comes
before there is an executor is remembered for it.
"""

from __future__ import annotations

import asyncio
import atexit
import signal
import threading
import time

#: Seconds after which a running event loop is interrupted nonetheless: it may be waiting for files.
_PATIENCE_S = 2.0
#: Seconds between two looks at whether the loop runs still.
_LOOK_S = 0.02
#: Seconds after which it comes again, and how often it does.
_AGAIN_S, _TIMES = 1.0, 5

#: Whether there was a Ctrl-C before there was an executor.
_came_early = False


def remember() -> None:
    """Remember a Ctrl-C from now on, until an executor handles signals; forget that of an earlier run here."""
    global _came_early  # noqa: PLW0603 - one for a process, as signals are
    _came_early = False
    # Where it is ignored, as in the background of a script, it stays so.
    is_main = threading.current_thread() is threading.main_thread()
    if is_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _remember)


def _remember(*_: object) -> None:
    global _came_early  # noqa: PLW0603
    _came_early = True
    raise KeyboardInterrupt


class Interruption:
    """One KeyboardInterrupt."""

    def __init__(self) -> None:
        self._arrived = False
        self._times = 0
        self._begun = 0.0

    def come(self) -> None:
        """Raise KeyboardInterrupt, now or soon, and again until it has arrived. For a signal's handler."""
        self._begun = time.monotonic()
        # Python gives signals back to the kernel before a process ends, and an alarm would kill it then.
        atexit.register(self.arrive)
        signal.signal(signal.SIGALRM, lambda *_: self._come())
        self._come()

    def mind(self) -> None:
        """Raise it again if it was lost. Called where Snakemake reacts to it."""
        if _came_early or (self._times and not self._arrived):
            raise KeyboardInterrupt

    def arrive(self) -> None:
        """Stop repeating it: it has arrived, or it is too late."""
        self._arrived = True
        if self._begun:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _come(self) -> None:
        if self._arrived and self._times:
            return
        if _loop_runs() and time.monotonic() - self._begun < _PATIENCE_S:
            signal.setitimer(signal.ITIMER_REAL, _LOOK_S)
            return
        self._times += 1
        if self._times < _TIMES:
            signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)
        raise KeyboardInterrupt


def _loop_runs() -> bool:
    """Say whether this thread is inside of an event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
