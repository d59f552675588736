"""What a job inherits from the process that is Snakemake, which with Snakemake's own executor is its parent.

Runs on: rank 1 (:func:`remember`, :func:`changes`), and in the processes of jobs on ranks >= 2
(:meth:`Inherited.apply`).

A Snakefile, its ``onstart`` handler or a function of a rule may set environment variables, the umask or limits of the
process, or ignore signals, and bodies see that. The state before Snakemake has parsed anything may differ from node to
node. So only what has changed since then is sent.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import resource
import signal
import sys
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from typing import NamedTuple

#: By name; RLIMIT_OFILE is another name of RLIMIT_NOFILE.
_LIMITS = {n: getattr(resource, n) for n in dir(resource) if n.startswith("RLIMIT_") and n != "RLIMIT_OFILE"}


#: Fields of /proc/…/status (``man 5 proc``).
_STATUS = {
    "umask": re.compile(rb"^Umask:\s+([0-7]+)", re.MULTILINE),
    "ignored": re.compile(rb"^SigIgn:\s+([0-9a-f]+)", re.MULTILINE),
}


class Inherited(NamedTuple):
    """What differs from what a process of the world has anyway."""

    #: Environment variables, with None for those that are unset.
    environ: tuple[tuple[str, str | None], ...] = ()
    umask: int | None = None
    #: Soft and hard limits by the names of :mod:`resource`.
    limits: tuple[tuple[str, tuple[int, int]], ...] = ()
    #: Signals that are ignored, by number; programs inherit that.
    ignored: tuple[int, ...] = ()

    @property
    def is_reversible(self) -> bool:
        """Whether a process that has taken it on can be as it was before: limits cannot be raised again."""
        return self.umask is None and not self.limits and not self.ignored

    def apply(self) -> None:
        """Take it on in this process."""
        for name, value in self.environ:
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        if self.umask is not None:
            os.umask(self.umask)
        for number in self.ignored:
            signal.signal(number, signal.SIG_IGN)
        for name, (soft, hard) in self.limits:
            number = _LIMITS[name]
            # A node may have lower hard limits.
            most = resource.getrlimit(number)[1]
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(number, (_lower(soft, most), _lower(hard, most)))


@dataclass(frozen=True, slots=True)
class _State:
    environ: dict[str, str]
    umask: int
    ignored: frozenset[int]
    limits: dict[str, tuple[int, int]]
    sys_path: list[str]


def _state() -> _State:
    limits = {name: resource.getrlimit(number) for name, number in _LIMITS.items()}
    return _State(dict(os.environ), *_umask_and_ignored(), limits, list(sys.path))


_before: _State | None = None


def remember() -> None:
    """Remember the state of this process before Snakemake parses anything."""
    global _before  # noqa: PLW0603 - there is one such moment in a process
    _before = _state()


def changes() -> Inherited:
    """Return what has changed since :func:`remember`."""
    now, then = _state(), _before
    if then is None:
        return Inherited()
    names = {n for n, _ in now.environ.items() ^ then.environ.items()}
    return Inherited(
        environ=tuple((name, now.environ.get(name)) for name in sorted(names)),
        umask=now.umask if now.umask != then.umask else None,
        limits=tuple((name, value) for name, value in now.limits.items() if value != then.limits[name]),
        ignored=tuple(sorted(now.ignored - then.ignored)),
    )


def sys_path_of_a_fresh_snakemake(workdir: str) -> list[str]:
    """Return where ``python -m snakemake`` in a directory would look for modules before it has parsed a Snakefile."""
    path = list(_before.sys_path if _before else sys.path)
    if sys.flags.safe_path:
        return path
    # Python puts the folder of its program first, which is another one for each way to start the same Snakemake.
    return [workdir, *path[1:]]


@functools.lru_cache
def is_everywhere(module: str) -> bool:
    """Say whether each process of this installation finds a module, not only one that has parsed the Snakefile."""
    top = module.partition(".")[0]
    path = _before.sys_path[1:] if _before else sys.path
    return top in sys.stdlib_module_names or PathFinder.find_spec(top, path) is not None


def _umask_and_ignored() -> tuple[int, frozenset[int]]:
    """Return the umask, which the system call that tells it would change for a moment, and the ignored signals."""
    # In 100 µs, a third of what Python's own functions take for the signals alone.
    status = Path("/proc/self/status").read_bytes()
    umask, mask = (_STATUS[name].search(status) for name in ("umask", "ignored"))
    bits = int(mask[1], 16) if mask else 0
    return int(umask[1], 8) if umask else 0, frozenset(n + 1 for n in range(bits.bit_length()) if bits >> n & 1)


def _lower(value: int, most: int) -> int:
    if most == resource.RLIM_INFINITY:
        return value
    return most if value == resource.RLIM_INFINITY else min(value, most)
