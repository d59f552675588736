"""A job as the record of its run tells it.

Runs on: wherever somebody looks at a run.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """What has become of a job."""

    WAITING = "waiting"
    #: It has a worker, and waits there for another job to end.
    SENT = "sent"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    #: Ended in time, or not started: it counts as left.
    LEFT = "left"


#: By the outcome of a job; any other is a failure.
STATE_OF_OUTCOME = {
    "ok": State.DONE,
    "cancelled": State.LEFT,
    "timed-out": State.LEFT,
    # Submitted again in another way.
    "spawned-instead": State.LEFT,
}


@dataclass(slots=True)
class JobView:
    """One attempt of a job. Times in seconds since the epoch, None where they are not known."""

    key: str
    name: str
    #: For a group, its name.
    rule: str
    #: A number; of a group, a text of its own.
    jobid: int | str
    attempt: int = 1
    outputs: tuple[str, ...] = ()
    #: Job ids of the jobs that it comes after.
    needs: tuple[int, ...] = ()
    #: What it is granted, see :class:`JobResources`, without its defaults.
    asks: dict[str, Any] = field(default_factory=dict)
    #: Of that, what its rule asks more of.
    wish: dict[str, Any] = field(default_factory=dict)
    priority: int = 0
    #: How many jobs the longest chain has that waits for it.
    n_behind: int = 0
    #: Of a group: how many jobs of each rule it has.
    members: dict[str, int] = field(default_factory=dict)
    #: Of a group: the ids of its jobs.
    member_ids: tuple[int, ...] = ()
    #: If it was ended since the time of its worker was over, and runs again: its key before that.
    again_of: str = ""
    submitted_at: float = 0.0
    state: State = State.WAITING
    worker: str = ""
    cores: tuple[int, ...] = ()
    gpus: tuple[str, ...] = ()
    #: The job that it waits for on its worker, by key.
    after: str = ""
    started_at: float | None = None
    ended_at: float | None = None
    outcome: str = ""
    #: All that is known of its end, by the names of :mod:`events`.
    ended: dict[str, Any] = field(default_factory=dict)

    @property
    def n_by_rule(self) -> dict[str, int]:
        """How many of Snakemake's jobs it is, by rule."""
        return self.members or {self.rule: 1}

    @property
    def n_jobs(self) -> int:
        """How many of Snakemake's jobs it is."""
        return sum(self.members.values()) or 1

    @property
    def peak_mb(self) -> float | None:
        """The most memory that it had, at most if not :attr:`is_peak_exact`; None if nobody has looked."""
        return float(self.ended.get("peak_pss_mb") or self.ended.get("peak_rss_mb") or 0) or None

    @property
    def is_peak_exact(self) -> bool:
        """Whether its peak is PSS; else it is RSS, which has all of what a process shares with others, in full."""
        return bool(self.ended.get("peak_pss_mb"))

    @property
    def asked(self) -> dict[str, Any]:
        """What its rule asks for, by the names of :attr:`asks`."""
        return {**self.asks, **self.wish} if self.wish else self.asks

    @property
    def n_cores(self) -> int:
        """Number of cores that it is granted."""
        return int(self.asks.get("cores", 1))

    @property
    def seconds(self) -> float | None:
        """How long it took; None if it has not ended, or never started."""
        if self.started_at is None or self.ended_at is None:
            return None
        return max(0.0, self.ended_at - self.started_at)
