"""Find out when the allocation ends: from the user, else from Slurm.

Runs on: rank 1.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.client.exit_code import is_command_line
from snakemake_executor_plugin_daskmpi.placement.deadline import Deadline
from snakemake_executor_plugin_daskmpi.settings.durations import seconds_left
from snakemake_executor_plugin_daskmpi.slurm.job_times import times_of_slurm

if TYPE_CHECKING:
    from snakemake_executor_plugin_daskmpi.settings.flags import Settings


def deadline_of(settings: Settings) -> Deadline | None:
    """Return when the allocation ends; None if nobody says so."""
    import psutil

    now = time.time()
    # A script that calls Snakemake's API may have run for hours.
    started = psutil.Process().create_time() if is_command_line() else now
    if settings.deadline:
        left_s = seconds_left(settings.deadline, now, started)
        times = (started, now + left_s, "--daskmpi-deadline")
    elif (found := times_of_slurm(os.environ)) is not None:
        times = (*found, "Slurm")
    else:
        return None
    begin, end, said_by = times
    return Deadline(
        ends_at=time.monotonic() + end - now,
        length_s=max(1.0, end - begin),
        said_by=said_by,
        start_s=now - started,
        plans_next=settings.resubmit,
    )
