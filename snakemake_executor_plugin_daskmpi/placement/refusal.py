"""Why no worker could ever hold a job, and what to change.

Runs on: rank 1. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.errors import three_part_message
from snakemake_executor_plugin_daskmpi.resources import serves, shortfalls

if TYPE_CHECKING:
    from collections.abc import Sequence

    from snakemake_executor_plugin_daskmpi.placement.deadline import Deadline
    from snakemake_executor_plugin_daskmpi.resources import JobResources, WorkerResources

#: What to change, by the names that resources.shortfalls gives.
REMEDIES = {
    "threads": "lower the rule's threads, or give workers more with --daskmpi-cores or a larger --cpus-per-task",
    "mem_mb": "lower the rule's mem_mb, or give workers more with --daskmpi-mem-mb or a larger --mem",
    "disk_mb": "lower the rule's disk_mb, or give workers more with --daskmpi-disk-mb or a larger TMPDIR",
    "gpu": "lower the rule's gpu, or give workers more with --daskmpi-gpus or a larger --gpus-per-task",
}

#: Sizes that are most often not the rule's own words but Snakemake's.
DEFAULT_SIZES = {"mem_mb": (1000, 8000), "disk_mb": (1000, 50000)}


#: What a worker has that has enough, in words, by the names that resources.shortfalls gives.
_ENOUGH = {
    "threads": "{} cores",
    "mem_mb": "{} MB of memory",
    "disk_mb": "{} MB of scratch space",
    "gpu": "{} GPUs",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why no worker can hold a job, in the three parts of every message; ``str`` puts them together."""

    happened: str
    seen: str
    next_step: str
    #: What no worker does that would have to, in a few words.
    lacks: str = "has all that it needs"
    #: Whether no further worker could change that.
    is_final: bool = False

    def __str__(self) -> str:
        """Return the message."""
        return three_part_message(self.happened, seen=self.seen, next_step=self.next_step)


#: Of all jobs, before a worker has come.
NOBODY_CAME = Refusal(
    "No worker has come to run the job.",
    "the run began without workers.",
    "the same command continues the workflow; let it begin with a worker.",
    lacks="takes jobs",
)
#: Of all jobs, when all workers have left in order, or are about to.
NOBODY_IS_LEFT = Refusal(
    "All workers have left.",
    "none is there any more that takes jobs.",
    "the same command continues the workflow.",
    lacks="takes jobs",
)


def refusal_of(request: JobResources, offers: Sequence[WorkerResources], together: int = 0) -> Refusal | None:
    """Return why none of the workers could hold a job even when idle; None if one could.

    Parameters
    ----------
    together
        How many of its tasks those workers have room for that one ``srun`` spans.

    >>> from snakemake_executor_plugin_daskmpi.resources import JobResources, WorkerResources
    >>> refusal_of(JobResources(cores=8), [WorkerResources(cores=(0, 1, 2, 3), mem_mb=8000, disk_mb=0)]).seen
    'threads=8, but the largest worker offers 4.'
    """
    if not offers:
        return Refusal(
            "All workers are lost.",
            "no worker is left to run the job.",
            "look into the workers' logs for the reason, then run the same command again.",
            lacks="takes jobs",
        )
    serving = [offer for offer in offers if serves(offer, request.component)]
    if not serving:
        return _unknown_component(request.component, offers)
    lacks = [shortfalls(request, offer) for offer in serving]
    if not all(lacks):
        return None
    if request.spans and together:
        return _too_many_tasks(request, together)
    whose = f" of component {request.component}" if request.component and serving[0].components is not None else ""
    nowhere = set.intersection(*({name for name, _, _ in lack} for lack in lacks))
    if nowhere:
        every = [one for lack in lacks for one in lack if one[0] in nowhere]
        short = list({one[0]: one for one in sorted(every, key=_offered)}.values())
        seen = "; ".join(f"{name}={asked}, but the largest worker{whose} offers {most}" for name, asked, most in short)
    else:
        every = [one for lack in lacks for one in lack]
        short = min(lacks, key=len)
        nearest = ", ".join(f"{name}={here} of {asked}" for name, asked, here in short)
        seen = f"some worker{whose} offers each of these, but none offers all; the nearest offers {nearest}"
    asks = ", ".join(dict.fromkeys(f"{name}={asked}" for name, asked, _ in every))
    steps = [REMEDIES[name] + _default_hint(name, most, request) for name, _, most in short]
    if request.tasks > 1:
        asks += f" for its tasks={request.tasks} on one worker"
        if not request.spans:
            steps.append('lower its tasks, or in a Slurm step let several workers share them: mpi="srun"')
    return Refusal(f"No worker can ever hold a job with {asks}.", f"{seen}.", f"{'; '.join(steps)}.", _lacks(every))


