"""What a worker rank offers: cores, memory, disk, GPUs.

Runs on: ranks >= 2, once, before the Dask worker starts.

What the user says comes first, then what Slurm gave the rank's own component, then what the
process may use, shared among the workers of its host.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from snakemake_executor_plugin_daskmpi.rank import roles
from snakemake_executor_plugin_daskmpi.resources import UNLIMITED_DISK_MB, WorkerResources
from snakemake_executor_plugin_daskmpi.worker.memory.cgroup import Cgroup

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from snakemake_executor_plugin_daskmpi.settings.flags import Settings

_T = TypeVar("_T")

#: Environment variables that name the GPUs that a process may use, in the order in which they are looked up.
_GPU_VARIABLES = ("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "SLURM_JOB_GPUS")

#: Part of a host's or cgroup's memory that its workers offer together; the rest is for the
#: ranks themselves, rank 0 and 1, and the system.
_OFFERED_PART_OF_MEMORY = 0.75


@dataclass(frozen=True, slots=True)
class Share:
    """Which of the workers of its host this one is."""

    #: 0 … ``of`` - 1.
    index: int = 0
    of: int = 1
    #: Ranks of the host that are no workers.
    others: int = 0

    def slice_of(self, things: Sequence[_T]) -> list[_T]:
        """Return this worker's part of things that all workers of the host see, as even as can be.

        With fewer things than workers, workers double up: nobody goes without.

        >>> Share(1, 2).slice_of([0, 1, 2, 3, 4])
        [3, 4]
        >>> Share(2, 4).slice_of([0, 1])
        [0]
        """
        if len(things) < self.of:
            return [things[self.index % len(things)]] if things else []
        each, more = divmod(len(things), self.of)
        first = self.index * each + min(self.index, more)
        return list(things[first : first + each + (self.index < more)])


def share_of(rank: int, hosts: Sequence[str]) -> Share:
    """Return which of the workers of its host a rank is, given the hosts of all ranks."""
    everyone = [r for r, host in enumerate(hosts) if host == hosts[rank]]
    workers = [r for r in everyone if roles.Role.of(r) is roles.Role.WORKER]
    return Share(workers.index(rank), len(workers), others=len(everyone) - len(workers))


def offer_of(
    settings: Settings, environ: Mapping[str, str], share: Share, host_cores: int | None = None
) -> WorkerResources:
    """Return what the worker in this process offers.

    Parameters
    ----------
    host_cores
        How many cores the workers of this host offer together if the user said so (``--cores``).
    """
    affinity = sorted(os.sched_getaffinity(0))
    if host_cores is not None:
        affinity = [*affinity, *range(max(affinity) + 1, max(affinity) + 1 + host_cores)][:host_cores]
    component = roles.own_component(environ) if roles.in_step(environ) else None
    return WorkerResources(
        cores=cores_of(settings.cores, environ, affinity, share),
        mem_mb=settings.mem_mb
        or memory_mb(environ, len(cores_of(None, environ, affinity, share)), host_memory_mb(), share),
        disk_mb=UNLIMITED_DISK_MB if settings.disk_mb is None else settings.disk_mb,
        gpus=gpus_of(settings.gpus, environ, share),
        guessed=guessed(settings, environ),
        components=roles.served_components(settings.components, component),
    )


def guessed(settings: Settings, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the resources of a worker that neither the user nor Slurm has specified.

    >>> from types import SimpleNamespace
    >>> guessed(SimpleNamespace(cores=4, mem_mb=None, gpus=None), {"CUDA_VISIBLE_DEVICES": "0"})
    ('mem_mb',)
    """
    if _on_node(environ):
        return ()
    told = {"threads": settings.cores, "mem_mb": settings.mem_mb, "gpu": settings.gpus}
    named = [*told] if not any(name in environ for name in _GPU_VARIABLES) else ["threads", "mem_mb"]
    return tuple(name for name in named if told[name] is None)


