"""Watch the memory of running jobs: note their peaks, and say which are to be ended for it.

Runs on: ranks >= 2, in a thread of its own in the Dask worker's process.

In a thread, since a look reads hundreds of files, and one of them may hang (the kernel shows no process's pages while
that process waits for a dead file system): the worker's event loop must not wait for it.
"""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.worker.memory import cgroup, eviction
from snakemake_executor_plugin_daskmpi.worker.memory.footprint import Footprint

if TYPE_CHECKING:
    from collections.abc import Callable

    from snakemake_executor_plugin_daskmpi.resources import WorkerResources

#: Seconds between two looks, and the age from which a job is looked at.
_PAUSE_S = 0.1
#: The same where a limit is close. Within it, a process can allocate some 40 MB.
_SHORTEST_PAUSE_S = 0.02
#: A look is followed by a pause of so many times what it took (4 ms for 100 processes), so that it costs 5 % of a core
#: where no limit is close; but by no longer one than so many seconds.
_PAUSE_PER_COST, _LONGEST_PAUSE_S = 20, 0.5
#: Seconds from a kernel's kill to the end of the job that it hit; a spawned one takes its time. Arbitrary.
_JUST_BEFORE_S = 5.0
#: If a limit will not be reached for so many seconds, there is time for what is not urgent.
_FAR_S = 1.0
#: A job that grows by this factor is weighed, for its record, but no larger one than so many MB: 50 ms of work.
_WEIGHED_GROWTH, _WEIGHED_UP_TO_MB = 1.25, 4000


@dataclass(slots=True, eq=False)
class Watched:
    """A running job, as the watch knows it."""

    footprint: Footprint
    #: 0 if it did not say.
    requested_mb: int
    #: When it started, on the monotonic clock.
    since: float
    is_ending: bool = False


