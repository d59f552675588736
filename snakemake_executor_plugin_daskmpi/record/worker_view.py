"""A worker as the record of its run tells it.

Runs on: wherever somebody looks at a run.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class WorkerView:
    """A worker, from each time that it joined."""

    name: str
    host: str
    cores: tuple[int, ...]
    mem_mb: int
    disk_mb: int
    gpus: tuple[str, ...]
    #: Number of the hetjob component that it is in, None outside of one.
    het_group: int | None
    #: What component names it serves; None if all.
    components: tuple[str, ...] | None
    joined_at: float
    #: Slurm's id of the further allocation that it has joined with; "" for one of the run's own.
    allocation: str = ""
    #: None while it is there, or if it has left in order.
    lost_at: float | None = None
    comes_back: bool = False
    #: None while it is there, or if it was lost.
    left_at: float | None = None

    @property
    def gone_at(self) -> float | None:
        """When it was lost or has left; None while it is there."""
        return self.left_at if self.lost_at is None else self.lost_at
