"""Submit a batch script and follow its job (``python -m ….slurm.submission.follow FOLDER``).

Runs on: the login node, in place of the Snakemake that planned the job: its DAG's memory is free again, and signals
and exit codes are this small program's alone.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.errors import LaunchError
from snakemake_executor_plugin_daskmpi.rank import graces
from snakemake_executor_plugin_daskmpi.slurm.controller import answer_of
from snakemake_executor_plugin_daskmpi.slurm.submission import next_job, queue, reasons, record, sbatch
from snakemake_executor_plugin_daskmpi.slurm.submission.output import Output
from snakemake_executor_plugin_daskmpi.slurm.submission.signals import EXIT_CODES, WISHES, Left, Terminated, listen
from snakemake_executor_plugin_daskmpi.slurm.submission.status_line import LINE, say

if TYPE_CHECKING:
    from collections.abc import Callable

    from snakemake_executor_plugin_daskmpi.slurm.submission.record import Record

#: Seconds between two looks at the job's files, and at the queue: first, growing to, and while it runs.
_TICK_S = 0.2
_FIRST_LOOK_S = 1.0
_LONGEST_LOOK_S = 15.0
_RUNNING_LOOK_S = 8.0
#: Seconds for which Slurm is asked how a job ended whose script failed.
_WHY_S = 15.0
#: Seconds between two looks while Slurm is silent: each holds the output up for the ten that squeue takes.
_SILENT_LOOK_S = 30.0
_BACK = "'snakemake-daskmpi follow' shows its output"


def main(arguments: list[str]) -> int:
    """Submit what is in a folder, and follow it unless told to detach; return the exit code."""
    workdir = Path(arguments[0]).parents[3]
    listen()
    submission = record.read(workdir)
    if submission is None or submission.folder != arguments[0]:
        print(f"daskmpi: there is no submission in {arguments[0]}.", file=sys.stderr)
        return 1
    try:
        submission = sbatch.submit(submission)
    except LaunchError as error:
        print(error, file=sys.stderr)
        return 1
    except WISHES as wish:
        submission = record.read(workdir) or submission
        if submission.job_id:
            return Follower.of(submission).obey(wish)
        print(sbatch.unknown_error("nothing until this was interrupted"), file=sys.stderr)
        return EXIT_CODES[type(wish)]
    return follow(submission, detach="--detach" in arguments[1:])


def attach(workdir: Path) -> int:
    """Follow the job of a working directory that was submitted before; return its exit code.

    Raises
    ------
    LaunchError
        If there is none.
    """
    submission = record.read(workdir)
    if submission is None or not submission.job_id:
        raise LaunchError(
            f"No Slurm job of {workdir} waits or runs.",
            seen=f"there is no {record.home_of(workdir) / 'submitted.json'}.",
            next_step="snakemake --executor daskmpi --daskmpi-launcher sbatch … submits one.",
        )
    listen()
    return follow(submission, tail=True)


def follow(submission: Record, *, detach: bool = False, tail: bool = False) -> int:
    """Show a job's way through the queue and its output until it ends; return its exit code.

    Parameters
    ----------
    detach
        Print the id, alone on stdout, and return.
    tail
        Begin near the end of what it has written.
    """
    if submission.cluster:
        os.environ["SLURM_CLUSTERS"] = submission.cluster
    if detach:
        print(submission.job_id, flush=True)
        say(f"Slurm job {submission.job_id} is submitted; {_BACK}.")
        return 0
    return Follower.of(submission).follow(tail=tail)


@dataclass(slots=True)
class Follower:
    """What is known of a job, and what was told of it."""

    submission: Record
    output: Output
    #: Runs one of Slurm's programs.
    answer_of: queue.AnswerOf = answer_of
    #: How time passes, in seconds.
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    #: What was told of the queue.
    _told: object = None
    _silent: bool = False
    _unread: bool = False
    _next_look: float = 0.0
    _pause: float = _FIRST_LOOK_S

    @classmethod
    def of(cls, submission: Record) -> Follower:
        """Return the follower of a submission that has a job."""
        return cls(submission, Output(Path(submission.folder) / record.OUTPUT))

    def follow(self, *, tail: bool) -> int:
        """Watch the job, and do what a signal asks for; return the exit code."""
        if tail:
            self.output.skip()
        say(f"Slurm job {self.submission.job_id}; all that it writes is in {self.output}.")
        try:
            return self._watch()
        except WISHES as wish:
            return self.obey(wish)

    def _watch(self) -> int:
        """Return the job's exit code when it has ended."""
        while True:
            jobs = self._look()
            self._show()
            code = self.submission.exit_code
            if code is not None or (jobs is not None and all(job.state in queue.ENDED for job in jobs)):
                if code == os.EX_TEMPFAIL and self._goes_on():
                    continue
                return self._ended(code)
            LINE.draw(Path(self.submission.folder))
            self.sleep(_TICK_S)

    def _goes_on(self) -> bool:
        """Follow the job that an ended one has submitted in its place, if there is one."""
        successor = next_job.successor_of(self.submission)
        if successor is None:
            return False
        self._show()
        say(f"Slurm job {self.submission.job_id} has ended, its time was over; job {successor.job_id} goes on.")
        self.submission, self.output = successor, Output(Path(successor.folder) / record.OUTPUT)
        self._told, self._next_look, self._pause = None, 0.0, _FIRST_LOOK_S
        say(f"all that it writes is in {self.output}.")
        return True

    def obey(self, wish: BaseException) -> int:
        """Do what a signal asks for; return the exit code."""
        LINE.clear()
        try:
            leaves = isinstance(wish, Left) or (isinstance(wish, KeyboardInterrupt) and not self._wants_to_cancel())
        except (KeyboardInterrupt, Terminated):
            leaves = False  # a second Ctrl-C stands for yes
        except Left as gone:
            wish, leaves = gone, True
        if leaves:
            say(f"Slurm job {self.submission.job_id} goes on without this terminal; {_BACK}.")
            return EXIT_CODES[Left] if isinstance(wish, Left) else 0
        self._cancel()
        return EXIT_CODES[type(wish)]

    def _wants_to_cancel(self) -> bool:
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            return True
        question = f"\nCancel Slurm job {self.submission.job_id}? [Y/n: leave it running] "
        print(question, end="", file=sys.stderr, flush=True)
        return not sys.stdin.readline().strip().lower().startswith("n")

    def _show(self) -> None:
        """Show what it has written since; leave when there is nobody to show it to."""
        if self.output.copy() and self._told != "running" and not self._silent:
            self._next_look = 0.0
        if self.output.is_unread and not self._unread:
            self._unread = True
            raise Left

    # -- the queue ---------------------------------------------------------------------------

    def _look(self) -> list[queue.QueuedJob] | None:
        """Return what the queue says now and then, None in between and while Slurm is silent."""
        if self.clock() < self._next_look:
            return None
        try:
            jobs = queue.job_of(self.submission.job_id, self.answer_of)
            ahead = queue.number_ahead(jobs, self.answer_of)
        except queue.SlurmSilenceError as silence:
            if not self._silent:
                say(f"Slurm's controller does not answer ({silence}); the job may go on, and this goes on looking.")
            self._silent = True
            self._next_look = self.clock() + _SILENT_LOOK_S
            return None
        if self._silent:
            say("Slurm's controller answers again.")
            self._silent = False
        running = any(job.state in queue.RUNNING for job in jobs)
        self._pause = _RUNNING_LOOK_S if running else min(_LONGEST_LOOK_S, self._pause * 1.3)
        self._next_look = self.clock() + self._pause
        told, line = reasons.what_to_tell(jobs, ahead)
        if line and told != self._told:
            say(line)
        self._told = told
        return jobs

    # -- the end -----------------------------------------------------------------------------

    def _ended(self, code: int | None) -> int:
        """Show the rest of the output, and say what Slurm knows of the end unless all is well."""
        LINE.clear()
        job_id = self.submission.job_id
        end = self._end() if code != 0 else None
        # The batch script writes its exit code at its very end, and a shared file system may show it later.
        code = self.submission.exit_code if code is None else code
        self._show()
        record.remove(self.submission)
        if end is not None and end.state in queue.ENDED - {"COMPLETED", "FAILED"}:
            print(reasons.end_message(job_id, end.state, by=end.by, output=str(self.output)), file=sys.stderr)
            return code or end.code or 1
        code = end.code if code is None and end is not None else code
        if code is None:
            print(reasons.vanished_message(job_id, str(self.output)), file=sys.stderr)
            return 1
        if code:
            say(f"Slurm job {job_id} ended with exit code {code}; all that it wrote is in {self.output}.")
        return code

    def _end(self) -> queue.End | None:
        """Return how Slurm says that it ended, asked until that is final."""
        give_up = self.clock() + _WHY_S
        while True:
            try:
                end = queue.end_of(self.submission.job_id, self.answer_of)
            except queue.SlurmSilenceError:
                return None
            self._show()
            if end is None or end.state in queue.ENDED or self.clock() > give_up:
                return end
            self.sleep(_TICK_S)

    # -- cancelling --------------------------------------------------------------------------

    def _cancel(self) -> None:
        """End the job, and one that it has submitted in its place meanwhile. Another Ctrl-C hastens that."""
        with contextlib.suppress(*WISHES):
            next_job.stop_chain(self.submission)
        self._cancel_one()
        while (successor := next_job.successor_of(self.submission)) is not None:
            self.submission = successor
            self._cancel_one()

    def _cancel_one(self) -> None:
        """End the job: in order if it runs, so that Snakemake's lock goes, then by all means."""
        job_id = self.submission.job_id
        with contextlib.suppress(queue.SlurmSilenceError, *WISHES):
            say(f"cancelling Slurm job {job_id}.")
            if any(job.state in queue.RUNNING for job in queue.job_of(job_id, self.answer_of)):
                queue.order(queue.interrupt_command(job_id), self.answer_of)
                self._wait_for_end(graces.ALLOCATION_S)
        give_up = self.clock() + graces.QUEUE_S
        while True:
            with contextlib.suppress(queue.SlurmSilenceError, *WISHES):
                self.sleep(_TICK_S)  # Slurm's programs may fail at once
                if self.submission.exit_code is None:
                    queue.order(queue.cancel_command(job_id), self.answer_of)
                if self._wait_for_end(graces.ALLOCATION_S):
                    record.remove(self.submission)
                    say(f"Slurm job {job_id} is cancelled.")
                    return
                queue.order(queue.cancel_command(job_id), self.answer_of)
            if self.clock() > give_up:
                say(f"Slurm job {job_id} may still be there: Slurm did not say that it ended. Next: scancel {job_id}")
                return

    def _wait_for_end(self, seconds: float) -> bool:
        """Show its output until it has left the queue; say whether it has."""
        give_up = self.clock() + seconds
        while self.clock() < give_up:
            self._show()
            if all(job.state in queue.ENDED for job in queue.job_of(self.submission.job_id, self.answer_of)):
                self._show()
                return True
            self.sleep(_TICK_S)
        return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