class Watch:
    """The watch over one worker's jobs.

    Parameters
    ----------
    policy
        One of ``--daskmpi-memory``.
    offer
        Of the worker; where its memory was guessed, the limit is what the host really has.
    own_pids
        Returns the processes that are the rank itself: the worker and its forkserver.
    on_excess
        Called in the watch's thread with the key of a job that is to be ended, and the reason.
    """

    def __init__(
        self,
        policy: str,
        offer: WorkerResources,
        own_pids: Callable[[], tuple[int, ...]],
        on_excess: Callable[[str, str], object],
    ) -> None:
        self._policy = policy
        self._offer = offer
        self._own_pids = own_pids
        self._on_excess = on_excess
        self._jobs: dict[str, Watched] = {}
        self._own: list[Footprint] = []
        self._weigh_from = 0.0
        self._cgroup = cgroup.Cgroup.own()
        self._limit = self._cgroup.limit()
        self._has_jobs = threading.Event()
        self._is_closed = False
        #: All jobs' RSS at the last look, and when that was.
        self._last_rss_mb, self._last_look = 0.0, 0.0
        #: What the kernel had killed at the last look, and when that became more.
        self._oom_kills, self._killed_at = self._read_oom_kills(), float("-inf")
        threading.Thread(target=self._keep_watch, name="memory watch", daemon=True).start()

    # -- called by the runner, in the event loop; a job costs some microseconds --------------------

    def add(self, key: str, pid: int, requested_mb: int) -> None:
        """Watch a job from now on."""
        self._jobs[key] = Watched(Footprint(pid), requested_mb, time.monotonic())
        if not self._has_jobs.is_set():
            self._has_jobs.set()

    def remove(self, key: str) -> Watched | None:
        """Watch a job no more, and return what was seen of it."""
        return self._jobs.pop(key, None)

    def kernel_kill(self, ended: Watched) -> str:
        """Return where the kernel killed a process for memory just before a job ended, "" if it did not."""
        self._count_oom_kills(now := time.monotonic())
        if self._killed_at < max(ended.since, now - _JUST_BEFORE_S):
            return ""
        return "this host" if self._cgroup.oom_kills() is None else "this worker's control group"

    def close(self) -> None:
        """End the watch."""
        self._is_closed = True
        self._has_jobs.set()

    # -- the thread ----------------------------------------------------------------------------------

    def _keep_watch(self) -> None:
        while True:
            self._has_jobs.wait()
            # What was killed while there was nothing to watch is no job's end.
            self._oom_kills = self._read_oom_kills()
            pause_s = _PAUSE_S
            while self._jobs:
                time.sleep(pause_s)
                if self._is_closed:
                    return
                started = time.monotonic()
                left_s = self._look(started)
                ended = time.monotonic()
                if left_s > _FAR_S and ended >= self._weigh_from:
                    self._weigh_for_the_record()
                cost_s = ended - started
                pause_s = max(_PAUSE_S, min(cost_s * _PAUSE_PER_COST, _LONGEST_PAUSE_S))
                pause_s = min(pause_s, max(_SHORTEST_PAUSE_S, cost_s, left_s / 2))
            if self._is_closed:
                return
            self._has_jobs.clear()
            if self._jobs:
                self._has_jobs.set()

    def _look(self, now: float) -> float:
        """Look at all jobs, say which are to be ended, and return the seconds until a limit may be reached."""
        jobs = {key: job for key, job in list(self._jobs.items()) if now - job.since >= _PAUSE_S}
        self._count_oom_kills(now)
        if not jobs:
            return float("inf")
        if tuple(own.pid for own in self._own) != self._own_pids():
            self._own = [Footprint(pid, with_descendants=False) for pid in self._own_pids()]
        everything = [*self._own, *(job.footprint for job in jobs.values())]
        for footprint in everything:
            footprint.look()
        if self._policy == "ignore":
            return float("inf")
        rooms = self._judge(jobs, now)
        rss_mb = sum(footprint.rss_mb for footprint in everything)
        rate, self._last_rss_mb = (rss_mb - self._last_rss_mb) / (now - self._last_look), rss_mb
        self._last_look = now
        return max(0.0, min(room.left_mb for room in rooms)) / rate if rate > 0 else float("inf")

    def _weigh_for_the_record(self) -> None:
        """Weigh one of those that have grown, if they are not large, and say when the next one's turn is."""
        footprints = [*self._own, *(job.footprint for job in list(self._jobs.values()))]
        grown = (f for f in footprints if 0 < f.rss_mb < _WEIGHED_UP_TO_MB and f.has_grown(_WEIGHED_GROWTH))
        if (footprint := next(grown, None)) is not None:
            started = time.monotonic()
            footprint.weigh(started)
            ended = time.monotonic()
            self._weigh_from = ended + (ended - started) * _PAUSE_PER_COST

    def _judge(self, jobs: dict[str, Watched], now: float) -> list[eviction.Room]:
        """Say which jobs are to be ended, and return how full everything is without them."""
        jobs = {key: job for key, job in jobs.items() if not job.is_ending}
        rooms, condemned = self._verdicts(jobs, now)
        if condemned:
            # By the estimates. Weigh what was not weighed just now, the largest first, and ask again.
            inexact = [f for f in (*self._own, *(job.footprint for job in jobs.values())) if not f.is_exact(now)]
            for footprint in sorted(inexact, key=lambda f: -f.rss_mb):
                footprint.weigh(now)
            rooms, condemned = self._verdicts(jobs, now)
        for key, reason in condemned.items():
            jobs[key].is_ending = True
            with contextlib.suppress(RuntimeError):  # the worker's loop has ended, and with it this process, nearly
                self._on_excess(key, reason)
        return rooms

    def _verdicts(self, jobs: dict[str, Watched], now: float) -> tuple[list[eviction.Room], dict[str, str]]:
        uses = {key: eviction.Use(job.requested_mb, job.footprint.estimate_mb(now)) for key, job in jobs.items()}
        rooms = self._rooms(sum(use.used_mb for use in uses.values()), now)
        return rooms, eviction.condemned(self._policy, uses, rooms)

    def _rooms(self, jobs_mb: float, now: float) -> list[eviction.Room]:
        """Return what must not overflow, with what is in it but for jobs that are being ended."""
        own_mb = sum(own.estimate_mb(now) for own in self._own)
        ending_mb = sum(job.footprint.estimate_mb(now) for job in list(self._jobs.values()) if job.is_ending)
        rooms = []
        if "mem_mb" not in self._offer.guessed:
            rooms.append(eviction.Room("the worker", own_mb + jobs_mb, self._offer.mem_mb))
        else:
            used_mb, host_mb = cgroup.host_used_mb()
            rooms.append(eviction.Room("the host", used_mb - ending_mb, host_mb))
        if self._limit is not None:
            limit_mb, folder = self._limit
            # Other ranks may be in the same group, and then its use is more than ours.
            used_mb = max(own_mb + jobs_mb, self._cgroup.used_mb(folder) - ending_mb)
            rooms.append(eviction.Room("the control group", used_mb, limit_mb))
        return rooms

    # -- what the kernel kills -------------------------------------------------------------------------

    def _count_oom_kills(self, now: float) -> None:
        """Note when the kernel kills for memory."""
        count = self._read_oom_kills()
        if count > self._oom_kills:
            self._oom_kills, self._killed_at = count, now

    def _read_oom_kills(self) -> int:
        own = self._cgroup.oom_kills()
        return (own if own is not None else cgroup.host_oom_kills()) or 0
