"""What a job asks for, what a worker offers, and whether the one fits the other.

Runs on: rank 1 (requests) and ranks >= 2 (offers). Pure data.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields, replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from snakemake_executor_plugin_daskmpi.annotations.asked import Asked, number, text
from snakemake_executor_plugin_daskmpi.annotations.sbatch_options import extra_of, gres_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: What :class:`Steering` reads: it tells jobs to workers of a component where components are named.
STEERING_RESOURCE_NAMES = frozenset(
    {"slurm_partition", "partition", "slurm_account", "account", "constraint", "slurm_qos", "qos"}
    | {"gpu_model", "gres", "slurm_gres", "slurm_extra"},
)
#: Resources that steer other executors. They are accepted and have no effect here.
FOREIGN_RESOURCE_PREFIXES = ("slurm_", "lsf_", "sge_", "pbs_", "htcondor_", "flux_", "k8s_", "googlebatch_")
FOREIGN_RESOURCE_NAMES = STEERING_RESOURCE_NAMES | {
    *("tasks_per_gpu", "cluster", "clusters", "nodes", "machine_type", "reservation", "exclusive"),
    # Of profiles for other ways to submit.
    *("walltime", "time", "mem_gb", "cpus", "ntasks", "ntasks_per_node", "queue"),
}
#: One of each is what a job has here, too.
_COUNTS = frozenset({"nodes", "cpus", "ntasks", "ntasks_per_node", "tasks_per_gpu"})


@dataclass(frozen=True, slots=True)
class JobResources:
    """What one job asks of the worker that runs it."""

    #: CPU cores: ``threads``, or ``cpus_per_task`` if given, of each task. 0 for jobs with ``threads: 0``.
    cores: int = 1
    #: Memory in MB, from ``mem_mb_per_cpu``, ``mem_mb`` or ``mem``; 0 if the rule does not say.
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

    def stated(self) -> dict[str, Any]:
        """Return what differs from the defaults, by name.

        >>> JobResources(cores=4, mem_mb=2000).stated()
        {'cores': 4, 'mem_mb': 2000}
        """
        values = ((each.name, getattr(self, each.name), each.default) for each in fields(self) if each.repr)
        return {name: value for name, value, default in values if value != default}

    @classmethod
    def of(cls, resources: Mapping[str, object]) -> JobResources:
        """Read the resources of a Snakemake job (``job.resources``).

        Snakemake has turned sizes and times written in words into ``*_mb`` and minutes before. A value that is not a
        number yet (``<TBD>``) counts as not given. What is said twice counts as with Snakemake's slurm executor: memory
        per CPU before memory, and what ``slurm_extra`` says before all.

        >>> JobResources.of({"_cores": 4, "mem_mb": 2000, "gpu": 1, "lsf_queue": "x"})
        JobResources(cores=4, mem_mb=2000, disk_mb=0, gpus=1, runtime_min=None, component='', tasks=1, spans=False)
        >>> JobResources.of({"_cores": 2, "tasks": 8, "mpi": "srun --mpi=pmi2"})
        JobResources(cores=16, mem_mb=0, disk_mb=0, gpus=0, runtime_min=None, component='', tasks=8, spans=True)
        >>> JobResources.of({"_cores": 2, "mem_mb": 1000, "mem_mb_per_cpu": 800, "gres": "gpu:1"})
        JobResources(cores=2, mem_mb=1600, disk_mb=0, gpus=1, runtime_min=None, component='', tasks=1, spans=False)
        """
        asked = Asked.of(resources)
        # Which task would get which GPU, srun does not say.
        can_span = asked.tasks > 1 and asked.cores > 0 and not asked.gpus
        return cls(
            cores=asked.cores,
            mem_mb=asked.mem_mb,
            disk_mb=number(resources.get("disk_mb")),
            gpus=asked.gpus,
            runtime_min=asked.runtime_min or None,
            component=Steering.of(resources).component,
            tasks=asked.tasks,
            spans=can_span and mpi_program(str(resources.get("mpi", ""))) == "srun",
        )


def says_memory(resources: Mapping[str, object]) -> bool:
    """Say whether a job's resources tell how much memory it needs, be it none."""
    return isinstance(resources.get("mem_mb"), (int, float)) or JobResources.of(resources).mem_mb > 0


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
    #: ``slurm_extra``: further arguments of sbatch. Neither this nor ``gres`` has what :class:`JobResources` reads.
    extra: str = ""

    @classmethod
    def of(cls, resources: Mapping[str, object]) -> Steering:
        """Read the resources of a Snakemake job.

        >>> Steering.of({"slurm_partition": "gpu", "mem_mb": 10})
        Steering(own='', partition='gpu', account='', constraint='', qos='', gpu_model='', gres='', extra='')
        """
        gres, extra = gres_of(text(resources, "gres", "slurm_gres")), extra_of(text(resources, "slurm_extra"))
        return cls(
            own=text(resources, "daskmpi_component"),
            partition=text(resources, "slurm_partition", "partition"),
            account=text(resources, "slurm_account", "account"),
            constraint=text(resources, "constraint"),
            qos=text(resources, "slurm_qos", "qos"),
            gpu_model=text(resources, "gpu_model") or extra.gpu_model or gres.gpu_model,
            gres=gres.rest,
            extra=extra.rest,
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


def foreign_resources(resources: Mapping[str, object], *, steered: bool = False) -> dict[str, str]:
    """Return what only other executors act on, by the resource that says it; with ``steered``, components are named.

    The values are the parts that have no effect, "" for all of the resource.

    >>> foreign_resources({"mem_mb": 1, "slurm_partition": "x", "lsf_queue": "y", "gres": "gpu:1"})
    {'lsf_queue': '', 'slurm_partition': ''}
    >>> foreign_resources({"slurm_partition": "x", "slurm_extra": "--gpus=1 --nice=9", "lsf_queue": "y"}, steered=True)
    {'lsf_queue': ''}
    >>> foreign_resources({"slurm_extra": "--gpus=1 --nice=9"})
    {'slurm_extra': '--nice=9'}
    >>> foreign_resources({"nodes": 1, "constraint": "", "slurm_requeue": 0})
    {}
    """
    names = {n for n in resources if n in FOREIGN_RESOURCE_NAMES or n.startswith(FOREIGN_RESOURCE_PREFIXES)}
    names = {n for n in names if resources[n] and not (n in _COUNTS and number(resources[n]) == 1)}
    if steered:
        names -= STEERING_RESOURCE_NAMES
    if number(resources.get("tasks_per_node")):
        names.discard("nodes")
    found = dict.fromkeys(sorted(names), "")
    steering = Steering.of(resources)
    for name, rest in (("gres", steering.gres), ("slurm_gres", steering.gres), ("slurm_extra", steering.extra)):
        if name in found and rest != str(resources[name]).strip():
            found[name] = rest
            if not rest:
                del found[name]
    return found


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
