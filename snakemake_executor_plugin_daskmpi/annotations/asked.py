"""What the resources of a rule come to in cores, memory and GPUs, whichever way they are asked for.

Runs on: rank 1, the login node. Pure.

What is said twice counts as with Snakemake's slurm executor plugin: memory per CPU before memory, and what
``slurm_extra`` says, which comes last on the command line of ``sbatch``, before all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.annotations.sbatch_options import Options, extra_of, gres_of

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Names under which rules ask for GPUs, in the order in which they are looked up.
GPU_RESOURCE_NAMES = ("gpu", "gpus", "nvidia_gpu")
#: What a job asks for at most, whatever its rule says: ``float("inf")`` has to be a number, too.
MOST = 2**62


@dataclass(frozen=True, slots=True)
class Asked:
    """What one job asks for, in all; 0 where it does not say."""

    cores: int
    mem_mb: int
    gpus: int
    runtime_min: int
    #: At least 1.
    tasks: int

    @classmethod
    def of(cls, resources: Mapping[str, object]) -> Asked:
        """Read the resources of a Snakemake job.

        >>> Asked.of({"_cores": 2, "mem_mb": 1000, "mem_mb_per_cpu": 800, "slurm_extra": "--gpus=a100:1 --time=90"})
        Asked(cores=2, mem_mb=1600, gpus=1, runtime_min=90, tasks=1)
        """
        extra = extra_of(text(resources, "slurm_extra"))
        tasks = _tasks(resources, extra)
        gpus = min(_gpus(resources, extra, tasks), MOST)
        cores = min(tasks * _cores_per_task(resources, extra, tasks, gpus), MOST)
        mem_mb = min(_mem_mb(resources, extra, max(1, cores), gpus), MOST)
        return cls(cores, mem_mb, gpus, extra.runtime_min or number(resources.get("runtime")), tasks)


def text(resources: Mapping[str, object], *names: str) -> str:
    """Return the first of some resources that is given, as text."""
    found = (value for name in names if (value := resources.get(name)) is not None)
    return str(next(found, "")).strip()


def number(value: object) -> int:
    """Return a resource value as a whole number that can be asked for, 0 where it is not one (yet).

    >>> [number(value) for value in (3, 2.7, "2", -1, "<TBD>", True, float("nan"))]
    [3, 2, 2, 0, 0, 0, 0]
    """
    if isinstance(value, str) and re.fullmatch(r"\s*[0-9]{1,300}(\.[0-9]*)?\s*", value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        return 0
    # More than anyone has, so that it is refused.
    return int(min(value, MOST))


def _tasks(resources: Mapping[str, object], extra: Options) -> int:
    """Return how many tasks a job has."""
    tasks = extra.tasks or number(resources.get("tasks"))
    if not tasks:
        per_node = extra.tasks_per_node or number(resources.get("tasks_per_node"))
        tasks = per_node * max(1, number(resources.get("nodes")))
    return min(max(1, tasks), MOST)


def _gpus(resources: Mapping[str, object], extra: Options, tasks: int) -> int:
    """Return how many GPUs a job asks for, in all."""
    if extra.gpus or extra.gpus_per_task:
        return extra.gpus or extra.gpus_per_task * tasks
    given = [value for name in GPU_RESOURCE_NAMES if (value := resources.get(name)) is not None]
    numbers = (number(value) or _modelled(value) for value in given)
    gres = gres_of(text(resources, "gres", "slurm_gres"))
    # A model alone is one GPU of it.
    alone = not given and bool(text(resources, "gpu_model"))
    return next(filter(None, numbers), 0) or gres.gpus or int(alone)


def _modelled(value: object) -> int:
    """Return how many GPUs a text asks for that has a model, too: ``a100:2``."""
    with_model = isinstance(value, str) and re.fullmatch(r"[\w.-]+:[0-9]+", value)
    return gres_of(f"gpu:{value}").gpus if with_model else 0


def _cores_per_task(resources: Mapping[str, object], extra: Options, tasks: int, gpus: int) -> int:
    """Return how many cores each task of a job has."""
    # Negative is how the slurm executor says "not given".
    asked = extra.cpus_per_task or number(resources.get("cpus_per_task"))
    if not asked and gpus:
        per_gpu = extra.cpus_per_gpu or number(resources.get("cpus_per_gpu"))
        asked = -(-per_gpu * gpus // tasks)
    return asked or number(resources.get("_cores"))


def _mem_mb(resources: Mapping[str, object], extra: Options, cores: int, gpus: int) -> int:
    """Return how much memory a job asks for, in all; 0 if it does not say."""
    choices = (
        extra.mem_mb,
        extra.mem_mb_per_cpu * cores,
        extra.mem_mb_per_gpu * gpus,
        number(resources.get("mem_mb_per_cpu")) * cores,
        number(resources.get("mem_mb")),
    )
    return next(filter(None, choices), 0)
