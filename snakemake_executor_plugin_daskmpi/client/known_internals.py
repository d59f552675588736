"""Snakemake's scheduler and DAG, as far as the installed version has what we know of them; the user is told what not.

Runs on: rank 1, before a run.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from snakemake_executor_plugin_daskmpi.snakemake_internals import compatibility, dissolved_groups
from snakemake_executor_plugin_daskmpi.snakemake_internals.chains import CHAINS, Chains
from snakemake_executor_plugin_daskmpi.snakemake_internals.rounds import LIMITER, ROUNDS, Rounds
from snakemake_executor_plugin_daskmpi.snakemake_internals.scheduler import END, Scheduler

if TYPE_CHECKING:
    from collections.abc import Callable

    from snakemake_interface_executor_plugins.logging import LoggerExecutorInterface

_DIFFERS = "this version of Snakemake differs from those we know"


def rounds_of(workflow: Any, logger: LoggerExecutorInterface, before_each: Callable[[], None]) -> Rounds:
    """Return the rounds of the scheduler that is making its executor, and warn if they stay Snakemake's own."""
    lacks = [*compatibility.lacks_of_scheduler(ROUNDS), *compatibility.lacks_of_limit(LIMITER)]
    if lacks:
        logger.warning(
            f"daskmpi: at most 100 jobs start a second, unless --max-jobs-per-timespan lifts that: {_DIFFERS}: "
            f"{'; '.join(lacks)}."
        )
    in_parts = workflow.nodes == sys.maxsize
    return Rounds.in_the_making(in_parts=in_parts, before_each=before_each, are_known=not lacks)


def scheduler_of(workflow: Any, logger: LoggerExecutorInterface) -> Scheduler:
    """Return the scheduler of a workflow, and warn of what will go on without it."""
    lacks = compatibility.lacks_of_scheduler(END)
    if lacks:
        logger.warning(
            f"daskmpi: jobs that cannot start before the run ends are going to count as failed: {_DIFFERS}: "
            f"{'; '.join(lacks)}."
        )
    return Scheduler(workflow, has_end=not lacks)


def chains_of(dag: Any, logger: LoggerExecutorInterface) -> Chains:
    """Return the chains of a DAG, and warn if none is known."""
    lacks = compatibility.lacks_of_dag(CHAINS)
    if lacks:
        logger.warning(f"daskmpi: jobs that long chains wait for do not start first: {_DIFFERS}: {'; '.join(lacks)}.")
    return Chains(dag, is_known=not lacks)


def dissolve_groups(workflow: Any, logger: LoggerExecutorInterface) -> None:
    """Let jobs of groups go one by one where a checkpoint is still to run, and say so."""
    if lacks := compatibility.lacks_of_dag(dissolved_groups.DAG):
        logger.warning(f"daskmpi: groups that a checkpoint changes may go wrong: {_DIFFERS}: {'; '.join(lacks)}.")
    elif checkpoints := dissolved_groups.dissolve(workflow):
        logger.info(
            f"daskmpi: jobs of groups go one by one in this run, since checkpoint {', '.join(checkpoints)} may change "
            "groups, which Snakemake loses track of then."
        )
