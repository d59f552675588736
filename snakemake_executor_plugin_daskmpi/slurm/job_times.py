"""When a Slurm job began, and when it ends.

Runs on: rank 1, and the first rank of a further allocation.
"""

from __future__ import annotations

import datetime as dt
import logging
import re
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.errors import LaunchError
from snakemake_executor_plugin_daskmpi.slurm.controller import answer_of
from snakemake_executor_plugin_daskmpi.slurm.submission.queue import end_command

if TYPE_CHECKING:
    from collections.abc import Mapping

_log = logging.getLogger(__name__)

#: Seconds that Slurm has to answer; a run does not wait longer for that.
_PATIENCE_S = 10.0


def times_of_slurm(environ: Mapping[str, str]) -> tuple[float, float] | None:
    """Return begin and end of the Slurm job that we are in, in seconds since the epoch; None if there is none.

    Since 23.02, Slurm also sets variables, but only with the times of the first component.
    """
    if "SLURM_JOB_ID" not in environ:
        return None
    begin, end = environ.get("SLURM_JOB_START_TIME", ""), environ.get("SLURM_JOB_END_TIME", "")
    told = (float(begin), float(end)) if begin.isdigit() and end.isdigit() else None
    if told is not None and "SLURM_HET_SIZE" not in environ:
        return told
    try:
        answer = answer_of(end_command(environ["SLURM_JOB_ID"]), timeout_s=_PATIENCE_S)
    except LaunchError as error:  # in a container, for instance
        _log.info("when the Slurm job ends is not known: %s", error)
        return told
    if answer.code:
        _log.warning("when the Slurm job ends is not known: %s", answer.words)
        return told
    return parse_times(answer.out) or told


def parse_times(text: str) -> tuple[float, float] | None:
    r"""Return the begin of a job and the end of its component that ends first, from ``scontrol show job``.

    Times are in this process's time zone; jobs without a limit have none.

    >>> begin, end = parse_times("JobId=1 StartTime=2026-11-25T10:00:00 EndTime=2026-11-25T12:00:00\n"
    ...                          "JobId=2 StartTime=2026-11-25T10:00:00 EndTime=2026-11-25T10:01:30")
    >>> end - begin
    90.0
    >>> parse_times("JobId=1 StartTime=2026-11-25T10:00:00 EndTime=Unknown") is None
    True
    """
    begins, ends = ([*re.finditer(rf" {name}Time=(\d\S+)", text)] for name in ("Start", "End"))
    if not begins or not ends:
        return None
    seconds = [[dt.datetime.fromisoformat(match[1]).timestamp() for match in found] for found in (begins, ends)]
    return min(seconds[0]), min(seconds[1])
