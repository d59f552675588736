"""The control group that this process is in: how much memory it may have, has, and was killed for.

Runs on: ranks >= 2.

Of version 2 and 1, whichever has the memory controller here. A limit of a group above counts for all below it.
Source: the kernel's Documentation/admin-guide/cgroup-v2.rst, and cgroup-v1/memory.rst.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_MOUNT = Path("/sys/fs/cgroup")
#: Version 1 writes "no limit" as the largest number that its counter can hold; no machine has an exbibyte.
_UNLIMITED_BYTES = 2**60


@dataclass(frozen=True, slots=True)
class Cgroup:
    """A process's place in the tree of groups that account for memory."""

    #: Its own group and those above it, as far as they can be seen here; empty if nothing accounts for memory.
    folders: tuple[Path, ...]
    #: 2 or 1.
    version: int = 2

    @classmethod
    def own(cls, membership: Path = Path("/proc/self/cgroup"), mount: Path = _MOUNT) -> Cgroup:
        """Find the group of this process."""
        try:
            lines = [line.split(":", 2) for line in membership.read_text().splitlines()]
        except OSError:
            return cls(())
        for _, controllers, path in lines:
            if "memory" in controllers.split(","):
                return cls(_folders(mount / "memory", path, "memory.limit_in_bytes"), version=1)
        unified = next((path for number, _, path in lines if number == "0"), None)
        # The root group has no limit file, except in a container.
        return cls(() if unified is None else _folders(mount, unified, "memory.max"))

    def limit(self) -> tuple[int, Path] | None:
        """Return the lowest limit in MB and the group that sets it, None if there is none."""
        name = "memory.max" if self.version == 2 else "memory.limit_in_bytes"  # noqa: PLR2004 - the version
        limits = []
        for folder in self.folders:
            text = _text(folder / name).strip()
            if text.isdigit() and int(text) < _UNLIMITED_BYTES:
                limits.append((int(text) // 1_000_000, folder))
        return min(limits, default=None)

    def used_mb(self, folder: Path) -> float:
        """Return the memory of a group in MB that the kernel cannot reclaim: without the page cache.

        Files on a tmpfs (``/dev/shm``) do count, and no process has them.
        """
        names = {"anon", "shmem"} if self.version == 2 else {"total_rss", "total_shmem"}  # noqa: PLR2004 - the version
        pairs = (line.split() for line in _text(folder / "memory.stat").splitlines())
        return sum(int(value) for name, value in pairs if name in names) / 1e6

    def oom_kills(self) -> int | None:
        """Return how many processes of the group the kernel has killed for memory; None if nothing counts that."""
        file = "memory.events" if self.version == 2 else "memory.oom_control"  # noqa: PLR2004 - the version
        return _counter(_text(self.folders[0] / file), "oom_kill") if self.folders else None


def host_oom_kills() -> int | None:
    """Return how many processes the kernel has killed for memory on this host; None if it does not say."""
    return _counter(_text(Path("/proc/vmstat")), "oom_kill")


def host_used_mb() -> tuple[float, float]:
    """Return the memory of the host that the kernel cannot reclaim, and all that there is, in MB."""
    pairs = dict(line.split(":", 1) for line in _text(Path("/proc/meminfo")).splitlines())
    total, available = (int(pairs[name].split()[0]) * 1024 / 1e6 for name in ("MemTotal", "MemAvailable"))
    return total - available, total


def _folders(mount: Path, path: str, file: str) -> tuple[Path, ...]:
    """Return the folders from a group up to the mount that have a file."""
    own = mount / path.lstrip("/")
    # In a container, the path may be the host's, while the mount begins at the container's own group.
    own = own if own.is_dir() else mount
    above = [own, *own.parents]
    return tuple(folder for folder in above[: above.index(mount) + 1] if (folder / file).exists())


def _counter(text: str, name: str) -> int | None:
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name} ")), None)


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
