"""How far the run got, in the comment of the Slurm job that it is in, where ``squeue`` shows it to everybody.

Runs on: rank 1, in a thread of its own.

It is a courtesy. Whatever Slurm says, or if it says nothing, the run goes on as without: nobody waits for the thread
but at the end, and then for one second.
"""

from __future__ import annotations

import logging
import shlex
import threading
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.errors import LaunchError
from snakemake_executor_plugin_daskmpi.slurm import comment
from snakemake_executor_plugin_daskmpi.slurm.controller import answer_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_log = logging.getLogger(__name__)

#: Seconds between two comments: each is a message to the one controller of the whole cluster.
_EVERY_S = 60.0
#: Seconds after which Slurm's program is given up.
_TIMEOUT_S = 10.0
#: Seconds for which the end of a run waits for the last comment, which takes some 20 ms.
_PATIENCE_S = 1.0


class JobComment:
    """The comment of one Slurm job, which a run keeps.

    Parameters
    ----------
    job
        As ``scontrol`` names it; "" outside of Slurm jobs, where nothing is done.
    count
        Tells how many jobs of the workflow are done, how many there are, and how many failed. Called in this thread.
    every_s
        Seconds between two comments, at least.
    """

    def __init__(self, job: str, count: Callable[[], tuple[int, int, int]], every_s: float = _EVERY_S) -> None:
        self._job, self._count, self._every_s = job, count, every_s
        self._is_over = threading.Event()
        # A daemon, since Python waits for all others when it ends.
        self._thread = threading.Thread(target=self._keep, name="job comment", daemon=True)
        if job:
            self._thread.start()

    @classmethod
    def of(cls, environ: Mapping[str, str], count: Callable[[], tuple[int, int, int]]) -> JobComment:
        """Keep the comment of the job that this process is in, if it is in one."""
        return cls(comment.own_job(environ), count)

    def end(self) -> None:
        """Let the last comment be written now."""
        self._is_over.set()

    def wait(self) -> None:
        """Wait for the last comment, not for long."""
        if self._job:
            self._thread.join(_PATIENCE_S)

    def _keep(self) -> None:
        shown = self._answer(comment.show_command(self._job))
        if shown is None:
            return
        if not comment.is_free(shown):
            _log.info("Slurm job %s has a comment of its user's, which stays", self._job)
            return
        written, is_last = "", False
        while True:
            text = comment.text_of(*self._count())
            if text != written and self._answer(comment.update_command(self._job, text)) is None:
                return
            if is_last:
                return
            written, is_last = text, self._is_over.wait(self._every_s)

    def _answer(self, command: list[str]) -> str | None:
        """Return what Slurm's program prints, None if it refuses or is silent: then it is not asked again."""
        try:
            answer = answer_of(command, timeout_s=_TIMEOUT_S)
        except (LaunchError, OSError) as error:
            words = str(error).partition("\n")[0]
        else:
            if answer.code == 0:
                return answer.out
            words = answer.words
        _log.info("the Slurm job's comment is left alone from now on: %s said: %s", shlex.join(command), words)
        return None
