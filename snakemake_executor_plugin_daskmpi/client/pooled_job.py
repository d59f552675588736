"""What the pool knows of a job.

Runs on: rank 1.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distributed import Future

    from snakemake_executor_plugin_daskmpi.messages import JobSpec
    from snakemake_executor_plugin_daskmpi.resources import JobResources


@dataclass(slots=True)
class PooledJob:
    """One job, or group of jobs, from its submission to its outcome."""

    spec: JobSpec
    #: What it would like to have, and what it is content with.
    wish: JobResources
    floor: JobResources
    priority: int
    #: What it waits for, or has.
    request: JobResources
    worker: str | None = None
    #: All workers that have tasks of it, if there are several.
    shared_by: frozenset[str] = frozenset()
    future: Future[Any] | None = None
    #: The jobs that have or will have the same grant, this one included, in their order.
    queue: deque[str] = field(default_factory=deque)
