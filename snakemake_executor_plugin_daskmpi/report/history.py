"""A run with the times of what its view keeps only the last of.

Runs on: wherever somebody asks for a report.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from snakemake_executor_plugin_daskmpi.record.events import Kind
from snakemake_executor_plugin_daskmpi.record.job_log import log_of
from snakemake_executor_plugin_daskmpi.record.liveness import Life, life_of
from snakemake_executor_plugin_daskmpi.record.run_view import JobView, RunView, State, WorkerView

if TYPE_CHECKING:
    from pathlib import Path

    from snakemake_executor_plugin_daskmpi.record.events import Reason

#: The outcome of a job whose worker died.
LOST = "lost"


class RunHistory(RunView):
    """A run, from its first event to :attr:`until`.

    Parameters
    ----------
    folder
        Of the run.
    now
        Seconds since the epoch; None for the clock's.
    """

    def __init__(self, folder: Path, now: float | None = None) -> None:
        super().__init__(folder)
        self._now = time.time() if now is None else now
        #: When it was noted that nothing starts any more.
        self.drained_at: float | None = None
        #: Why jobs waited, whenever that changed.
        self.reasons_over_time: list[tuple[float, list[Reason]]] = []
        #: By key of a job.
        self.set_aside_at: dict[str, float] = {}
        #: The logs in a folder.
        self._logs_in: dict[Path, frozenset[Path]] = {}
        self.update()
        #: When each worker was lost, by its name.
        self._losses: dict[str, list[float]] = {}
        for worker in self.all_workers:
            if worker.lost_at is not None:
                self._losses.setdefault(worker.name, []).append(worker.lost_at)
        #: What has become of it.
        self.life = life_of(self)

    @property
    def until(self) -> float:
        """When it ended; now if it goes on; its last event if it broke off, whose real end nobody has noted."""
        last = self._now if self.life is Life.GOES_ON else self.last_event_at
        return max(self.started_at, last)

    @property
    def all_workers(self) -> list[WorkerView]:
        """All lives of all workers, by name as people count: rank 10 after rank 9; those that have joined come last."""
        lives = [*self.former_workers, *self.workers.values()]
        return sorted(lives, key=lambda one: (bool(one.allocation), len(one.name), one.name, one.joined_at))

    def life_of(self, worker: WorkerView) -> tuple[float, float]:
        """Return from when to when a worker was there."""
        return worker.joined_at, max(worker.joined_at, self.until if worker.gone_at is None else worker.gone_at)

    def running_of(self, job: JobView) -> tuple[float, float] | None:
        """Return from when to when an attempt ran, as far as is known; None if it did not.

        No longer than its worker was there: that an attempt is lost is noted a second later, when it is sure that the
        others go on, and until then it has no cores.
        """
        begin = job.started_at
        if begin is None or job.state is State.SENT:
            return None
        ends = [self.until if job.ended_at is None else job.ended_at]
        ends += [at for at in self._losses.get(job.worker, ()) if at >= begin]
        return begin, max(begin, min(ends))

    def waiting_of(self, job: JobView) -> tuple[float, float]:
        """Return from when to when an attempt waited: until it started, ended, or was set aside."""
        ends = (job.started_at, self.set_aside_at.get(job.key), job.ended_at, self.until)
        return job.submitted_at, max(job.submitted_at, next(end for end in ends if end is not None))

    def cores_of(self, job: JobView) -> int:
        """Return how many cores an attempt had; those of an MPI program that lies on several workers as it asked."""
        return job.n_cores if job.asks.get("spans") else len(job.cores)

    def log_of(self, job: JobView) -> str:
        """Return the path of an attempt's log, as noted or as it is there; "" if there is none."""
        log = log_of(self.folder, job).absolute()
        if job.ended.get("log"):
            return str(log)
        if log.parent not in self._logs_in:
            # A folder has those of thousands of jobs, and each of them asked for alone takes long on some disks.
            try:
                self._logs_in[log.parent] = frozenset(log.parent.iterdir())
            except OSError:
                self._logs_in[log.parent] = frozenset()
        return str(log) if log in self._logs_in[log.parent] else ""

    def _take(self, event: dict[str, Any]) -> None:
        super()._take(event)
        at = event.get("time", 0.0)
        if event["event"] == Kind.DRAIN and self.drained_at is None:
            self.drained_at = at
        elif event["event"] == Kind.SET_ASIDE:
            self.set_aside_at.update(dict.fromkeys(event.get("jobs", ()), at))
        elif event["event"] == Kind.WAITING and self.reasons_at == at:
            self.reasons_over_time.append((at, self.reasons))
