"""The longest chain of jobs, each of which had to wait for the one before.

Runs on: wherever somebody asks for a report. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snakemake_executor_plugin_daskmpi.record.run_view import JobView
    from snakemake_executor_plugin_daskmpi.report.history import RunHistory


@dataclass(frozen=True, slots=True)
class Link:
    """One job of the chain, with all its attempts."""

    jobid: int | str
    name: str
    rule: str
    n_attempts: int
    #: When its first attempt started, in seconds since the epoch.
    started_at: float
    #: How long its attempts took together.
    seconds: float
    #: How long it could have started and did not: since the job before it ended, or since it was submitted.
    waited_s: float
    #: Of its attempts.
    keys: tuple[str, ...]


def longest_chain(history: RunHistory) -> list[Link]:
    """Return the chain of jobs that took the longest in sum: with no more cores than needed, no run is shorter.

    Jobs that Snakemake runs itself count nothing: when they run is not recorded.
    """
    attempts: dict[int | str, list[JobView]] = {}
    for job in history.jobs.values():
        attempts.setdefault(job.jobid, []).append(job)
    length: dict[int | str, float] = {}
    before: dict[int | str, int | str | None] = {}
    # Snakemake hands a job over when those before it have ended, so none of them comes later, and there is no circle.
    for jobid, tries in attempts.items():
        own = sum(end - begin for begin, end in filter(None, map(history.running_of, tries)))
        earlier = sorted(length.keys() & history.comes_after(tries[-1]), key=str)
        before[jobid] = max(earlier, key=length.__getitem__, default=None)
        length[jobid] = own + max((length[need] for need in earlier), default=0.0)
    at: int | str | None = max(length, key=length.__getitem__, default=None)
    chain: list[int | str] = []
    while at is not None:
        chain.append(at)
        at = before[at]
    links: list[Link] = []
    free_at: float | None = None
    for jobid in reversed(chain):
        link, free_at = _link(history, attempts[jobid], free_at)
        if link is not None:
            links.append(link)
    return links


def _link(history: RunHistory, tries: list[JobView], free_at: float | None) -> tuple[Link | None, float | None]:
    """Return a link and when its last attempt ended; none if the job never ran."""
    ran = [(job, running) for job in tries if (running := history.running_of(job)) is not None]
    if not ran:
        return None, free_at
    first, started_at = ran[0][0], ran[0][1][0]
    could_start_at = first.submitted_at if free_at is None else free_at
    link = Link(
        jobid=first.jobid,
        name=first.name,
        rule=first.rule,
        n_attempts=len(tries),
        started_at=started_at,
        seconds=sum(end - begin for _, (begin, end) in ran),
        waited_s=max(0.0, started_at - could_start_at),
        keys=tuple(job.key for job in tries),
    )
    return link, ran[-1][1][1]