def cores_of(asked: int | None, environ: Mapping[str, str], affinity: list[int], share: Share) -> tuple[int, ...]:
    """Return the ids of a worker's cores.

    Ids beyond the real ones (a worker that offers more cores than it has) count on from them.

    >>> cores_of(None, {}, [0, 1, 2, 3], Share(1, 2))
    (2, 3)
    >>> cores_of(4, {}, [0, 1], Share(1, 2))
    (1, 2, 3, 4)
    """
    given = int((_on_node(environ) and roles.slurm_value(environ, "SLURM_CPUS_PER_TASK")) or 0)
    beyond = range(max(affinity) + 1, max(affinity) + 1 + max(given, asked or 0, cpus := _cpus_on_node(environ)))
    if given and len(affinity) == given:
        # A task that sees just what it was given was bound to its own cores by srun.
        mine = affinity
    else:
        # Slurm's numbers count, not the affinity: many sites do not confine tasks that they do not bind.
        common = [*affinity, *beyond][:cpus] if cpus else affinity
        # Without a number of CPUs for each task, the ranks that are no workers keep one each, as is Slurm's default.
        kept = 0 if given or not cpus or len(common) < share.of + share.others else share.others
        mine = share.slice_of(common[kept:])
        if given and not cpus:
            mine = [*mine, *beyond]
        # srun may put more tasks on a node than fit there, if it was not told how large they are.
        mine = mine[: given or None]
    return tuple([*mine, *(core for core in beyond if core not in mine)][:asked] if asked else mine)


def memory_mb(environ: Mapping[str, str], n_cores: int, host_mb: int, share: Share) -> int:
    """Return the memory in MB of a worker that Slurm gave so many cores.

    >>> memory_mb({"SLURM_JOB_ID": "1", "SLURMD_NODENAME": "n1", "SLURM_MEM_PER_CPU": "3072"}, 4, 64000, Share())
    12288
    >>> memory_mb({}, 4, 64000, Share(0, 2))
    24000
    """
    if _on_node(environ):
        # 0 stands for all of the node's memory.
        if per_cpu := int(roles.slurm_value(environ, "SLURM_MEM_PER_CPU") or 0):
            return per_cpu * n_cores
        if per_node := int(roles.slurm_value(environ, "SLURM_MEM_PER_NODE") or 0):
            # Ranks that are no workers count as one core each.
            return per_node * n_cores // (n_cores * share.of + share.others)
    return int(host_mb * _OFFERED_PART_OF_MEMORY) // share.of


def _on_node(environ: Mapping[str, str]) -> bool:
    """Say whether this process is on a node of a Slurm allocation, so that Slurm's numbers are about it."""
    return "SLURM_JOB_ID" in environ and "SLURMD_NODENAME" in environ


def _cpus_on_node(environ: Mapping[str, str]) -> int:
    """Return the number of CPUs that Slurm gave on this node, 0 if it does not say."""
    return int(environ.get("SLURM_CPUS_ON_NODE", 0)) if _on_node(environ) else 0


def host_memory_mb() -> int:
    """Return the memory that this process's cgroup, else its host, has in MB."""
    import psutil

    host_mb = int(psutil.virtual_memory().total) // 1_000_000
    limit = Cgroup.own().limit()
    return host_mb if limit is None else min(host_mb, limit[0])


def gpus_of(asked: str | None, environ: Mapping[str, str], share: Share) -> tuple[str, ...]:
    """Return the ids of a worker's GPUs.

    Slurm with ``--gpus-per-task`` shows each rank its own; else all ranks of a host see the
    same ones and share them out.

    >>> gpus_of(None, {"CUDA_VISIBLE_DEVICES": "0,1,2,3"}, Share(1, 2))
    ('2', '3')
    """
    if asked is not None:
        return _ids(asked)
    for name in _GPU_VARIABLES:
        if name in environ:
            ids = _ids(environ[name])
            if roles.in_step(environ) and roles.slurm_value(environ, "SLURM_GPUS_PER_TASK") is not None:
                return ids
            # Unlike cores, a GPU is never given to two workers.
            return tuple(share.slice_of(ids)) if len(ids) >= share.of else ids[share.index : share.index + 1]
    return ()


def _ids(text: str) -> tuple[str, ...]:
    """Split a list of GPU ids; ``-1`` and ``NoDevFiles`` stand for none."""
    ids = [part.strip() for part in text.split(",")]
    return tuple(i for i in ids if i and i not in ("-1", "NoDevFiles"))
