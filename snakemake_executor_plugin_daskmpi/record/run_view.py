"""A run as its record tells it, up to now.

Runs on: wherever somebody looks at a run.
"""

from __future__ import annotations

import contextlib
import gc
from collections import Counter
from typing import TYPE_CHECKING, Any

from snakemake_executor_plugin_daskmpi.record.events import FILE_NAME, VERSION, Kind, Reason
from snakemake_executor_plugin_daskmpi.record.follower import Follower
from snakemake_executor_plugin_daskmpi.record.job_view import STATE_OF_OUTCOME, JobView, State
from snakemake_executor_plugin_daskmpi.record.worker_view import WorkerView

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

__all__ = ["JobView", "RunView", "State", "WorkerView"]


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the garbage collector from looking at all that is read again and again, which would take a third longer."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class RunView:
    """A run.

    Parameters
    ----------
    folder
        Of the run: ``.snakemake/daskmpi/<run>``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._follower = Follower(folder / FILE_NAME)
        #: The fields of the first line; empty before that is there.
        self.about: dict[str, Any] = {}
        self.started_at = self.last_event_at = 0.0
        #: How many jobs the DAG has by rule.
        self.n_by_rule: dict[str, int] = {}
        #: What the files are called that rules make, with wildcards in braces.
        self.patterns: dict[str, list[str]] = {}
        #: By key, in the order of their submission.
        self.jobs: dict[str, JobView] = {}
        #: By name; the last life of each.
        self.workers: dict[str, WorkerView] = {}
        #: How far each further Slurm job is, by Slurm's id, as it was noted last.
        self.allocations: dict[str, dict[str, Any]] = {}
        #: Those that were lost, and came back or did not.
        self.former_workers: list[WorkerView] = []
        self.reasons: list[Reason] = []
        #: When those were noted.
        self.reasons_at = 0.0
        self.deadline: dict[str, Any] = {}
        #: Why nothing starts any more.
        self.drain = ""
        #: Keys of jobs that do not start in this run, and why.
        self.set_aside: dict[str, str] = {}
        #: The fields of the last line; empty while the run goes on, or if it broke off.
        self.end: dict[str, Any] = {}
        self._n_unclear = 0
        #: Jobs that Snakemake runs itself and that others come after, by job id: those that they come after.
        self.local_needs: dict[int, tuple[int, ...]] = {}
        self._current: dict[int | str, JobView] = {}
        self._group_of: dict[int, int | str] = {}
        #: The job that waits for another one on its worker, by the key of the other.
        self._behind: dict[str, str] = {}

    def update(self) -> bool:
        """Take in what has happened since the last time, and say whether anything has; OSError if it is unreadable."""
        n_taken, before = 0, self.n_unreadable
        with _uncollected():
            for event in self._follower.events():
                n_taken += 1
                self._take(event)
        return n_taken > 0 or self.n_unreadable > before

    # -- what it says --------------------------------------------------------------------------

    @property
    def first_run(self) -> str:
        """Id of the run that began the chain that it is in, see :func:`find.chain_of`."""
        return str(self.about.get("first_run") or self.about.get("run_id") or self.folder.name)

    @property
    def is_newer_format(self) -> bool:
        """Whether a later version wrote it, of which something may be missed."""
        return int(self.about.get("version", VERSION)) > VERSION

    @property
    def n_unreadable(self) -> int:
        """How many lines say nothing that can be understood."""
        return self._follower.n_unreadable + self._n_unclear

    @property
    def current(self) -> Iterable[JobView]:
        """The last attempt of each job."""
        return self._current.values()

    def in_state(self, *states: State) -> list[JobView]:
        """Return the jobs whose last attempt is in one of some states."""
        return [job for job in self.current if job.state in states]

    def counts(self) -> dict[str, Counter[State]]:
        """Return how many jobs of each rule are in each state; what was not submitted yet is not among them.

        The jobs of a group count as such, all in the state of the group.
        """
        counts: dict[str, Counter[State]] = {rule: Counter() for rule in self.n_by_rule}
        # Most are no groups, and 100,000 of them are to be counted in a moment.
        single = Counter((job.rule, job.state) for job in self.current if not job.members)
        for (rule, state), number in single.items():
            counts.setdefault(rule, Counter())[state] += number
        for job in self.current:
            for rule, number in job.members.items():
                counts.setdefault(rule, Counter())[job.state] += number
        return counts

    def n_not_ready(self, counts: Mapping[str, Counter[State]] | None = None) -> dict[str, int]:
        """Return how many jobs of each rule Snakemake has not handed over yet, if any; of counts if they are known."""
        handed_over = {rule: counter.total() for rule, counter in (counts or self.counts()).items()}
        left = {rule: number - handed_over.get(rule, 0) for rule, number in self.n_by_rule.items()}
        return {rule: number for rule, number in left.items() if number > 0}

    def attempts_of(self, jobid: int | str) -> list[JobView]:
        """Return all attempts of a job, in their order."""
        return [job for job in self.jobs.values() if job.jobid == jobid]

    def comes_after(self, job: JobView) -> set[int | str]:
        """Return the ids of the jobs and groups that a job comes after, also through Snakemake's own jobs."""
        found: set[int | str] = set()
        seen, ahead = set[int](), list(job.needs)
        while ahead:
            if (before := ahead.pop()) not in seen:
                seen.add(before)
                ahead += self.local_needs.get(before, ())
                # Others come after members of a group, not after the group.
                if (found_id := self._group_of.get(before, before)) in self._current and found_id != job.jobid:
                    found.add(found_id)
        return found

    def reason_of(self, job: JobView) -> Reason | None:
        """Return why a job waits, if the record says so."""
        same = [r for r in self.reasons if r.asks == job.asks and r.priority == job.priority]
        return next((r for r in same if r.example == job.key), next(iter(same), None))

    # -- what it is told -----------------------------------------------------------------------

    def _take(self, event: dict[str, Any]) -> None:
        taken = self._TAKERS.get(event["event"])
        if taken is not None:
            try:
                taken(self, event)
            except (KeyError, TypeError, ValueError, AttributeError):
                # A line before it is missing, as after a full disk, or it is somebody else's.
                self._n_unclear += 1
                return
        self.last_event_at = float(event.get("time") or self.last_event_at)

    def _on_run(self, event: dict[str, Any]) -> None:
        self.about, self.started_at = event, float(event["time"])

    def _on_jobs(self, event: dict[str, Any]) -> None:
        self.n_by_rule, self.patterns = dict(event["by_rule"]), dict(event.get("patterns", self.patterns))

    def _on_deadline(self, event: dict[str, Any]) -> None:
        self.deadline = event

    def _on_worker(self, event: dict[str, Any]) -> None:
        if (former := self.workers.pop(event["worker"], None)) is not None:
            self.former_workers.append(former)
        components = event.get("components")
        self.workers[event["worker"]] = WorkerView(
            name=event["worker"],
            host=event["host"],
            cores=tuple(event["cores"]),
            mem_mb=event["mem_mb"],
            disk_mb=event.get("disk_mb", 0),
            gpus=tuple(event["gpus"]),
            het_group=event.get("het_group"),
            components=None if components is None else tuple(components),
            joined_at=event["time"],
            allocation=event.get("allocation", ""),
        )

    def _on_worker_lost(self, event: dict[str, Any]) -> None:
        if (worker := self.workers.get(event["worker"])) is not None:
            worker.lost_at, worker.comes_back = event["time"], bool(event.get("comes_back"))
        for key in event.get("waits", ()):
            self._wait_again(key)

    def _on_worker_left(self, event: dict[str, Any]) -> None:
        if (worker := self.workers.get(event["worker"])) is not None:
            worker.left_at = event["time"]

    def _on_allocation(self, event: dict[str, Any]) -> None:
        self.allocations[event["allocation"]] = event

    def _on_submitted(self, event: dict[str, Any]) -> None:
        job = JobView(
            key=event["job"],
            name=event["name"],
            rule=event["rule"],
            jobid=event["jobid"],
            attempt=event.get("attempt", 1),
            outputs=tuple(event.get("outputs", ())),
            needs=tuple(event.get("needs", ())),
            asks=event.get("asks", {}),
            wish=event.get("wish", {}),
            priority=event.get("priority", 0),
            n_behind=event.get("n_behind", 0),
            member_ids=tuple(event.get("member_ids", ())),
            submitted_at=event["time"],
            members=event.get("members", {}),
            again_of=event.get("again_of", ""),
        )
        self.jobs[job.key] = self._current[job.jobid] = job
        if job.member_ids:
            self._group_of.update(dict.fromkeys(job.member_ids, job.jobid))

    def _on_local(self, event: dict[str, Any]) -> None:
        self.local_needs[event["jobid"]] = tuple(event["needs"])

    def _on_started(self, event: dict[str, Any]) -> None:
        job = self.jobs[event["job"]]
        job.worker, job.cores, job.gpus = event["worker"], tuple(event["cores"]), tuple(event.get("gpus", ()))
        job.after = event.get("after", "")
        before = self.jobs.get(job.after)
        if before is None or before.ended_at is not None:
            job.state, job.started_at = State.RUNNING, event["time"] if before is None else before.ended_at
        else:
            job.state = State.SENT
            self._behind[job.after] = job.key

    def _on_ended(self, event: dict[str, Any]) -> None:
        job = self.jobs[event["job"]]
        job.outcome, job.ended = event["outcome"], event
        job.state = STATE_OF_OUTCOME.get(job.outcome, State.FAILED)
        job.worker = event.get("worker", job.worker)
        job.ended_at = event.get("ended_at", event["time"])
        job.started_at = event.get("started_at", job.started_at)
        successor = self.jobs.get(self._behind.pop(job.key, ""))
        if successor is not None and successor.state is State.SENT:
            successor.state, successor.started_at = State.RUNNING, job.ended_at

    def _wait_again(self, key: str) -> None:
        job = self.jobs[key]
        job.state, job.worker, job.cores, job.gpus, job.after, job.started_at = State.WAITING, "", (), (), "", None

    def _on_rejected(self, event: dict[str, Any]) -> None:
        job = self.jobs[event["job"]]
        job.state, job.outcome = State.FAILED, "rejected"
        job.ended = job.ended | {"reason": "its body ended well, but Snakemake found its output missing or wrong"}

    def _on_waiting(self, event: dict[str, Any]) -> None:
        self.reasons, self.reasons_at = [Reason.read(one) for one in event["reasons"]], float(event["time"])

    def _on_set_aside(self, event: dict[str, Any]) -> None:
        for key in event["jobs"]:
            self.set_aside[key] = event["why"]
            self.jobs[key].state = State.LEFT

    def _on_drain(self, event: dict[str, Any]) -> None:
        self.drain = event["why"]

    def _on_end(self, event: dict[str, Any]) -> None:
        self.end = event

    _TAKERS: dict[str, Callable[[RunView, dict[str, Any]], None]] = {  # noqa: RUF012 - a table
        Kind.RUN: _on_run,
        Kind.JOBS: _on_jobs,
        Kind.DEADLINE: _on_deadline,
        Kind.WORKER: _on_worker,
        Kind.WORKER_LOST: _on_worker_lost,
        Kind.WORKER_LEFT: _on_worker_left,
        Kind.ALLOCATION: _on_allocation,
        Kind.SUBMITTED: _on_submitted,
        Kind.LOCAL: _on_local,
        Kind.STARTED: _on_started,
        Kind.ENDED: _on_ended,
        Kind.REJECTED: _on_rejected,
        Kind.WAITING: _on_waiting,
        Kind.SET_ASIDE: _on_set_aside,
        Kind.DRAIN: _on_drain,
        Kind.END: _on_end,
    }
