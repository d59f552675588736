"""Snakemake's scheduler, made of as much of a workflow as it looks at."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from snakemake.resources import Resources
from snakemake.scheduling.greedy import Scheduler as Greedy
from snakemake.scheduling.greedy import SchedulerSettings
from snakemake.scheduling.job_scheduler import JobScheduler
from snakemake.settings.types import MaxJobsPerTimespan

if TYPE_CHECKING:
    from collections.abc import Callable


def scheduler(
    *,
    limit: str = "100/1s",
    subsample: int | None = None,
    resources: dict[str, int] | None = None,
    selection: Any = None,
    make_executor: Callable[..., Any] = lambda *_: None,
) -> Any:
    """Return a scheduler.

    Parameters
    ----------
    limit
        ``--max-jobs-per-timespan``.
    resources
        What there is of resources that it counts, beside any number of cores.
    selection
        A scheduler plugin; greedy if None.
    make_executor
        Called while it is made, as Snakemake does.
    """
    nodes = sys.maxsize
    workflow: Any = SimpleNamespace(
        dryrun=False,
        touch=False,
        local_exec=True,
        nodes=nodes,
        async_run=lambda coroutine: coroutine.close(),
        output_settings=SimpleNamespace(quiet=None),
        execution_settings=SimpleNamespace(keep_going=False),
        remote_execution_settings=SimpleNamespace(immediate_submit=False),
        scheduling_settings=SimpleNamespace(
            greediness=1.0, subsample=subsample, max_jobs_per_timespan=MaxJobsPerTimespan.parse_choice(limit)
        ),
        global_resources=Resources.from_mapping({"_cores": 1, "_nodes": nodes} | (resources or {})),
        dag=SimpleNamespace(ready_jobs=set(), needrun_jobs=lambda: ()),
    )
    greedy = Greedy(workflow.dag, SchedulerSettings(), None)
    plugin = SimpleNamespace(executor=make_executor)
    workflow.scheduler = JobScheduler(workflow, plugin, selection or greedy, SchedulerSettings())
    return workflow.scheduler
