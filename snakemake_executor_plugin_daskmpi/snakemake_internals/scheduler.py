"""Snakemake's scheduler: fewer rounds of it, and its end.

Runs on: rank 1.

Nothing here is promised by Snakemake: :mod:`compatibility` looks at the start of a run whether all of it is there. Its
sets are changed under its own lock only, since its threads change them, too.

**Rounds.** Snakemake starts at most 100 jobs a second unless told otherwise (``--max-jobs-per-timespan``), to protect
batch systems, and holds a round with all ready jobs whenever a job ends. Here there is no batch system to protect, and
the pool holds the queue. So the default limit is lifted, and with ``--jobs unlimited`` a round looks at a part of the
ready jobs only, since Snakemake's selection takes time in proportion to the square of their number. What the user has
set stays. The limit also makes Snakemake hold another round a second after each in which jobs were handed over, by a
thread that keeps it from ending before. Without it another round comes at once: of the ready jobs, a part may be left.

**The end.** Jobs that were set aside stay among those that Snakemake takes for running, so that it goes on with the
others. It ends in order (lock released, hooks called) once it is told to as by SIGTERM, and they are none any more.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection

    from snakemake_interface_executor_plugins.workflow import WorkflowExecutorInterface

#: Snakemake's default of --max-jobs-per-timespan: jobs, seconds.
_DEFAULT_LIMIT = (100, 1)
#: Jobs that a round looks at; measured, 1,000 cost 0.3 s, and 3,000 already 2 s.
_SUBSAMPLE = 1000

#: What this module uses of Snakemake's JobScheduler for fewer rounds, and for the end: attributes and methods.
ROUNDS = frozenset({"job_rate_limiter", "subsample", "resources", "_open_jobs"})
END = frozenset(
    {"running", "failed", "finished_jobs", "keepgoing", "exit_gracefully", "error_callback"}
    | {"_lock", "_tofinish", "_toerror", "_last_job_selection_empty"}
)


@dataclass(slots=True)
class Scheduler:
    """Snakemake's scheduler of a workflow, as far as a run deals with it.

    Parameters
    ----------
    workflow
        Whose scheduler is made after its executor.
    has_rounds, has_end
        Whether the installed Snakemake has what :data:`ROUNDS` and :data:`END` name. Without the former, the limit
        stays. Without the latter, the run's end is made of what Snakemake's interface for executors promises.
    """

    workflow: WorkflowExecutorInterface
    has_rounds: bool = True
    has_end: bool = True

    @property
    def is_there(self) -> bool:
        """Whether there is one: without workers, a run ends before Snakemake has a scheduler."""
        return self._its is not None

    @property
    def _its(self) -> Any:
        return self.workflow.scheduler

    # -- rounds --------------------------------------------------------------------------------

    def lift_default_limit(self) -> bool:
        """Lift the default limit of job starts, and say whether there was one to lift."""
        if not self.has_rounds:
            return False
        limiter = self._its.job_rate_limiter
        limit = getattr(limiter, "_limit", None)
        if (getattr(limit, "max_jobs", 0), getattr(limit, "timespan", 0)) != _DEFAULT_LIMIT:
            return False
        self._its.job_rate_limiter = None
        # Where there is no limiter from the start, this many jobs may be started in a round.
        self._its.resources["_job_count"] = sys.maxsize
        if self.workflow.nodes == sys.maxsize and self._its.subsample is None:
            self._its.subsample = _SUBSAMPLE
        return True

    def hold_another_round(self) -> None:
        """Have another round held at once, if nothing limits it."""
        if self.has_rounds and self._its.job_rate_limiter is None:
            self._its._open_jobs.release()  # noqa: SLF001 - no public way

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

    @property
    def running(self) -> set[Any]:
        """The jobs that Snakemake takes for running, those of local rules included."""
        with self._its._lock:  # noqa: SLF001
            return set(self._its.running)

    def take_back(self, job: Any) -> None:
        """Let Snakemake clean up after a job."""
        self._its.error_callback(job)

    # -- the end -------------------------------------------------------------------------------

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
