"""What a job asks for, what a worker offers, and whether the one fits the other.

Runs on: rank 1 (requests) and ranks >= 2 (offers). Pure data.
Called by: executor, placement, worker.limits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Names under which rules ask for GPUs, in the order in which they are looked up.
GPU_RESOURCE_NAMES = ("gpu", "gpus", "nvidia_gpu")

#: What :class:`Steering` reads: it tells jobs to workers of a component where components are named.
STEERING_RESOURCE_NAMES = frozenset(
    {"slurm_partition", "partition", "slurm_account", "account", "constraint", "slurm_qos", "qos"}
    | {"gpu_model", "gres", "slurm_gres", "slurm_extra"},
)
#: Resources that steer other executors. They are accepted and have no effect here.
FOREIGN_RESOURCE_PREFIXES = ("slurm_", "lsf_", "sge_", "pbs_", "htcondor_", "flux_", "k8s_", "googlebatch_")
FOREIGN_RESOURCE_NAMES = STEERING_RESOURCE_NAMES | {
    *("tasks_per_gpu", "cpus_per_gpu", "clusters", "nodes", "machine_type", "reservation", "exclusive"),
}


@dataclass(frozen=True, slots=True)
class JobResources:
    """What one job asks of the worker that runs it."""

    #: CPU cores: ``threads``, or ``cpus_per_task`` if given, of each task. 0 for jobs with ``threads: 0``.
    cores: int = 1
    #: Memory in MB, from ``mem_mb`` or ``mem``; 0 if the rule does not say.
    mem_mb: int = 0
    #: Scratch space in MB, from ``disk_mb`` or ``disk``; 0 if the rule does not say.
    disk_mb: int = 0
    #: Number of whole GPUs.
    gpus: int = 0
    #: Expected minutes from ``runtime``; None if the rule does not say.
    runtime_min: int | None = None
    #: Kind of worker that it has to go to, see :attr:`Steering.component`; "" for any that takes such jobs.
    component: str = ""
    #: Tasks (ranks) of its MPI program, among which cores, memory and scratch space are split evenly.
    tasks: int = 1
    #: Whether the tasks may lie on several workers: ``srun`` starts them.
    spans: bool = False
    #: What counts against ``--cores`` where that is more than its cores: it asked for more than there was found to be.
    counted_cores: int = field(default=0, repr=False)

    @classmethod
    def of(cls, resources: Mapping[str, object]) -> JobResources:
        """Read the resources of a Snakemake job (``job.resources``).

        Snakemake has turned sizes and times written in words into ``*_mb`` and minutes
        before. A value that is not a number yet (``<TBD>``) counts as not given.

        >>> JobResources.of({"_cores": 4, "mem_mb": 2000, "gpu": 1, "lsf_queue": "x"})
        JobResources(cores=4, mem_mb=2000, disk_mb=0, gpus=1, runtime_min=None, component='', tasks=1, spans=False)
        >>> JobResources.of({"_cores": 2, "tasks": 8, "mpi": "srun --mpi=pmi2"})
        JobResources(cores=16, mem_mb=0, disk_mb=0, gpus=0, runtime_min=None, component='', tasks=8, spans=True)
        """
        gpus = next((n for name in GPU_RESOURCE_NAMES if (n := _number(resources.get(name)))), 0)
        tasks = max(1, _number(resources.get("tasks")))
        asked = _number(resources.get("cpus_per_task"))
        # Negative is how the slurm executor says "not given".
        cores_per_task = asked if asked > 0 else _number(resources.get("_cores"))
        # Which task would get which GPU, srun does not say.
        can_span = tasks > 1 and cores_per_task > 0 and not gpus
        return cls(
            cores=tasks * cores_per_task,
            mem_mb=_number(resources.get("mem_mb")),
            disk_mb=_number(resources.get("disk_mb")),
            gpus=gpus,
            runtime_min=_number(resources.get("runtime")) or None,
            component=Steering.of(resources).component,
            tasks=tasks,
            spans=can_span and mpi_program(str(resources.get("mpi", ""))) == "srun",
        )


def mpi_program(launcher: str) -> str:
    """Return the program in a rule's ``resources.mpi``, which may have further words.

    >>> mpi_program("/opt/slurm/bin/srun --mpi=pmix")
    'srun'
    """
    return PurePath(next(iter(launcher.split()), "")).name


@dataclass(frozen=True, slots=True)
class Steering:
    """What a rule says about where in a Slurm site its jobs belong, as its author wrote it for Slurm."""

    #: ``daskmpi_component``: a component of the rule's own, by a name of the user's choice.
    own: str = ""
    #: ``slurm_partition`` or ``partition``.
    partition: str = ""
    #: ``slurm_account`` or ``account``.
    account: str = ""
    constraint: str = ""
    qos: str = ""
    gpu_model: str = ""
    gres: str = ""
    #: ``slurm_extra``: further arguments of sbatch.
    extra: str = ""

    @classmethod
    def of(cls, resources: Mapping[str, object]) -> Steering:
        """Read the resources of a Snakemake job.

        >>> Steering.of({"slurm_partition": "gpu", "mem_mb": 10})
        Steering(own='', partition='gpu', account='', constraint='', qos='', gpu_model='', gres='', extra='')
        """

        def word(*names: str) -> str:
            found = (value for name in names if (value := resources.get(name)) is not None)
            return str(next(found, "")).strip()

        return cls(
            own=word("daskmpi_component"),
            partition=word("slurm_partition", "partition"),
            account=word("slurm_account", "account"),
            constraint=word("constraint"),
            qos=word("slurm_qos", "qos"),
            gpu_model=word("gpu_model"),
            gres=word("gres", "slurm_gres"),
            extra=word("slurm_extra"),
        )

    @property
    def component(self) -> str:
        """The name of the component that such jobs go to: the user's, or one made of what is asked; "" for any.

        Both the plan and the placement derive it from the rule alone, so that they agree.

        >>> Steering(partition="gpu", constraint="a100&nvlink").component
        'gpu-a100-nvlink'
        >>> Steering(own="big", partition="gpu").component
        'big'
        """
        if self.own:
            return self.own
        asked = (self.partition, self.account, self.constraint, self.qos, self.gpu_model, self.gres, self.extra)
        return "-".join(part for text in asked if (part := re.sub(r"[^\w.]+", "-", text).strip("-")))


#: What a job asks for at most, whatever its rule says: ``float("inf")`` has to be a number, too.
_MOST = 2**62
#: Offered where the user does not say how much scratch space a worker has: more than anyone asks.
UNLIMITED_DISK_MB = 2**53


@dataclass(frozen=True, slots=True)
class WorkerResources:
    """What one worker rank offers to all jobs that run on it at a time."""

    #: Ids of its CPU cores, as ``os.sched_getaffinity`` numbers them where they are real.
    cores: tuple[int, ...]
    #: Memory in MB.
    mem_mb: int
    #: Scratch space in MB.
    disk_mb: int
    #: Ids of its GPUs, as ``CUDA_VISIBLE_DEVICES`` writes them (numbers or UUIDs).
    gpus: tuple[str, ...] = ()
    #: Which of these were only guessed, by the names of :func:`shortfalls`: neither the user nor Slurm said so.
    guessed: tuple[str, ...] = ()
    #: Components whose jobs it takes, "" standing for jobs that ask for none; None if it takes all.
    components: tuple[str, ...] | None = None


def foreign_resources(names: set[str], *, steered: bool = False) -> set[str]:
    """Return those names that only other executors act on; with ``steered``, components are named here.

    >>> sorted(foreign_resources({"mem_mb", "slurm_partition", "lsf_queue"}))
    ['lsf_queue', 'slurm_partition']
    >>> sorted(foreign_resources({"mem_mb", "slurm_partition", "lsf_queue"}, steered=True))
    ['lsf_queue']
    """
    foreign = {n for n in names if n in FOREIGN_RESOURCE_NAMES or n.startswith(FOREIGN_RESOURCE_PREFIXES)}
    return foreign - STEERING_RESOURCE_NAMES if steered else foreign


def shortfalls(job: JobResources, worker: WorkerResources) -> list[tuple[str, int, int]]:
    """Return ``(resource, asked, offered)`` for all that an *idle* worker lacks for a job, components aside.

    >>> shortfalls(JobResources(cores=8), WorkerResources(cores=(0, 1), mem_mb=1000, disk_mb=10))
    [('threads', 8, 2)]
    """
    pairs = [
        ("threads", job.cores, len(worker.cores)),
        ("mem_mb", job.mem_mb, worker.mem_mb),
        ("disk_mb", job.disk_mb, worker.disk_mb),
        ("gpu", job.gpus, len(worker.gpus)),
    ]
    return [(name, asked, offered) for name, asked, offered in pairs if asked > offered]


def serves(worker: WorkerResources, component: str) -> bool:
    """Say whether a worker takes jobs of a component."""
    return worker.components is None or component in worker.components


def fits(job: JobResources, worker: WorkerResources) -> bool:
    """Say whether an *idle* worker could hold a job."""
    return serves(worker, job.component) and not shortfalls(job, worker)


def shrunk(wish: JobResources, floor: JobResources, offers: Iterable[WorkerResources]) -> JobResources:
    """Return as much of a wish, but no less than a floor, as the best worker offers; the floor if none holds even that.

    A group of jobs wishes that all of them run at the same time, and is content with the largest of them. A job that
    asks for more than was guessed to be there gets all of that, as with Snakemake's local executor.

    >>> offer = WorkerResources(cores=(0, 1, 2, 3), mem_mb=4000, disk_mb=10)
    >>> shrunk(JobResources(cores=16, mem_mb=3200), JobResources(cores=1, mem_mb=200), [offer]).cores
    4
    >>> shrunk(JobResources(cores=8), JobResources(cores=8), [replace(offer, guessed=("threads",))]).cores
    4
    """
    best, best_rank = floor, (-9, 0, 0, 0)
    for offer in offers:
        short = [name for name, _, _ in shortfalls(floor, offer)]
        if not serves(offer, floor.component) or not set(short).issubset(offer.guessed):
            continue
        within = replace(
            wish,
            cores=_clamped(wish.cores, floor.cores, len(offer.cores), guessed="threads" in short),
            mem_mb=_clamped(wish.mem_mb, floor.mem_mb, offer.mem_mb, guessed="mem_mb" in short),
            disk_mb=_clamped(wish.disk_mb, floor.disk_mb, offer.disk_mb, guessed=False),
            gpus=_clamped(wish.gpus, floor.gpus, len(offer.gpus), guessed="gpu" in short),
            counted_cores=floor.cores if "threads" in short else 0,
        )
        rank = (-len(short), within.cores, within.mem_mb, within.gpus)
        if rank > best_rank:
            best, best_rank = within, rank
    return best


def _clamped(wish: int, floor: int, offered: int, *, guessed: bool) -> int:
    """Return a wish or as much as is offered, but no less than a floor unless the offer is guessed."""
    return offered if guessed else max(floor, min(wish, offered))


def _number(value: object) -> int:
    """Return a resource value as a whole number that can be asked for, 0 where it is not one (yet).

    >>> [_number(value) for value in (3, 2.7, -1, "<TBD>", True, float("nan"))]
    [3, 2, 0, 0, 0, 0]
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        return 0
    # More than anyone has, so that it is refused.
    return int(min(value, _MOST))
