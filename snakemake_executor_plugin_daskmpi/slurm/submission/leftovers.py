"""Further Slurm jobs that a run has left behind: none may stay in the queue, or go on, when it is over.

Runs on: rank 1 at the end of a run; rank 0, which outlives a rank 1 that is killed; and the first rank of each further
job, which outlives both where a node is lost.

A job's ranks end by themselves when their world does. One that still waits would start, find nobody, and end.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.errors import LaunchError
from snakemake_executor_plugin_daskmpi.slurm.controller import answer_of
from snakemake_executor_plugin_daskmpi.slurm.submission import queue

if TYPE_CHECKING:
    from pathlib import Path

_log = logging.getLogger(__name__)

#: Of the folders of further jobs, below that of their run.
FOLDER = "further"

#: Seconds that Slurm's programs may take at the end of a run, and between two looks.
_TIMEOUT_S, _LOOK_S = 15.0, 0.5


def cancel_waiting(run_dir: Path) -> None:
    """Cancel the further jobs of a run that have not started."""
    _cancel(run_dir, only_waiting=True)


def end_all(run_dir: Path, grace_s: float) -> None:
    """Cancel the further jobs of a run that have not started, and after some seconds those that still run."""
    give_up = time.monotonic() + grace_s
    _cancel(run_dir, only_waiting=True)
    while _ids(run_dir, only_waiting=False):
        if time.monotonic() > give_up:
            _cancel(run_dir, only_waiting=False)
            return
        time.sleep(_LOOK_S)


def _cancel(run_dir: Path, *, only_waiting: bool) -> None:
    if ids := _ids(run_dir, only_waiting=only_waiting):
        state = ["--state=PENDING"] if only_waiting else []
        try:
            answer_of(["scancel", *state, *ids], timeout_s=_TIMEOUT_S)
        except LaunchError as error:
            _log.warning("further jobs %s are left: %s", ids, error)


def _ids(run_dir: Path, *, only_waiting: bool) -> list[str]:
    """Return the ids of further jobs of a run in the queue; none if Slurm does not say."""
    if not (run_dir / FOLDER).is_dir():
        return []
    states = "PENDING" if only_waiting else "PENDING,CONFIGURING,RUNNING,SUSPENDED"
    try:
        answer = answer_of(queue.own_scripts_command(states), timeout_s=_TIMEOUT_S)
    except LaunchError:
        return []
    return queue.parse_script_jobs(answer.out, f"{run_dir.name}/{FOLDER}/") if answer.code == 0 else []
