"""What Snakemake and the user are told: of jobs that start and end, and of a run that ends before its workflow does.

Runs on: rank 1, in the link's thread; what is called for by the executor in Snakemake's.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from snakemake_executor_plugin_daskmpi.client import exit_code, job_errors, logger_plugins
from snakemake_executor_plugin_daskmpi.errors import three_part_message
from snakemake_executor_plugin_daskmpi.messages import OutcomeKind
from snakemake_executor_plugin_daskmpi.rank import rank_log
from snakemake_executor_plugin_daskmpi.slurm.submission import progress
from snakemake_executor_plugin_daskmpi.snakemake_internals import evaluated, incomplete, undone
from snakemake_executor_plugin_daskmpi.worker.tail import tail_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
    from snakemake_interface_executor_plugins.logging import LoggerExecutorInterface
    from snakemake_interface_executor_plugins.workflow import WorkflowExecutorInterface

    from snakemake_executor_plugin_daskmpi.client.job import Job
    from snakemake_executor_plugin_daskmpi.client.notices import Notes
    from snakemake_executor_plugin_daskmpi.client.recorder import Recorder
    from snakemake_executor_plugin_daskmpi.client.signals import Leaving
    from snakemake_executor_plugin_daskmpi.messages import JobOutcome
    from snakemake_executor_plugin_daskmpi.snakemake_internals.rounds import Rounds
    from snakemake_executor_plugin_daskmpi.snakemake_internals.scheduler import Scheduler


class Executor(Protocol):
    """What of the executor the reports need."""

    workflow: WorkflowExecutorInterface
    logger: LoggerExecutorInterface

    def report_job_success(self, job_info: SubmittedJobInfo) -> None:
        """Tell Snakemake that a job is done."""

    def report_job_error(self, job_info: SubmittedJobInfo, msg: str, aux_logs: list[str]) -> None:
        """Tell Snakemake that a job has failed."""

    def spawn_after_all(self, info: SubmittedJobInfo, obstacle: str) -> None:
        """Submit a job again that could not go warm."""

    def kill_local_jobs(self) -> None:
        """Kill the processes of local rules."""


@dataclass(slots=True)
class Reports:
    """What Snakemake and the user are told of one run.

    Parameters
    ----------
    run_dir
        Of the run's logs.
    marks
        Whether outputs are marked when their job starts, not when it is handed over.
    """

    executor: Executor
    scheduler: Scheduler
    rounds: Rounds
    notes: Notes
    recorder: Recorder
    leaving: Leaving
    run_dir: str
    marks: bool
    #: Jobs that are done, and Snakemake is to be told of: see :meth:`tell_of_done`.
    done: list[tuple[SubmittedJobInfo, str]] = field(default_factory=list)
    #: Whether the run was broken off by an error.
    is_broken: bool = False
    #: Whether Snakemake was told of a job that has failed for good.
    has_failed: bool = False
    _is_over: bool = False
    _marks_failed: bool = False
    #: Jobs that Snakemake was told to be done, and has not looked at yet, with their keys.
    _told: dict[Any, str] = field(default_factory=dict)
    #: Jobs that failed, and those that were ended in time.
    _failed: set[Any] = field(default_factory=set)
    _ended: set[Any] = field(default_factory=set)
    #: Submissions that failed because the run ends; Snakemake may hand over the same job again.
    _given_up: set[Job] = field(default_factory=set)
    #: Whether the exit code is ours to set.
    _sets_exit_code: bool = field(default_factory=exit_code.is_command_line)

    # -- of jobs -------------------------------------------------------------------------------

    def say(self, text: str, *, is_warning: bool = False) -> None:
        """Write a line to Snakemake's log; warnings of workers may come many times, and are said once."""
        if is_warning:
            self.notes.warn_once(text)
        else:
            self.executor.logger.info(f"daskmpi: {text}")

    def warn(self, text: str) -> None:
        """Write a warning to Snakemake's log, once."""
        self.notes.warn_once(text)

    def mark(self, job: Job) -> None:
        """Mark the outputs of a job that is about to start as being made."""
        if not self.marks:
            return
        try:
            incomplete.mark(job.info.job)
        except OSError as error:
            if not self._marks_failed:
                self._marks_failed = True
                self.notes.warn_once(f"outputs that are being made cannot be marked as such: {error}")

    def report(self, job: Job, outcome: JobOutcome) -> None:
        """Tell how a job ended."""
        self._note(job, outcome)
        if self.leaving.has_begun and outcome.kind is not OutcomeKind.OK:
            return  # Snakemake treats its output as incomplete, like that of all jobs that are being ended
        info = job.info
        if outcome.obstacle:
            self.notes.warn_once(f"jobs are spawned, which is slower: {outcome.obstacle}")
            self.executor.spawn_after_all(info, outcome.obstacle)
            return
        if outcome.kind is OutcomeKind.OK:
            self.done.append((info, job.key))
            return
        if outcome.kind is OutcomeKind.LOST and outcome.worker and not outcome.log_tail:
            path = rank_log.rank_log_path(self.run_dir, outcome.worker)
            tail = tail_of(path, n_lines=5)
            outcome = outcome._replace(log=str(path) if tail else "", log_tail=tail)
        log = Path(outcome.log or job.spec.log)
        logs = [os.path.relpath(log)] if log.exists() else []
        text = job_errors.text(outcome, info.job, job.spec)
        self._report_error(info, text, logs)

    def tell_of_done(self) -> None:
        """Tell Snakemake of the jobs that are done."""
        done, self.done = self.done, []
        for info, key in done:
            self._told[info.job] = key
            self.executor.report_job_success(info)
        self.rounds.hold_one_for(len(done))

    def confirm(self, job: Any) -> None:
        """Take note that Snakemake takes a job for done, too."""
        self._told.pop(job, None)

    def reject(self, job: Any) -> None:
        """Take note that Snakemake takes a job for failed; nothing new unless its body had ended well."""
        if (key := self._told.pop(job, None)) is not None:
            self.recorder.rejected(key)

    def undo(self, job: Job, outcome: JobOutcome) -> None:
        """Undo what a job has done that was ended since its worker leaves, and that runs again in this run."""
        self.recorder.ended(job, outcome)
        if outcome.started_at:
            undone.undo(job.info.job, outcome.shadow_dir)

    def take_back(self, job: Job, outcome: JobOutcome) -> None:
        """Let Snakemake clean up after a job that was ended in time, which is no failure of its own."""
        self._note(job, outcome)
        if self.leaving.has_begun:
            return
        if not self.scheduler.has_end:
            self._fail(job, "ended before its time")
            return
        self._ended.add(job.info.job)
        self.scheduler.take_back(job.info.job)

    def _note(self, job: Job, outcome: JobOutcome) -> None:
        self.recorder.ended(job, outcome)
        if outcome.shadow_dir:
            job.info.job.shadow_dir = outcome.shadow_dir
        if outcome.tmpdir:
            evaluated.note_tmpdir(job.info.job, outcome.tmpdir)

    # -- of the end ----------------------------------------------------------------------------

    def has_nothing_else(self, set_aside: Sequence[Job]) -> bool:
        """Say whether Snakemake waits for nothing but jobs that were set aside."""
        return not self.scheduler.has_end or self.scheduler.has_nothing_but({job.info.job for job in set_aside})

    @property
    def stops(self) -> bool:
        """Whether Snakemake waits for what runs, and ends then: a job has failed, so what waits need not start."""
        # Outputs that were marked when their jobs were handed over would pass for half-made.
        return (
            self.marks
            and self.scheduler.has_end
            and self.scheduler.is_there
            and self.scheduler.stops(has_failed=self.has_failed)
        )

    def end_run(self, set_aside: Sequence[Job], *, ends_by_itself: bool = False) -> None:
        """Let Snakemake hand over nothing any more, and end when what runs has ended, by itself perhaps."""
        if ends_by_itself:
            self.scheduler.let_go({job.info.job for job in set_aside})
            return
        if self.scheduler.has_end:
            self._is_over = True
            self.scheduler.end({job.info.job for job in set_aside})
            return
        for job in set_aside:
            if job not in self._given_up:
                self._given_up.add(job)
                self._fail(job, "did not start: this run ends before")

    def _fail(self, job: Job, why: str) -> None:
        """Report a job as failed that has not failed, which is all that Snakemake's interface allows."""
        self._report_error(job.info, f"daskmpi: {job.spec.name} {why}.", [])

    def _report_error(self, info: SubmittedJobInfo, text: str, logs: list[str]) -> None:
        job, executor = info.job, self.executor
        is_final = job.attempt > job.restart_times
        logger_plugins.tell(
            executor.logger,
            executor.workflow.logger_manager.get_log_handlers(),
            text,
            rule=None if job.is_group() else job.rule.name,
            is_final=is_final,
        )
        self.has_failed |= is_final
        self._failed.add(job)
        executor.report_job_error(info, msg=text, aux_logs=logs)

    def end_local_jobs(self) -> bool:
        """End the jobs of local rules, and say whether there were any."""
        if not (self.scheduler.has_end and self.scheduler.is_there):
            self.executor.kill_local_jobs()
            return False
        local = {job for job in self.scheduler.running if job.is_local}
        self._ended |= local
        if local:
            self.executor.kill_local_jobs()
        return bool(local)

    @property
    def is_heard(self) -> bool:
        """Whether Snakemake can be told of an error yet: it makes its scheduler after the executor."""
        return self.scheduler.is_there

    def on_broken(self, error: Exception) -> None:
        """End the run, which cannot go on."""
        self.is_broken = True
        self.executor.kill_local_jobs()  # Snakemake ends now, and would wait for them
        self.scheduler.break_off(error)

    def mark_what_is_left(self) -> None:
        """Mark the outputs of failed jobs that Snakemake could not clean up after: they count as running to it."""
        if not (self.marks and self.scheduler.has_end and self.scheduler.is_there):
            return
        for job in self._failed & self.scheduler.running:
            with contextlib.suppress(OSError):
                incomplete.mark_again(job)

    def close(self, why: str, next_step: str) -> int | None:
        """Say what was done and what is left; return the exit code unless that is Snakemake's own.

        Parameters
        ----------
        why
            Nothing started any more; "" if there was no time for the jobs that are left.
        next_step
            What continues the workflow.
        """
        if not self._is_over:
            return None
        done, total = self.scheduler.n_finished, len(self.executor.workflow.dag)
        failed = self.scheduler.failed - self._ended
        if done >= total:
            return None
        progress.write(progress.Progress(done, total))
        why = why or "no job that is left would end before the allocation does"
        parts = [f"{done} of {total} jobs {'is' if done == 1 else 'are'} done, {total - done} left"]
        if self._ended:
            one = len(self._ended) == 1
            parts.append(f"{len(self._ended)} of them {'was' if one else 'were'} ended and start{'s' * one} anew")
        if failed:
            parts.append(f"{len(failed)} failed")
        text = three_part_message(
            f"The run ends before its workflow: {why}.", seen="; ".join(parts) + ".", next_step=next_step
        )
        self.executor.logger.error(f"daskmpi: {text}")
        if failed:
            return None
        if self._sets_exit_code:
            exit_code.end_with(os.EX_TEMPFAIL)
        return os.EX_TEMPFAIL
