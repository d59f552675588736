"""Snakemake's rounds, in which it selects from the jobs that are ready: fewer, and most without a selection.

Runs on: rank 1, in Snakemake's main thread.

Snakemake starts at most 100 jobs a second unless told otherwise (``--max-jobs-per-timespan``), to protect batch
systems, holds a round with all ready jobs whenever a job ends, and selects in time proportional to the square of their
number. Here there is no batch system to protect, and the pool holds the queue. So the default limit is lifted, and jobs
that fit together into all that Snakemake counts are all taken: any selection would have taken them. With ``--jobs
unlimited`` that nearly always holds, and a round takes a part of the ready jobs, so that those that end are not kept
waiting meanwhile. What the user has set stays.

Each round also takes time in proportion to the ready and the running jobs, and one is held for each job that ends.
Those that have ended together have one together.

The limit also makes Snakemake hold another round a second after each in which jobs were handed over. Without it another
round comes at once: of the ready jobs, a part may be left.

Nothing here is promised by Snakemake: :mod:`compatibility` looks at the start of a run whether all of it is there.
"""

from __future__ import annotations

import heapq
import random
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

#: Snakemake's default of --max-jobs-per-timespan: jobs, seconds.
_DEFAULT_LIMIT = (100, 1)
#: Jobs that a round takes at most: a second or two of handing over. And of which it selects where not all of them fit:
#: measured, 1,000 cost 0.3 s, and 3,000 already 2 s.
_PART = 1000

#: What this module uses of Snakemake's JobScheduler and its limiter: attributes and methods.
ROUNDS = frozenset(
    {"job_rate_limiter", "resources", "subsample", "job_selector", "validate_job", "update_available_resources"}
    | {"_lock", "_open_jobs", "_scheduler"}
)
LIMITER = frozenset({"_limit", "get_free_jobs", "register_jobs"})


class Rounds:
    """The rounds of one scheduler, from its making on.

    Parameters
    ----------
    its
        Snakemake's scheduler; None if it is not known, or differs from those we know: its rounds stay as they are.
    in_parts
        Whether a round may take a part of the ready jobs: if Snakemake does not count how many run at a time.
    before_each
        Called at the start of each round, also of those in which no job of ours is selected.
    """

    def __init__(self, its: Any, *, in_parts: bool, before_each: Callable[[], None]) -> None:
        self._its, self._before_each = its, before_each
        #: Whether there was a default limit, and it was lifted.
        self.is_limit_lifted = its is not None and self._lift_default_limit()
        if its is not None:
            self._in_parts = in_parts and its.subsample is None
            self._their_selection = its.job_selector
            its.job_selector = self._select

    @classmethod
    def in_the_making(cls, *, in_parts: bool, before_each: Callable[[], None], are_known: bool) -> Rounds:
        """Return the rounds of the scheduler that is making its executor, and so calls us.

        Later would be too late for its first round, before which it is handed to nobody.

        Parameters
        ----------
        are_known
            Whether the installed Snakemake has what :data:`ROUNDS` and :data:`LIMITER` name.
        """
        from snakemake.scheduling.job_scheduler import JobScheduler

        frame = sys._getframe(1) if are_known else None  # noqa: SLF001 - the way to the caller
        while frame is not None and frame.f_code is not JobScheduler.__init__.__code__:
            frame = frame.f_back
        return cls(frame and frame.f_locals["self"], in_parts=in_parts, before_each=before_each)

    def hold_another(self) -> None:
        """Have another round held at once, unless a limit is reached."""
        if self._its is not None and ((limiter := self._its.job_rate_limiter) is None or limiter.get_free_jobs()):
            self._its._open_jobs.release()  # noqa: SLF001 - no public way

    def hold_one_for(self, n_told: int) -> None:
        """Have one round held for so many jobs that Snakemake was told of: it would hold one for each.

        Each round takes in all that it was told of until then, so what others have told since is not forgotten.
        """
        if self._its is None:
            return
        held_back = 0
        while held_back < n_told and self._its._open_jobs.acquire(blocking=False):  # noqa: SLF001 - as above
            held_back += 1
        if held_back:
            self._its._open_jobs.release()  # noqa: SLF001 - as above

    def _lift_default_limit(self) -> bool:
        limit = getattr(self._its.job_rate_limiter, "_limit", None)
        if (getattr(limit, "max_jobs", 0), getattr(limit, "timespan", 0)) != _DEFAULT_LIMIT:
            return False
        self._its.job_rate_limiter = None
        return True

    def _select(self, jobs: Collection[Any]) -> Collection[Any]:
        """Take all jobs, or a part of them, if they fit; else have Snakemake select."""
        self._before_each()
        its, is_part = self._its, self._in_parts and len(jobs) > _PART
        # Of equal priority, any.
        first = heapq.nlargest(_PART, jobs, key=lambda job: job.priority) if is_part else jobs
        limiter = its.job_rate_limiter
        # Other schedulers than Snakemake's own may have reasons to leave jobs that fit.
        if type(its._scheduler).__module__.startswith("snakemake.scheduling.") and (  # noqa: SLF001
            limiter is None or limiter.get_free_jobs() >= len(first)
        ):
            for job in first:
                its.validate_job(job)
            with its._lock:  # noqa: SLF001
                if _all_fit(first, its.resources):
                    its.update_available_resources(first)
                    if limiter is not None:
                        limiter.register_jobs(len(first))
                    return first
        # Not the first ones: they may all wait for the same thing, and others could have what else there is.
        selected: Collection[Any] = self._their_selection(set(random.sample(list(jobs), _PART)) if is_part else jobs)
        return selected


def _all_fit(jobs: Collection[Any], free: dict[str, int]) -> bool:
    """Say whether all jobs together need no more than what is free of each resource."""
    return all(
        sum(job.scheduler_resources.get(name, 0) for job in jobs) <= available
        for name, available in free.items()
        if name != "_job_count"  # the limiter's: see there
    )
