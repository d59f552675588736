"""The last scheduling round of Snakemake: when it is due, and how its scheduler is told.

Runs on: rank 1, in the link's thread.

Jobs that were set aside stay among those that Snakemake takes for running, so that it goes on with the others. It
ends in order (lock released, hooks called) once it is told to as by SIGTERM, and they are none any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snakemake_interface_executor_plugins.workflow import WorkflowExecutorInterface


def is_due(workflow: WorkflowExecutorInterface, set_aside: set[Any]) -> bool:
    """Say whether all that Snakemake takes for running was set aside, and it will not hand over anything else."""
    scheduler: Any = workflow.scheduler
    if not set_aside.issuperset(tuple(scheduler.running)):
        return False
    # Jobs that ended and were not taken in yet may let others start.
    if scheduler._tofinish or scheduler._toerror:  # noqa: SLF001
        return False
    stops = bool(scheduler.failed) and not scheduler.keepgoing
    # What is ready and was not selected waits for what those that were set aside have, of --jobs for instance.
    return stops or not workflow.dag.ready_jobs or bool(scheduler._last_job_selection_empty)  # noqa: SLF001


def begin(workflow: WorkflowExecutorInterface, set_aside: set[Any]) -> None:
    """Let Snakemake hand over nothing any more, and end when the others that run have ended."""
    scheduler: Any = workflow.scheduler
    scheduler.running.difference_update(set_aside)
    scheduler.exit_gracefully()
