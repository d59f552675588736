"""What CPU time the processes of a run have taken so far, by what they are.

Runs on: the process of Snakemake that is measured, in its hooks.
Called by: the Snakefile of throughput.py.
"""

import os
from pathlib import Path

import psutil

#: What processes are, in the order of the table.
KINDS = ("Snakemake", "scheduler", "workers", "programs")

_TICKS = os.sysconf("SC_CLK_TCK")
#: How far below a rank's own process, its keeper, its bodies are: below its worker, and that one's forkserver.
_BODY = 3


def snapshot() -> dict[str, float]:
    """Return the CPU seconds of this run by kind.

    Snakemake is this process; programs are what it has started itself, or what bodies have on the ranks beside it.
    Bodies that have ended count with their programs as workers; most bodies take one job after another.
    """
    seconds = dict.fromkeys(KINDS, 0.0)
    seconds["Snakemake"], seconds["programs"] = _times(os.getpid())
    keeper = psutil.Process().parent()
    if keeper is None or "PMI_RANK" not in keeper.environ():
        return seconds
    for rank in keeper.parent().children():
        number = int(rank.environ()["PMI_RANK"])
        if number != 1:
            _add(seconds, rank, "scheduler" if number == 0 else "workers", depth=0)
    return seconds


def _add(seconds: dict[str, float], process: psutil.Process, kind: str, depth: int) -> None:
    own, children = _times(process.pid)
    seconds["programs" if depth > _BODY else kind] += own
    seconds["programs" if depth >= _BODY else kind] += children
    for child in process.children():
        _add(seconds, child, kind, depth + 1)


def _times(pid: int) -> tuple[float, float]:
    """Return the seconds of a process, and of its children that have ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0, 0.0
    user, system, childrens_user, childrens_system = (int(field) / _TICKS for field in fields[11:15])
    return user + system, childrens_user + childrens_system