def _lacks(short: Sequence[tuple[str, int, int]]) -> str:
    """Return what of it no worker has, in words.

    >>> _lacks([("gpu", 1, 0), ("threads", 8, 4), ("gpu", 1, 0)])
    'has 1 GPU and 8 cores'
    """
    enough = (_ENOUGH[name].format(asked) for name, asked, _ in short)
    words = (text.removesuffix("s") if text in {"1 cores", "1 GPUs"} else text for text in enough)
    return f"has {' and '.join(dict.fromkeys(words))}"


def too_late_for(minutes: float, most_min: float) -> Refusal:
    """Return why a job could end on no worker that is there.

    Parameters
    ----------
    minutes
        That it takes.
    most_min
        For which a worker that could hold it is there at most.
    """
    return Refusal(
        f"No worker is there for long enough for a job that takes {minutes:.0f} minutes.",
        f"those that could hold it end what they run in {most_min:.1f} minutes, since their Slurm jobs end.",
        "lower the rule's runtime if it takes less, or let further Slurm jobs be longer.",
        lacks=f"has {minutes:.0f} minutes left",
    )


def too_long_for(runtime_min: int | None, deadline: Deadline) -> Refusal | None:
    """Return why a job could not end in a whole allocation like this one; None if it could, or does not say."""
    if runtime_min is None or runtime_min <= deadline.length_s / 60:
        return None
    return Refusal(
        f"No allocation like this one is long enough for a job with runtime={runtime_min} (minutes).",
        f"this one takes {deadline.length_s / 60:.1f} minutes in all, as {deadline.said_by} says, "
        f"and leaves {deadline.most_min:.1f} to jobs.",
        "a longer one (--daskmpi-walltime, sbatch --time), or lower the rule's runtime if it takes less.",
        is_final=True,
    )


def _unknown_component(component: str, offers: Sequence[WorkerResources]) -> Refusal:
    names = sorted({name for offer in offers for name in offer.components or ()})
    taken = ", ".join(f"jobs of component {name}" if name else "jobs that ask for no component" for name in names)
    known = next((name for name in names if name), "NAME")
    return Refusal(
        f"No worker takes jobs of component {component}." if component else "No worker takes jobs without a component.",
        f"the workers take {taken or 'none at all'}.",
        f"give the rule daskmpi_component={known}, or let a component take "
        f"{component or 'such jobs (any)'} in --daskmpi-components.",
        lacks=f"takes jobs {f'of component {component}' if component else 'without a component'}",
    )


def _too_many_tasks(request: JobResources, together: int) -> Refusal:
    each = f"{request.cores // request.tasks} cores and {-(-request.mem_mb // request.tasks)} MB"
    return Refusal(
        f"No workers can ever hold a job with tasks={request.tasks} of {each} each.",
        f"those that one srun spans have room for {together} such tasks at most.",
        "lower the rule's tasks, threads or mem_mb, or start more workers in that component with a larger --ntasks.",
        lacks=f"has, with others, room for {request.tasks} tasks of {each} each",
    )


def _offered(lack: tuple[str, int, int]) -> int:
    return lack[2]


def _default_hint(name: str, most: int, request: JobResources) -> str:
    """Return the flag that replaces Snakemake's default for a size, where the size may come from there.

    Without ``--default-resources``, Snakemake fills in ``max(2*input.size_mb, 1000)`` for both sizes of a job that
    does not run on the local executor; in 9.27 at most 8000 for memory, and 50000 for the disk of a job without
    input files (``snakemake.resources.Resources.DEFAULTS``).
    """
    if name not in DEFAULT_SIZES:
        return ""
    size = request.mem_mb if name == "mem_mb" else request.disk_mb
    if request.mem_mb != request.disk_mb and size not in DEFAULT_SIZES[name]:
        return ""
    return f" (if the rule does not say: --default-resources {name}={most})"
