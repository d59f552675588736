"""What a worker rank offers: cores, memory, disk, GPUs.

Runs on: ranks >= 2, once, before the Dask worker starts.
Called by: world.bootstrap, world.serve.

What the user says comes first, then what Slurm gave the rank's own component, then what the
process may use, shared among the workers of its host.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from snakemake_executor_plugin_daskmpi.resources import UNLIMITED_DISK_MB, WorkerResources
from snakemake_executor_plugin_daskmpi.world import roles

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from snakemake_executor_plugin_daskmpi.settings import Settings

_T = TypeVar("_T")

#: Part of a host's or cgroup's memory that its workers offer together; the rest is for the
#: ranks themselves, rank 0 and 1, and the system.
_OFFERED_PART_OF_MEMORY = 0.75


@dataclass(frozen=True, slots=True)
class Share:
    """Which of the workers of its host this one is."""

    #: 0 … ``of`` - 1.
    index: int = 0
    of: int = 1

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


def offer_of(settings: Settings, environ: Mapping[str, str], share: Share) -> WorkerResources:
    """Return what the worker in this process offers."""
    cores = cores_of(settings.cores, environ, sorted(os.sched_getaffinity(0)), share)
    return WorkerResources(
        cores=cores,
        mem_mb=settings.mem_mb or memory_mb(environ, len(cores), host_memory_mb(), share),
        disk_mb=UNLIMITED_DISK_MB if settings.disk_mb is None else settings.disk_mb,
        gpus=gpus_of(settings.gpus, environ, share),
    )


def cores_of(asked: int | None, environ: Mapping[str, str], affinity: list[int], share: Share) -> tuple[int, ...]:
    """Return the ids of a worker's cores.

    Ids beyond the real ones (a worker that offers more cores than it has) count on from them.

    >>> cores_of(None, {}, [0, 1, 2, 3], Share(1, 2))
    (2, 3)
    >>> cores_of(4, {}, [0, 1], Share(1, 2))
    (1, 2, 3, 4)
    """
    given = roles.slurm_value(environ, "SLURM_CPUS_PER_TASK") if "SLURM_STEP_ID" in environ else None
    number = asked or (int(given) if given else None)
    # A task that sees just what it was given was bound to its own cores by srun.
    mine = affinity if given and len(affinity) == int(given) else share.slice_of(affinity)
    if number is None:
        return tuple(mine)
    beyond = range(max(affinity) + 1, max(affinity) + 1 + number)
    return tuple([*mine, *beyond][:number])


def memory_mb(environ: Mapping[str, str], n_cores: int, host_mb: int, share: Share) -> int:
    """Return a worker's memory in MB.

    >>> memory_mb({"SLURM_STEP_ID": "0", "SLURM_MEM_PER_CPU": "3072"}, 4, 64000, Share())
    12288
    >>> memory_mb({}, 4, 64000, Share(0, 2))
    24000
    """
    if "SLURM_STEP_ID" in environ:
        # 0 stands for all of the node's memory.
        if per_cpu := int(roles.slurm_value(environ, "SLURM_MEM_PER_CPU") or 0):
            return per_cpu * n_cores
        if per_node := int(roles.slurm_value(environ, "SLURM_MEM_PER_NODE") or 0):
            return per_node // share.of
    return int(host_mb * _OFFERED_PART_OF_MEMORY) // share.of


def host_memory_mb() -> int:
    """Return the memory that this process's cgroup, else its host, has in MB."""
    import psutil

    total: int = psutil.virtual_memory().total
    limits = [total]
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(file).read_text().strip()
        except OSError:
            continue
        if text.isdigit():
            limits.append(int(text))
    return min(limits) // 1_000_000


def gpus_of(asked: str | None, environ: Mapping[str, str], share: Share) -> tuple[str, ...]:
    """Return the ids of a worker's GPUs.

    Slurm with ``--gpus-per-task`` shows each rank its own; else all ranks of a host see the
    same ones and share them out.

    >>> gpus_of(None, {"CUDA_VISIBLE_DEVICES": "0,1,2,3"}, Share(1, 2))
    ('2', '3')
    """
    if asked is not None:
        return _ids(asked)
    for name in ("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "SLURM_JOB_GPUS"):
        if name in environ:
            ids = _ids(environ[name])
            if roles.slurm_value(environ, "SLURM_GPUS_PER_TASK") is not None:
                return ids
            # Unlike cores, a GPU is never given to two workers.
            return tuple(share.slice_of(ids)) if len(ids) >= share.of else ids[share.index : share.index + 1]
    return ()


def _ids(text: str) -> tuple[str, ...]:
    """Split a list of GPU ids; ``-1`` and ``NoDevFiles`` stand for none."""
    ids = [part.strip() for part in text.split(",")]
    return tuple(i for i in ids if i and i not in ("-1", "NoDevFiles"))
