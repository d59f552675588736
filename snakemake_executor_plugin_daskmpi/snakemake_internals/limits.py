"""What a rule asks for, before the limits of Snakemake's command line: --cores, --max-threads and --resources.

Runs on: rank 1, before a run, and when a job is handed over.
"""

from __future__ import annotations

from typing import Any

from snakemake_executor_plugin_daskmpi.resources import JobResources


def asked_by(job: Any, request: JobResources) -> JobResources:
    """Return what the rule of a job asks for, of which the limits may have left less.

    What a function says is known to Snakemake alone once a limit has cut it down, and is not asked for again. Nor can
    the members of a group be told apart.

    Parameters
    ----------
    request
        What the limits have left.
    """
    if job.is_group():
        return request
    left = job.resources
    try:
        numbers = ((name, _number(stated)) for name, stated in job.rule.resources.items())
        cut = {name: n for name, n in numbers if n is not None and isinstance(left.get(name), int) and n > left[name]}
    except Exception:  # noqa: BLE001 - another version of Snakemake, in which rules keep their resources otherwise
        return request
    return JobResources.of({**dict(left.items()), **cut}) if cut else request


def cap_threads(dag: Any, most: int) -> None:
    """Let no job have more threads than so many, as ``--max-threads`` does: also in its body's own words.

    Parameters
    ----------
    dag
        Snakemake's. Functions of jobs that have no more are not called again.
    """
    settings = dag.workflow.resource_settings
    if settings.max_threads is not None and settings.max_threads <= most:
        return
    settings.max_threads = most
    for job in dag.jobs:
        if getattr(job, "_resources", None) is not None and job.threads > most:
            job._resources = job._scheduler_resources = None  # noqa: SLF001


def _number(stated: Any) -> int | None:
    """Return what a rule says if that is a number."""
    if not isinstance(stated, int):
        stated = None if stated.is_evaluable() else stated.value
    return stated if isinstance(stated, int) and not isinstance(stated, bool) else None
