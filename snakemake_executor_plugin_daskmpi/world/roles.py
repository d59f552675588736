"""Who a process is, read from its environment before MPI is touched.

Runs on: every rank. Pure: functions of environment tables.
Called by: world.bootstrap, worker.limits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Role(Enum):
    """What a rank does. dask-mpi gives the same roles to the same ranks."""

    SCHEDULER = "scheduler"
    CLIENT = "client"
    WORKER = "worker"

    @classmethod
    def of(cls, rank: int) -> Role:
        """Return the role of a rank: 0 scheduler, 1 client, the others workers."""
        return {0: cls.SCHEDULER, 1: cls.CLIENT}.get(rank, cls.WORKER)


#: Least number of ranks: scheduler, client, one worker.
MIN_RANKS = 3


@dataclass(frozen=True, slots=True)
class Seat:
    """A process's place among those that a launcher started, as the launcher says."""

    rank: int
    #: Number of processes that were started.
    size: int
    #: Who says so, for messages.
    said_by: str

    @property
    def role(self) -> Role:
        """The role that comes with the rank."""
        return Role.of(self.rank)


#: Rank and size as each kind of launcher writes them, the more specific first. Intel MPI's
#: and MPICH's mpiexec and ``srun --mpi=pmi2`` write PMI_*, Open MPI's mpirun OMPI_*.
_SEAT_VARIABLES = (
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "Open MPI's mpiexec"),
    ("PMI_RANK", "PMI_SIZE", "mpiexec"),
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "srun"),
)


def seat_of(environ: Mapping[str, str]) -> Seat | None:
    """Return a process's seat, or None if no launcher of several processes started it.

    A batch script has SLURM_PROCID too, but no step; a step of one task (an interactive
    shell, for instance) is no world.

    >>> seat_of({"PMI_RANK": "2", "PMI_SIZE": "6"})
    Seat(rank=2, size=6, said_by='mpiexec')
    >>> seat_of({"SLURM_PROCID": "0", "SLURM_NTASKS": "5"}) is None
    True
    """
    in_step = "SLURM_STEP_ID" in environ and int(environ.get("SLURM_STEP_NUM_TASKS", "1")) > 1
    for rank_name, size_name, said_by in _SEAT_VARIABLES:
        if rank_name in environ and size_name in environ and (said_by != "srun" or in_step):
            by = "srun" if in_step else said_by
            if int(environ[size_name]) == 1 and "SLURM_STEP_ID" in environ:
                return None
            return Seat(int(environ[rank_name]), int(environ[size_name]), by)
    return None


def own_component(environ: Mapping[str, str]) -> int | None:
    """Return the number of the hetjob component that this rank is in, None outside of one.

    No variable names it. Components never share a node, so the node's name tells.
    """
    node = environ.get("SLURMD_NODENAME", "")
    for n in range(int(environ.get("SLURM_HET_SIZE", "0"))):
        if node in hosts_of(environ.get(f"SLURM_JOB_NODELIST_HET_GROUP_{n}", "")):
            return n
    return None


def slurm_value(environ: Mapping[str, str], name: str) -> str | None:
    """Return a ``SLURM_*`` variable's value for this rank's own component.

    In a hetjob the plain variable is unset or the first component's on every rank.

    >>> slurm_value({"SLURM_CPUS_PER_TASK": "4"}, "SLURM_CPUS_PER_TASK")
    '4'
    """
    component = own_component(environ)
    return environ.get(name if component is None else f"{name}_HET_GROUP_{component}")


def hosts_of(nodelist: str) -> list[str]:
    """Expand Slurm's notation for lists of nodes.

    >>> hosts_of("n[1-2,07],login")
    ['n1', 'n2', 'n07', 'login']
    >>> hosts_of("rack[1-2]n[01-02]")
    ['rack1n01', 'rack1n02', 'rack2n01', 'rack2n02']
    """
    return [host for part in re.findall(r"(?:[^,\[]|\[[^\]]*\])+", nodelist) for host in _expanded(part)]


def _expanded(pattern: str) -> Iterator[str]:
    match = re.search(r"\[([^\]]*)\]", pattern)
    if match is None:
        yield pattern
        return
    before, after = pattern[: match.start()], pattern[match.end() :]
    for item in match[1].split(","):
        first, _, last = item.partition("-")
        for n in range(int(first), int(last or first) + 1):
            for rest in _expanded(after):
                yield f"{before}{n:0{len(first)}d}{rest}"
