"""What jobs make, and which jobs they come after, for the record of a run.

Runs on: rank 1.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


def outputs(job: Any) -> list[str]:
    """Return the files that a job, or those of a group, make."""
    return [str(file) for one in _members(job) for file in one.output]


def needs(job: Any) -> list[int]:
    """Return the ids of the jobs that a job, or those of a group, come after."""
    members = set(_members(job))
    dag = job.dag
    return [before.jobid for one in members for before in dag.dependencies[one] if before not in members]


def local_before(job: Any, known: set[int]) -> list[Any]:
    """Return the jobs that Snakemake runs itself and that a job comes after, also through others of them.

    Parameters
    ----------
    known
        Ids of those that are left out, with what is before them; those that are returned are added.
    """
    found, dependencies = [], job.dag.dependencies
    ahead = [before for one in _members(job) for before in dependencies[one]]
    while ahead:
        before = ahead.pop()
        if before.is_local and before.jobid not in known:
            known.add(before.jobid)
            found.append(before)
            ahead += dependencies[before]
    return found


def by_rule(dag: Any) -> dict[str, int]:
    """Return how many jobs there are to run by rule, without those that Snakemake runs itself."""
    return dict(Counter(job.rule.name for job in dag.needrun_jobs(exclude_finished=False) if not job.is_local))


def patterns(dag: Any, rules: Iterable[str]) -> dict[str, list[str]]:
    """Return what the files of some rules are called, with wildcards in braces."""
    names = set(rules)
    return {rule.name: [str(file) for file in rule.output] for rule in dag.rules if rule.name in names}


def members_by_rule(job: Any) -> dict[str, int]:
    """Return how many jobs of each rule a group has; empty for a single job."""
    return dict(Counter(one.rule.name for one in job.jobs)) if job.is_group() else {}


def member_ids(job: Any) -> list[int]:
    """Return the ids of the jobs of a group."""
    return sorted(one.jobid for one in job.jobs)


def _members(job: Any) -> Any:
    return job.jobs if job.is_group() else (job,)
