"""Groups of jobs, dissolved where a checkpoint may still change them.

Runs on: rank 1, before a run, and on the login node before a plan.

After a checkpoint, Snakemake (9.27) makes its DAG anew from there on, and keeps its books of groups wrong: some never
get ready, and the run ends with "Out of jobs ready to be started", or a KeyError of the group's name. So it is with
every executor that is not ``local``, which knows no groups. Groups spare a batch system jobs; here there is nothing to
spare, so that they may as well go one by one. Those that share a pipe, or use a service, stay together.
"""

from __future__ import annotations

from typing import Any

#: What this module uses of Snakemake's DAG.
DAG = frozenset({"checkpoint_jobs", "jobs", "needrun", "postprocess", "_ready_jobs"})


def dissolve(workflow: Any) -> list[str]:
    """Let the members of groups go one by one if a checkpoint is to run; return the names of such checkpoints' rules.

    None are returned where there are no groups, or no such checkpoints: then nothing has changed.
    """
    dag = workflow.dag
    checkpoints = sorted({job.rule.name for job in dag.checkpoint_jobs if dag.needrun(job)})
    grouped = [rule for rule in workflow.rules if rule.group is not None]
    if not checkpoints or not grouped:
        return []
    # What a profile says comes before what rules say.
    workflow.group_settings.overwrite_groups.clear()
    for rule in grouped:
        rule.group = None
    for job in dag.jobs:
        job.group = None
    # Some of these are groups.
    dag._ready_jobs.clear()  # noqa: SLF001
    workflow.async_run(dag.postprocess(update_needrun=False))
    return checkpoints
