"""What a plot shows, in a sentence for those who do not see it.

Runs on: wherever somebody asks for a report. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.report.idle import Idle
from snakemake_executor_plugin_daskmpi.report.wording import core_hours, counted, duration, percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from snakemake_executor_plugin_daskmpi.report.figures import RunFigures


def summaries_of(figures: RunFigures) -> dict[str, str]:
    """Return the sentence of each plot, by its name."""
    series, key = figures.series, figures.key
    shares = {
        "cores": (series.cores_granted, series.cores_offered),
        "memory": (series.mem_granted_mb, series.mem_offered_mb),
        "GPUs": (series.gpus_granted, series.gpus_offered),
    }
    used = [f"{percent(sum(part) / sum(whole))} of the {name}" for name, (part, whole) in shares.items() if any(whole)]
    lacked = [f"{core_hours(hours)} {lack}" for lack, hours in figures.too_large_core_h.items() if hours]
    of_these = {Idle.TOO_LARGE.value: f" (for want of: {', '.join(lacked)})"}
    idled = [
        f"{core_hours(hours)} {reason}{of_these.get(reason, '')}"
        for reason, hours in figures.idle_core_h.items()
        if hours
    ]
    return {
        "timeline": f"{counted(key.n_done, 'job')} done, {key.n_failed} failed, on {counted(key.n_workers, 'worker')} "
        f"in {duration(key.makespan_s)}; the cores were given to jobs for {percent(key.utilisation)} of the time.",
        "use": f"On average, jobs had {', '.join(used) or 'nothing'}.",
        "queue": f"On average {_mean(series.jobs_running):.3g} jobs ran and {_mean(series.jobs_waiting):.3g} waited; "
        f"at most {max(series.jobs_running):.0f} and {max(series.jobs_waiting):.0f}.",
        "idle": f"Cores idled for {core_hours(key.idle_core_h)}: {', '.join(idled)}." if idled else "No core idled.",
    }


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
