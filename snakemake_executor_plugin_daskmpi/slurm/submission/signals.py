"""What signals ask of a submission: to cancel the job, or to leave it alone.

Runs on: the login node.
"""

from __future__ import annotations

import contextlib
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SIGNALS = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})


class Left(BaseException):
    """The terminal is gone (SIGHUP): leave the job alone."""


class Terminated(BaseException):
    """SIGTERM: cancel without asking."""


#: What a signal that ends us makes of the exit code, as a shell has it.
EXIT_CODES: dict[type[BaseException], int] = {
    KeyboardInterrupt: 128 + signal.SIGINT,
    Terminated: 128 + signal.SIGTERM,
    Left: 128 + signal.SIGHUP,
}
#: All that a signal asks for.
WISHES = tuple(EXIT_CODES)


def hold() -> None:
    """Have signals wait, until :func:`listen`, also when another program takes over this process."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)


def listen() -> None:
    """Have signals raise; those that were ignored stay so (nohup, programs in the background)."""

    def raiser(what: type[BaseException]) -> Callable[..., None]:
        def handler(*_: object) -> None:
            raise what

        return handler

    for number, what in ((signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated), (signal.SIGHUP, Left)):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, raiser(what))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


@contextlib.contextmanager
def signals_held() -> Iterator[None]:
    """Have signals wait while something must not be cut in two."""
    held = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
