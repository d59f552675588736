"""How a signal ends a run: as Ctrl-C does, once, however many signals come.

Runs on: rank 1, in Snakemake's main thread.
Called by: executor.
"""

from __future__ import annotations

import os
import signal
import threading

#: Which of these it was, Slurm says in lines of its own.
_SLURM_ENDS_IT = b"""
daskmpi: SIGTERM: Slurm ends this run (scancel, its walltime is over, or a node or rank was lost); jobs are stopped.
  Next: the same command with --rerun-incomplete continues the workflow.
"""


class Leaving:
    """Whether a signal has begun to end the run."""

    def __init__(self) -> None:
        self.has_begun = False

    def on_signals(self, *, by_slurm: bool) -> None:
        """Make SIGTERM end the run as Ctrl-C does: jobs killed, lock released.

        Snakemake's own handler of SIGTERM, set after the executor was made, would wait for running jobs. A
        terminal, mpiexec and the death of a parent may each send one, and the second must not disturb the end.

        Parameters
        ----------
        by_slurm
            Whether it is Slurm that sends SIGTERM, which the user is told then.
        """

        def leave(received: int, _: object) -> None:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)
            self.has_begun = True
            if received == signal.SIGTERM and by_slurm:
                # Not print: this may have interrupted one.
                os.write(2, _SLURM_ENDS_IT)
            raise KeyboardInterrupt

        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, leave)
