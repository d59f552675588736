"""How a job ended, as the forkserver tells the runner.

Runs on: ranks >= 2.
"""

from __future__ import annotations

import signal
from typing import Any, NamedTuple


class Ending(NamedTuple):
    """How a job ended, as the forkserver saw it."""

    exit_code: int | None
    signal: int | None
    started_at: float
    ended_at: float
    #: What its process said: ``failed``, ``exit_code``, ``signal``, ``reason``, ``next_step``, ``shadow_dir``,
    #: ``tmpdir``, ``obstacle``.
    report: dict[str, Any]
    #: CPU seconds of it and of the programs that ended before it; 0 if not known.
    cpu_s: float = 0.0

    @property
    def was_killed(self) -> bool:
        """Whether SIGKILL ended the body, or a program of it: a shell passes that on as exit code 137."""
        return self.signal == signal.SIGKILL or self.exit_code == 128 + signal.SIGKILL
