"""How much memory a family of processes has, from Linux's /proc.

Runs on: ranks >= 2, in the thread of the memory watch.

Two figures, since neither will do alone. The resident set (RSS) costs 10 µs a process, and counts what processes share
in each of them: a hundred forks of one parsed workflow seem to have it a hundred times. The proportional set (PSS)
divides what is shared by those who share it, so that sums are true, and costs 10 ms a GB, for which the kernel walks
through all pages.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from snakemake_executor_plugin_daskmpi.rank import processes

_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1e6
#: Seconds after which a PSS is held for outdated: pages that were shared may have been copied, which no RSS shows.
_FRESH_S = 5.0
#: Part by which a family may grow before its PSS is held for outdated.
_GROWTH = 0.02


@dataclass(slots=True, eq=False)
class Footprint:
    """The memory of one family, looked at now and then."""

    #: The process at its head.
    pid: int
    #: Whether it has descendants, at any depth, that belong to it.
    with_descendants: bool = True
    rss_mb: float = 0.0
    #: As last read; None before that.
    pss_mb: float | None = None
    peak_rss_mb: float = 0.0
    #: The highest PSS, between two readings estimated from the growth of the RSS; 0 if it was never read.
    peak_pss_mb: float = 0.0
    _pids: list[int] = field(default_factory=list)
    _rss_when_weighed_mb: float = 0.0
    _weighed_at: float = 0.0

    def look(self) -> None:
        """Read the RSS, which is cheap."""
        self._pids = [self.pid, *(processes.descendants_of(self.pid) if self.with_descendants else ())]
        self.rss_mb = sum(map(_rss_mb, self._pids))
        if not self.rss_mb and self.with_descendants:
            # It has ended, and what it has left in its session is still waited for, perhaps.
            self._pids = processes.members_of(self.pid)
            self.rss_mb = sum(map(_rss_mb, self._pids))
        self._note_peaks()

    def weigh(self, now: float) -> None:
        """Read the PSS of the processes of the last look, which is slow."""
        sizes = [(_pss_mb(pid), pid) for pid in self._pids]
        # Where it cannot be read (an old kernel, a program of another user), RSS has to do.
        self.pss_mb = sum(_rss_mb(pid) if size is None else size for size, pid in sizes)
        self._rss_when_weighed_mb, self._weighed_at = self.rss_mb, now
        self._note_peaks()

    def estimate_mb(self, now: float) -> float:
        """Return about what the family takes, rather too much than too little.

        Never more than the RSS, and little less once the last weighing is outdated.
        """
        if self.pss_mb is None or now - self._weighed_at > _FRESH_S:
            return self.rss_mb
        return self._grown_pss_mb()

    def is_exact(self, now: float) -> bool:
        """Say whether the estimate is as good as a reading."""
        return (
            self.pss_mb is not None
            and now - self._weighed_at <= _FRESH_S
            and self.rss_mb <= self._rss_when_weighed_mb * (1 + _GROWTH)
        )

    def has_grown(self, factor: float) -> bool:
        """Say whether the RSS is so many times what it was when the family was weighed, if ever."""
        return self.pss_mb is None or self.rss_mb > self._rss_when_weighed_mb * factor

    def _grown_pss_mb(self) -> float:
        return min(self.rss_mb, (self.pss_mb or 0.0) + max(0.0, self.rss_mb - self._rss_when_weighed_mb))

    def _note_peaks(self) -> None:
        self.peak_rss_mb = max(self.peak_rss_mb, self.rss_mb)
        if self.pss_mb is not None:
            self.peak_pss_mb = max(self.peak_pss_mb, self._grown_pss_mb())


def _rss_mb(pid: int) -> float:
    """Return the resident set of a process in MB, 0 if it has gone."""
    try:
        with open(f"/proc/{pid}/statm", "rb", buffering=0) as file:
            return int(file.read(200).split()[1]) * _PAGE_MB
    except (OSError, IndexError):
        return 0.0


def _pss_mb(pid: int) -> float | None:
    """Return the proportional set of a process in MB, 0 if it has gone, None if that cannot be read."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            for line in file:
                if line.startswith(b"Pss:"):
                    return int(line.split()[1]) * 1024 / 1e6
    except (ProcessLookupError, FileNotFoundError):
        return None if os.path.exists(f"/proc/{pid}") else 0.0
    except OSError:
        return None
    return 0.0
