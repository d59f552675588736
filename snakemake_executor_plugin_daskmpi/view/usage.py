"""What of the workers' cores, memory and GPUs is taken, by component, and who runs where.

Runs on: wherever somebody looks at a run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.record.job_view import State

if TYPE_CHECKING:
    from snakemake_executor_plugin_daskmpi.record.job_view import JobView
    from snakemake_executor_plugin_daskmpi.record.run_view import RunView, WorkerView


@dataclass(slots=True)
class Usage:
    """The workers of one component of the Slurm job, or all of them outside of one; or those of further Slurm jobs.

    Those that have left are none of them. Amounts: taken, and there.
    """

    name: str
    workers: int = 0
    lost: int = 0
    cores: tuple[int, int] = (0, 0)
    #: What running jobs have asked for, which is not what they use.
    mem_mb: tuple[int, int] = (0, 0)
    gpus: tuple[int, int] = (0, 0)


def running_on(view: RunView) -> dict[str, list[JobView]]:
    """Return what each worker that is there runs, by its name, those first that have run for longest."""
    found: dict[str, list[JobView]] = {name: [] for name, worker in view.workers.items() if worker.gone_at is None}
    for job in view.in_state(State.RUNNING):
        found.setdefault(job.worker, []).append(job)
    for jobs in found.values():
        jobs.sort(key=lambda job: job.started_at or 0.0)
    return found


def usages(view: RunView) -> list[Usage]:
    """Return what is taken by component."""
    found: dict[tuple[bool, int], Usage] = {}
    running = running_on(view)
    for worker in view.workers.values():
        if worker.left_at is not None:
            continue
        group = -1 if worker.het_group is None or worker.allocation else worker.het_group
        usage = found.setdefault((bool(worker.allocation), group), Usage(name_of(worker)))
        if worker.lost_at is not None:
            usage.lost += 1
            continue
        jobs = running.get(worker.name, [])
        usage.workers += 1
        usage.cores = _more(usage.cores, sum(job.n_cores for job in jobs), len(worker.cores))
        usage.mem_mb = _more(usage.mem_mb, sum(int(job.asks.get("mem_mb", 0)) for job in jobs), worker.mem_mb)
        usage.gpus = _more(usage.gpus, sum(len(job.gpus) for job in jobs), len(worker.gpus))
    return [found[key] for key in sorted(found)]


def name_of(worker: WorkerView) -> str:
    """Return what the component of a worker is called."""
    if worker.allocation:
        return "further Slurm jobs"
    if worker.het_group is None:
        return "workers"
    serves = f" ({', '.join(name or 'any' for name in worker.components)})" if worker.components else ""
    return f"component {worker.het_group}{serves}"


def _more(before: tuple[int, int], taken: int, there: int) -> tuple[int, int]:
    return before[0] + taken, before[1] + there
