"""A job of a run, from its submission to its outcome.

Runs on: rank 1.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snakemake_executor_plugin_daskmpi.messages import JobSpec
    from snakemake_executor_plugin_daskmpi.resources import JobResources


@dataclass(slots=True, eq=False)
class Job:
    """One job, or group of jobs, from its submission to its outcome."""

    spec: JobSpec
    #: What it would like to have as far as limits of the command line let it, and what it is content with.
    wish: JobResources
    floor: JobResources
    priority: int
    #: Number of jobs in the longest chain that waits for it.
    n_behind: int = 0
    #: Snakemake's ``SubmittedJobInfo`` of it, which only the reports look into.
    info: Any = None
    #: What its rule asks for, if that is more than what it would like to have.
    asked: JobResources | None = None
    #: Whether it was ended since its worker's time was over: then its runtime is what it takes at least, not at most.
    was_ended: bool = False
    #: What it waits for, or has.
    request: JobResources = field(init=False)
    #: Address of the worker that it was given to; None while it waits.
    worker: str | None = None
    #: Addresses of all workers that have tasks of it, if there are several.
    shared_by: frozenset[str] = frozenset()
    #: Keys of the jobs that have or will have the same grant, this one included, in their order.
    queue: deque[str] = field(default_factory=deque)

    def __post_init__(self) -> None:
        """Ask for what it would like to have."""
        self.request = self.wish

    def again(self, ran_s: float) -> Job:
        """Return the job as it waits again after it was ended, under another key; it takes longer than it had run."""
        least_min = int(ran_s / 60) + 1 if ran_s > 0 else 0
        wish, floor, asked = (
            replace(each, runtime_min=max(self.request.runtime_min or 0, least_min) or None)
            for each in (self.wish, self.floor, self.asked or self.wish)
        )
        spec = self.spec._replace(key=f"{self.key}-again")
        floor = wish if floor == wish else floor
        return Job(spec, wish, floor, self.priority, self.n_behind, self.info, asked, was_ended=True)

    @property
    def key(self) -> str:
        """What it is called between rank 1 and the workers."""
        return self.spec.key
