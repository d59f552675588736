"""Who a process is, read from its environment before MPI is touched.

Runs on: every rank. Pure: functions of environment tables.
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


def least_ranks(*, grows: bool) -> int:
    """Return how many ranks a world needs; the workers of one that grows may come later."""
    return MIN_RANKS - grows


#: Set for the ranks that a launcher of ours starts, to its name, so that none of them ever launches again.
LAUNCHED = "DASKMPI_LAUNCHED"

#: Names the file into which rank 1 writes its exit code, for whoever cannot get it from a launcher.
EXIT_CODE_FILE = "DASKMPI_EXIT_CODE_FILE"


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

    @property
    def speaks(self) -> bool:
        """Whether this rank says what all have met: rank 1 does, which is the user's, or rank 0 where it is alone."""
        return self.rank == min(1, self.size - 1)


#: Rank and size as each kind of mpiexec writes them, the more specific first. PMI_* are
#: MPICH's and Intel MPI's, and also those of ``srun --mpi=pmi2``.
_SEAT_VARIABLES = (
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "Open MPI's mpiexec"),
    ("PMI_RANK", "PMI_SIZE", "mpiexec"),
)

#: Steps that no ``srun`` of a program made: the interactive shell of ``salloc``, and the batch script.
_SHELL_STEPS = ("4294967290", "4294967291")


def in_step(environ: Mapping[str, str]) -> bool:
    """Say whether ``srun`` started this process, alone or as one of several."""
    return environ.get("SLURM_STEP_ID", _SHELL_STEPS[0]) not in _SHELL_STEPS


def seat_of(environ: Mapping[str, str]) -> Seat | None:
    """Return a process's seat, or None if no launcher of several processes started it.

    A batch script has SLURM_PROCID too, but no step; a step of one task (an interactive
    shell, for instance) is no world. Within an allocation, mpiexec starts its helpers by srun:
    whose place it is shows where the numbers of both differ.

    >>> seat_of({"PMI_RANK": "2", "PMI_SIZE": "6"})
    Seat(rank=2, size=6, said_by='mpiexec')
    >>> seat_of({"SLURM_PROCID": "0", "SLURM_NTASKS": "5"}) is None
    True
    """
    by_srun = None
    if in_step(environ) and int(environ.get("SLURM_STEP_NUM_TASKS", "1")) > 1:
        by_srun = Seat(int(environ["SLURM_PROCID"]), int(environ["SLURM_STEP_NUM_TASKS"]), "srun")
    for rank_name, size_name, said_by in _SEAT_VARIABLES:
        if rank_name in environ and size_name in environ:
            seat = Seat(int(environ[rank_name]), int(environ[size_name]), said_by)
            if seat.size == 1 and "SLURM_STEP_ID" in environ:
                return None
            is_sruns = by_srun is not None and (seat.rank, seat.size) == (by_srun.rank, by_srun.size)
            return by_srun if is_sruns else seat
    return by_srun


def n_components(environ: Mapping[str, str]) -> int:
    """Return the number of components of the allocation, 1 if it is homogeneous."""
    return int(environ.get("SLURM_HET_SIZE", "1"))


@dataclass(frozen=True, slots=True)
class Allocation:
    """The Slurm job that a process is in, as ``srun`` would start tasks over all of it."""

    job_id: str
    #: By component.
    n_tasks: tuple[int, ...]
    #: By component, None where the user did not ask.
    cpus_per_task: tuple[int | None, ...]
    #: Whether this process is on one of its nodes, not a shell of ``salloc`` elsewhere.
    is_here: bool

    @property
    def n_ranks(self) -> int:
        """Tasks of all components."""
        return sum(self.n_tasks)


def allocation_of(environ: Mapping[str, str]) -> Allocation | None:
    """Return the allocation that a process is in, None outside of one.

    >>> allocation_of({"SLURM_JOB_ID": "7", "SLURM_NTASKS": "6", "SLURM_CPUS_PER_TASK": "2", "SLURMD_NODENAME": "n1"})
    Allocation(job_id='7', n_tasks=(6,), cpus_per_task=(2,), is_here=True)
    """
    if "SLURM_JOB_ID" not in environ:
        return None
    many = n_components(environ) > 1
    suffixes = [f"_HET_GROUP_{n}" for n in range(n_components(environ))] if many else [""]

    def number(suffix: str, *names: str) -> int | None:
        found = (environ[name + suffix] for name in names if name + suffix in environ)
        return next(map(int, found), None)

    # Without a number of tasks, srun starts one for each node.
    tasks = [number(s, "SLURM_NTASKS", "SLURM_NPROCS", "SLURM_JOB_NUM_NODES", "SLURM_NNODES") for s in suffixes]
    return Allocation(
        job_id=environ["SLURM_JOB_ID"],
        n_tasks=tuple(n or 1 for n in tasks),
        cpus_per_task=tuple(number(s, "SLURM_CPUS_PER_TASK") for s in suffixes),
        is_here="SLURMD_NODENAME" in environ,
    )


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


def served_components(text: str | None, component: int | None) -> tuple[str, ...] | None:
    """Return whose jobs the workers of a component take, from ``--daskmpi-components``; None for all jobs.

    Parts are in Slurm's order, and a single one is for all workers. ``any`` stands for jobs that ask for
    no component; an empty part serves nothing. Outside of a hetjob (``component`` is None) several parts
    make no difference.

    >>> served_components("head,any+big,gpu", 1), served_components(",any", 0), served_components("any", None)
    (('', 'big'), (), ('',))
    """
    if text is None:
        return None
    names = [[name.strip() for name in part.split("+")] for part in text.split(",")]
    parts = [tuple("" if name == "any" else name for name in part if name) for part in names]
    if len(parts) == 1:
        return parts[0]
    return None if component is None else parts[component]


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
