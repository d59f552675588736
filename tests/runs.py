"""A program, or a Slurm job, that a test has started: its output, its end, its exit code.

Runs on: the machine of the tests.
Called by: harness, whose Workflow starts them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from forked import Forked
    from slurm_cluster import SlurmCluster

_T = TypeVar("_T")


def wait_until(
    fn: Callable[[], _T], *, on_timeout: Callable[[], str], timeout_s: float = 120.0, every_s: float = 0.02
) -> _T:
    """Return the first true value of a function; fail with what is seen instead after the timeout."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = fn()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout_s:.0f} s in vain: {on_timeout()}")
        time.sleep(every_s)


@dataclass(slots=True)
class Run:
    """One Snakemake, or one world of them, in a process group of its own."""

    process: subprocess.Popen[bytes] | Forked
    log: Path

    @property
    def text(self) -> str:
        """All that it has written to the terminal so far."""
        return self.log.read_text(errors="replace")

    @property
    def has_ended(self) -> bool:
        """Whether it has ended."""
        return self.process.poll() is not None

    def wait(self, timeout_s: float = 270.0) -> int:
        """Return its exit code."""
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.process.args} did not end in {timeout_s:.0f} s:\n{self.text}") from None

    def ends_with(self, code: int, timeout_s: float = 270.0) -> None:
        """Check its exit code, and show its output if that is another one."""
        ended_with = self.wait(timeout_s)
        assert ended_with == code, f"exit code {ended_with} instead of {code}:\n{self.text}"

    def interrupt(self) -> None:
        """Do what a terminal does on Ctrl-C."""
        os.killpg(self.process.pid, signal.SIGINT)


@dataclass(slots=True)
class SlurmRun:
    """One Slurm job, heterogeneous or not, that a test submitted."""

    job_id: int
    slurm: SlurmCluster
    log: Path

    @property
    def text(self) -> str:
        """All that it has written so far, slurmstepd's last words included."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    @property
    def has_ended(self) -> bool:
        """Whether it has ended; some of its processes may still be about to."""
        return self.slurm.ended(self.job_id) is not None

    @property
    def state(self) -> str:
        """How it ended, in Slurm's word."""
        ended = self.slurm.ended(self.job_id)
        return ended[0] if ended else "not ended"

    def wait(self, timeout_s: float = 270.0) -> int:
        """Return its exit code, as a shell has it."""
        ended = wait_until(
            lambda: self.slurm.ended(self.job_id),
            on_timeout=lambda: f"{self.slurm.squeue() or 'no job'}:\n{self.text}",
            timeout_s=timeout_s,
        )
        return ended[1]

    def ends_with(self, code: int, timeout_s: float = 270.0) -> None:
        """Check its exit code, and show its output if that is another one."""
        ended_with = self.wait(timeout_s)
        assert ended_with == code, f"exit code {ended_with} ({self.state}) instead of {code}:\n{self.text}"
