"""What Linux offers to keep families of processes together.

Runs on: every rank.
Called by: world.bootstrap, worker.forkserver, worker.runner.
"""

from __future__ import annotations

import contextlib
import ctypes
import os

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def end_with_parent(number: int) -> None:
    """Have the kernel send this process a signal when its parent dies, however that happens."""
    _prctl(_PR_SET_PDEATHSIG, number)


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent dies."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def send(pid: int, number: int) -> None:
    """Send a signal to a process if it is still there."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def send_to_group(pid: int, number: int) -> None:
    """Send a signal to the process group of a process, or to itself alone if it leads none (yet)."""
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        send(pid, number)


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)
