"""What the placement decided of one job.

Runs on: rank 1. Pure.
"""

from __future__ import annotations

from typing import NamedTuple


class Assignment(NamedTuple):
    """One job that starts now."""

    key: str
    #: Name of the worker that runs its body.
    worker: str
    #: Ids of the cores and GPUs of that worker that are the job's own until it is released.
    cores: tuple[int, ...]
    gpus: tuple[str, ...]
    #: Workers that share its MPI tasks, with the number of tasks of each, this worker first; empty if none but it.
    shared: tuple[tuple[str, int], ...] = ()
