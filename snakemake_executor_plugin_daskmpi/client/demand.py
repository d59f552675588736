"""What waits in a run, as the planner wants it: shapes, with how long their jobs take as far as it is known by now.

Runs on: rank 1.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.planning.demand import ASSUMED_MEM_MB, ASSUMED_RUNTIME_MIN, Need, Shape
from snakemake_executor_plugin_daskmpi.resources import JobResources, Steering

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from snakemake_executor_plugin_daskmpi.client.job import Job


def shapes_of(jobs: Iterable[Job], expected_s: Callable[[str], float | None]) -> list[Shape]:
    """Return the shapes of jobs that wait.

    Parameters
    ----------
    expected_s
        Returns how many seconds jobs of a kind take, as far as this run has seen.
    """
    counts: Counter[tuple[JobResources, str]] = Counter()
    examples: dict[tuple[JobResources, str], Job] = {}
    for job in jobs:
        key = (job.wish, job.spec.kind)
        counts[key] += 1
        examples.setdefault(key, job)
    return [_shape(examples[key], count, expected_s(key[1])) for key, count in counts.items()]


def _shape(job: Job, count: int, seconds: float | None) -> Shape:
    asked = job.wish
    minutes = float(asked.runtime_min or ASSUMED_RUNTIME_MIN) if seconds is None else seconds / 60
    asked = replace(asked, mem_mb=asked.mem_mb or ASSUMED_MEM_MB)
    steering = Steering.of(job.info.job.resources)
    return Shape(Need(asked, steering, minutes), count, (job.info.job.name,))
