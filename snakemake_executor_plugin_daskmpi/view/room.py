"""Whose end lets a waiting job start.

Runs on: wherever somebody looks at a run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.record.job_view import State

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from snakemake_executor_plugin_daskmpi.record.events import Reason
    from snakemake_executor_plugin_daskmpi.record.job_view import JobView
    from snakemake_executor_plugin_daskmpi.record.run_view import RunView

#: What a job takes of a worker, by the names of what it asks for.
_AMOUNTS = ("cores", "mem_mb", "disk_mb", "gpus")


def holders_of(view: RunView, reason: Reason) -> list[JobView]:
    """Return the jobs that have what others wait for, those that still run."""
    holders = (view.jobs.get(key) for key in reason.holders)
    return [job for job in holders if job is not None and job.state is State.RUNNING]


def sufficient_ends(view: RunView, reason: Reason) -> list[JobView]:
    """Return the jobs of which each alone would leave enough room when it ends."""
    worker = view.workers.get(reason.worker)
    if worker is None:
        return []
    free = {"cores": len(worker.cores), "mem_mb": worker.mem_mb, "disk_mb": worker.disk_mb, "gpus": len(worker.gpus)}
    for job in view.in_state(State.RUNNING):
        if job.worker == worker.name:
            for name in _AMOUNTS:
                free[name] -= _amount(job.asks, name)
    return [
        holder
        for holder in holders_of(view, reason)
        if all(free[name] + _amount(holder.asks, name) >= _amount(reason.asks, name) for name in _AMOUNTS)
    ]


def _amount(asks: Mapping[str, Any], name: str) -> int:
    return int(asks.get(name, 1 if name == "cores" else 0))
