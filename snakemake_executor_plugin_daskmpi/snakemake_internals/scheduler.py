"""Snakemake's scheduler as a run sees it, and its end.

Runs on: rank 1.

Nothing here is promised by Snakemake: :mod:`compatibility` looks at the start of a run whether all of it is there. Its
sets are changed under its own lock only, since its threads change them, too.

Jobs that were set aside stay among those that Snakemake takes for running, so that it goes on with the others. It ends
in order (lock released, hooks called) once it is told to as by SIGTERM, and they are none any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection

    from snakemake_interface_executor_plugins.workflow import WorkflowExecutorInterface

#: What this module uses of Snakemake's JobScheduler: attributes and methods.
END = frozenset(
    {"running", "failed", "finished_jobs", "keepgoing", "exit_gracefully", "error_callback"}
    | {"_lock", "_tofinish", "_toerror", "_last_job_selection_empty", "_open_jobs"}
)


@dataclass(slots=True)
class Scheduler:
    """Snakemake's scheduler of a workflow, as far as a run deals with it.

    Parameters
    ----------
    workflow
        Whose scheduler is made after its executor.
    has_end
        Whether the installed Snakemake has what :data:`END` names. Without, the run's end is made of what Snakemake's
        interface for executors promises.
    """

    workflow: WorkflowExecutorInterface
    has_end: bool = True

    @property
    def is_there(self) -> bool:
        """Whether there is one: without workers, a run ends before Snakemake has a scheduler."""
        return self._its is not None

    @property
    def _its(self) -> Any:
        return self.workflow.scheduler

    # -- jobs ----------------------------------------------------------------------------------

    @property
    def n_finished(self) -> int:
        """How many jobs are done."""
        return int(self._its.finished_jobs)

    @property
    def failed(self) -> set[Any]:
        """The jobs that have failed for good."""
        with self._its._lock:  # noqa: SLF001
            return set(self._its.failed)

    def count(self, total: int) -> tuple[int, int, int]:
        """Return how many jobs are done, of how many, and how many have failed; none before there is a scheduler.

        Parameters
        ----------
        total
            Jobs of the workflow.
        """
        return (self.n_finished, total, len(self.failed)) if self.is_there else (0, total, 0)

    @property
    def running(self) -> set[Any]:
        """The jobs that Snakemake takes for running, those of local rules included."""
        with self._its._lock:  # noqa: SLF001
            return set(self._its.running)

    def take_back(self, job: Any) -> None:
        """Let Snakemake clean up after a job."""
        self._its.error_callback(job)

    # -- the end -------------------------------------------------------------------------------

    def stops(self, *, has_failed: bool) -> bool:
        """Say whether it hands over nothing any more, since a job has failed, and ends when what runs has ended.

        Parameters
        ----------
        has_failed
            Whether it was told of a job that has failed for good, which it may have yet to take in.
        """
        return not self._its.keepgoing and (has_failed or bool(self.failed))

    def let_go(self, set_aside: Collection[Any]) -> None:
        """Let it take jobs for running no longer that were set aside: it ends by itself when the others have ended."""
        with self._its._lock:  # noqa: SLF001
            self._its.running.difference_update(set_aside)
        self._its._open_jobs.release()  # noqa: SLF001 - it waits for this

    def has_nothing_but(self, set_aside: Collection[Any]) -> bool:
        """Say whether all that Snakemake takes for running was set aside, and it will not hand over anything else."""
        its = self._its
        with its._lock:  # noqa: SLF001
            if not set(set_aside).issuperset(its.running):
                return False
            # Jobs that ended and were not taken in yet may let others start.
            if its._tofinish or its._toerror:  # noqa: SLF001
                return False
            stops = bool(its.failed) and not its.keepgoing
            # What is ready and was not selected waits for what those that were set aside have, of --jobs for instance.
            selects_none = bool(its._last_job_selection_empty)  # noqa: SLF001
        dag: Any = self.workflow.dag
        return stops or not dag.ready_jobs or selects_none

    def end(self, set_aside: Collection[Any]) -> None:
        """Let Snakemake hand over nothing any more, and end when the others that run have ended."""
        with self._its._lock:  # noqa: SLF001
            self._its.running.difference_update(set_aside)
        self._its.exit_gracefully()

    def break_off(self, error: Exception) -> None:
        """End the run with an error."""
        self._its.executor_error_callback(error)
