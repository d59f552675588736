"""A run that ends before its workflow does: what is left, how Snakemake is told, and what the user reads.

Runs on: rank 1.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

from snakemake_executor_plugin_daskmpi.client import exit_code
from snakemake_executor_plugin_daskmpi.errors import three_part_message
from snakemake_executor_plugin_daskmpi.slurm.submission import progress
from snakemake_executor_plugin_daskmpi.snakemake_internals import incomplete, last_round

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
    from snakemake_interface_executor_plugins.logging import LoggerExecutorInterface
    from snakemake_interface_executor_plugins.workflow import WorkflowExecutorInterface

    from snakemake_executor_plugin_daskmpi.messages import JobSpec


class Drain:
    """What of a run will not be done in it.

    Parameters
    ----------
    submitted
        The jobs that were handed over and have no outcome, by key.
    kill_local_jobs
        Ends the jobs of local rules, which Snakemake runs itself.
    """

    def __init__(
        self,
        workflow: WorkflowExecutorInterface,
        logger: LoggerExecutorInterface,
        submitted: Mapping[str, SubmittedJobInfo],
        kill_local_jobs: Callable[[], None],
    ) -> None:
        self._workflow = workflow
        self._logger = logger
        self._submitted = submitted
        self._kill_local_jobs = kill_local_jobs
        #: Whether the exit code is ours to set.
        self._sets_exit_code = exit_code.is_command_line()
        #: Whether outputs are marked when their job starts, not when it is handed over.
        self.marks = incomplete.can_wait(workflow)
        self._marks_failed = False
        self._failed: set[Any] = set()
        #: Why nothing starts any more; "" while jobs do.
        self._why = ""
        #: Jobs that will not start in this run, and those that were ended in it.
        self._set_aside: set[Any] = set()
        self._ended: set[Any] = set()
        #: How many times in turn there was nothing left to do.
        self._looks = 0
        self._is_over = False

    # -- in the link's thread ----------------------------------------------------------------

    def note_start(self, spec: JobSpec) -> None:
        """Mark the outputs of a job that is about to start."""
        info = self._submitted.get(spec.key)
        if info is None or not self.marks:
            return
        try:
            incomplete.mark(info.job)
        except OSError as error:
            if not self._marks_failed:
                self._marks_failed = True
                self._logger.warning(f"daskmpi: outputs that are being made cannot be marked as such: {error}")

    def set_aside(self, keys: Sequence[str]) -> None:
        """Take note of jobs that will not start in this run."""
        self._set_aside.update(self._submitted[key].job for key in keys if key in self._submitted)
        if self._why:
            self._end()

    def begin(self, why: str, n_running: int) -> None:
        """Say that nothing starts any more, and why."""
        self._why = why
        ends = f"{n_running} running one{'s' * (n_running != 1)} may end" if n_running else "none runs"
        again = " A second SIGTERM ends them." if n_running and why.startswith("SIGTERM") else ""
        self._logger.warning(f"daskmpi: {why}: no further jobs start, {ends}.{again}")

    def look(self, is_idle: bool) -> None:  # noqa: FBT001 - called by an event loop
        """End the run if there was nothing left to do, twice in turn, but what was set aside."""
        due = is_idle and bool(self._set_aside) and not self._is_over
        self._looks = self._looks + 1 if due and last_round.is_due(self._workflow, self._set_aside) else 0
        if self._looks > 1:
            self._end()

    def end_local_jobs(self) -> None:
        """End the jobs of local rules, as it is time to."""
        scheduler: Any = self._workflow.scheduler
        local = {job for job in tuple(scheduler.running) if job.is_local}
        if local:
            self._ended |= local
            self._end()
            self._kill_local_jobs()

    def take_back(self, job: Any) -> None:
        """Let Snakemake clean up after a job that was ended in time, which is no failure of its own."""
        self._ended.add(job)
        self._end()
        scheduler: Any = self._workflow.scheduler
        scheduler.error_callback(job)

    def _end(self) -> None:
        self._is_over = True
        # A copy, since Snakemake's threads end jobs as well.
        last_round.begin(self._workflow, set(self._set_aside))

    def note_failure(self, job: Any) -> None:
        """Take note of a job that Snakemake has to clean up after."""
        self._failed.add(job)

    # -- at the end, in Snakemake's thread ---------------------------------------------------

    def mark_what_is_left(self) -> None:
        """Mark the outputs of failed jobs that Snakemake could not clean up after: they count as running to it."""
        scheduler: Any = self._workflow.scheduler
        # Without workers, a run ends before Snakemake has a scheduler.
        if not self.marks or scheduler is None:
            return
        for job in self._failed & set(scheduler.running):
            with contextlib.suppress(OSError):
                incomplete.mark_again(job)

    def close(self, command: str) -> int | None:
        """Say what was done and what is left; return the exit code unless that is Snakemake's own.

        Parameters
        ----------
        command
            What continues the workflow.
        """
        scheduler: Any = self._workflow.scheduler
        done, total = scheduler.finished_jobs, len(self._workflow.dag)
        failed = scheduler.failed - self._ended
        if not self._is_over or done >= total:
            return None
        progress.write(progress.Progress(done, total))
        why = self._why or "no job that is left would end before the allocation does"
        parts = [f"{done} of {total} jobs {'is' if done == 1 else 'are'} done, {total - done} left"]
        if self._ended:
            one = len(self._ended) == 1
            parts.append(f"{len(self._ended)} of them {'was' if one else 'were'} ended and start{'s' * one} anew")
        if failed:
            parts.append(f"{len(failed)} failed")
        text = three_part_message(
            f"The run ends before its workflow: {why}.", seen="; ".join(parts) + ".", next_step=command
        )
        self._logger.error(f"daskmpi: {text}")
        if failed:
            return None
        if self._sets_exit_code:
            exit_code.end_with(os.EX_TEMPFAIL)
        return os.EX_TEMPFAIL
