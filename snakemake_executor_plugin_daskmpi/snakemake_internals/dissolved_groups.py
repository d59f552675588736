"""Groups of jobs, dissolved where a checkpoint may still change them.

Runs on: rank 1, before a run, and on the login node before a plan.

After a checkpoint, Snakemake (9.27) makes its DAG anew from there on, and keeps its books of groups wrong: some never
get ready, and the run ends with "Out of jobs ready to be started", or a KeyError of a group. So it is with every
executor that is not ``local``, which knows no groups. Groups spare a batch system jobs; here there is nothing to spare,
so that they may as well go one by one: a group that has begun, and gets members by a checkpoint, would run twice.

Those that share a pipe, a service or a file that stays on its node (``group_jobs=True``) remain together. What breaks
Snakemake's books of these is that it keeps each group that it has made by the jobs that this began with, and later adds
to it: made anew, it has members that are no more, or a running one changes. Here each is made of its own.
"""

from __future__ import annotations

from typing import Any

#: What this module uses of Snakemake's DAG.
DAG = frozenset({"checkpoint_jobs", "jobs", "needrun", "postprocess", "group_job_factory", "_ready_jobs"})


class _Forgetful:
    """A factory of groups that keeps none.

    Parameters
    ----------
    kind
        Snakemake's class of factories, which keep all.
    """

    def __init__(self, kind: Any) -> None:
        self._kind = kind

    def new(self, *args: Any) -> Any:
        """Return a new group, equal to any other of the same jobs."""
        return self._kind().new(*args)


def dissolve(workflow: Any) -> list[str]:
    """Let the members of groups go one by one if a checkpoint is to run; return the names of such checkpoints' rules.

    None are returned where rules name no groups, or there are no such checkpoints.
    """
    dag = workflow.dag
    checkpoints = sorted({job.rule.name for job in dag.checkpoint_jobs if dag.needrun(job)})
    if not checkpoints:
        return []
    if not isinstance(dag.group_job_factory, _Forgetful):
        dag.group_job_factory = _Forgetful(type(dag.group_job_factory))
    grouped = [rule for rule in workflow.rules if rule.group is not None]
    if grouped:
        # What a profile says comes before what rules say.
        workflow.group_settings.overwrite_groups.clear()
        for rule in grouped:
            rule.group = None
    is_any_changed = False
    for job in dag.jobs:
        is_any_changed |= job.group is not None
        if grouped:
            job.group = None
    if is_any_changed:
        # Some of these are groups.
        dag._ready_jobs.clear()  # noqa: SLF001
        workflow.async_run(dag.postprocess(update_needrun=False))
    return checkpoints if grouped else []
