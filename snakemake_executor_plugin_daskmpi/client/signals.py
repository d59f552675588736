"""What signals ask of a run: to drain, to end, to end at once.

Runs on: rank 1, in Snakemake's main thread.

=====================  =======================================================================
Ctrl-C (SIGINT)        ends the run: bodies get SIGTERM, and SIGKILL after a grace; a second one: SIGKILL now
SIGUSR1                drains: nothing starts any more, running jobs end. Slurm sends it some time before the end
                       of a walltime (``sbatch --signal=USR1@300``)
SIGTERM                drains; a second one ends the run. But on a node of a Slurm job it ends the run, as Slurm
                       sends it to all processes and SIGKILL some seconds later; and when our parent has died
=====================  =======================================================================
"""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.client.drains import Drains
from snakemake_executor_plugin_daskmpi.client.interruption import Interruption
from snakemake_executor_plugin_daskmpi.errors import CONTINUE

if TYPE_CHECKING:
    from collections.abc import Callable

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)

#: Slurm itself prints which of these it was.
_SLURM_ENDS_IT = f"""
daskmpi: SIGTERM: Slurm ends this run (scancel, its walltime is over, or a node or rank was lost); jobs are stopped.
  Next: {CONTINUE}.
""".encode()


class Leaving:
    """How far signals have gone in ending the run.

    Parameters
    ----------
    drain
        Called with the reason when nothing is to start any more.
    hurry
        Called when the end is to be quick.

    Both are called by a signal's handler.
    """

    def __init__(self, drain: Callable[[Drains], None], hurry: Callable[[], None]) -> None:
        self._drain, self._hurry = drain, hurry
        self._parent = os.getppid()
        self._by_slurm = self._has_keeper = False
        #: Whether the run is being ended, with all that still runs.
        self.has_begun = False
        #: Whether a signal asked to drain.
        self.drains = False
        #: Whether jobs may be running, which a first SIGTERM lets end. Before, SIGTERM ends the run.
        self.has_jobs = False
        self.interruption = Interruption()

    def on_signals(self, *, by_slurm: bool, has_keeper: bool) -> None:
        """Handle signals from now on; Snakemake sets a handler of its own when the executor is made.

        Parameters
        ----------
        by_slurm
            Whether it is Slurm that sends SIGTERM, which the user is told then.
        has_keeper
            Whether the parent's death ends this process.
        """
        self._has_keeper, self._by_slurm = has_keeper, by_slurm
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                signal.signal(number, self._handle)

    def _handle(self, received: int, _: object) -> None:
        if self.has_begun:
            # A terminal, mpiexec and the death of a parent may each send a SIGTERM, and none of them hurries.
            if received == signal.SIGINT:
                self._hurry()
            return
        orphaned = self._has_keeper and os.getppid() != self._parent
        ends = self._by_slurm or orphaned or self.drains or not self.has_jobs
        if received == signal.SIGUSR1 or (received == signal.SIGTERM and not ends):
            if not self.drains:
                self.drains = True
                self._drain(Drains.SIGUSR1 if received == signal.SIGUSR1 else Drains.SIGTERM)
            return
        self.has_begun = True
        if received == signal.SIGTERM and self._by_slurm:
            # Not print: this may have interrupted one.
            os.write(2, _SLURM_ENDS_IT)
        self.interruption.come()
