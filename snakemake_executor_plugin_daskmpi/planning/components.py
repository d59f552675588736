"""The components of a draft, as Slurm is asked for them.

Runs on: the login node. Pure.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.errors import LaunchError, did_you_mean, nearest
from snakemake_executor_plugin_daskmpi.slurm.plan import Component

if TYPE_CHECKING:
    from collections.abc import Iterable

    from snakemake_executor_plugin_daskmpi.planning.demand import Demand
    from snakemake_executor_plugin_daskmpi.planning.drafts import Draft
    from snakemake_executor_plugin_daskmpi.planning.grouping import Part
    from snakemake_executor_plugin_daskmpi.planning.sizing import Sizing
    from snakemake_executor_plugin_daskmpi.settings.flags import Settings

HEAD_NAME = "head"

#: A line of ``--daskmpi-sbatch-args`` that is for one component.
_FOR_ONE = re.compile(r"\s*([A-Za-z0-9_.][\w.-]*):\s+(.*)")


def components_of(draft: Draft, demand: Demand, settings: Settings) -> tuple[Component, ...]:
    """Return the components, the one with ranks 0 and 1 first.

    Raises
    ------
    LaunchError
        If ``--daskmpi-sbatch-args`` names a component that there is not, or cannot be split into words.
    """
    parts = [_component(draft, index, demand) for index in range(len(draft.parts))]
    first = _head(draft, settings) if draft.host is None else parts.pop(draft.host)
    components = [first, *parts]
    for_all, for_one = _sbatch_args(settings.sbatch_args or "")
    names = [component.name for component in components]
    # A run that may grow can have one instead of this.
    known = {*names, HEAD_NAME} if settings.grow else {*names}
    for name in for_one:
        if name not in known:
            near = nearest(name, names)
            raise LaunchError(
                f"There is no component {name!r}.{did_you_mean(near)}",
                seen=f"--daskmpi-sbatch-args has arguments for it; the plan has {', '.join(names)}.",
                next_step=f"begin the line with '{near or names[-1]}: ', or leave the name out for all.",
            )
    return tuple(_with_extra(component, (*for_all, *for_one.get(component.name, ()))) for component in components)


def head_component(draft: Draft, settings: Settings) -> Component:
    """Return the component of ranks 0 and 1 alone, of a run whose workers come in further jobs."""
    for_all, for_one = _sbatch_args(settings.sbatch_args or "")
    head = _head(draft, settings)
    return _with_extra(head, (*for_all, *for_one.get(head.name, ())))


def further_component(part: Part, sizing: Sizing, settings: Settings) -> Component:
    """Return the one component of a further job, which joins a run.

    Arguments of sbatch for components that only the first job has are left out.
    """
    for_all, for_one = _sbatch_args(settings.sbatch_args or "")
    return _with_extra(_of_part(part, sizing, part.serves, 0), (*for_all, *for_one.get(part.name, ())))


def _component(draft: Draft, index: int, demand: Demand) -> Component:
    """Return the component of a part, with tasks for ranks 0 and 1 if it is their host."""
    part, sizing = draft.parts[index], draft.sizings[index]
    serves = part.serves
    # What a checkpoint finds may come with no steering at all.
    if demand.checkpoints and not any("" in other.serves for other in draft.parts):
        serves = (*serves, "")
    return _of_part(part, sizing, serves, 2 if draft.host == index else 0)


def _of_part(part: Part, sizing: Sizing, serves: tuple[str, ...], others: int) -> Component:
    """Return the component of a part, with further tasks for other ranks than workers."""
    size, asked = sizing.size, part.steering
    return Component(
        name=part.name,
        serves=serves,
        n_tasks=sizing.workers + others,
        cpus_per_task=size.cores,
        mem_per_cpu_mb=-(-size.mem_mb // size.cores),
        gpus_per_task=size.gpus,
        gpu_model=asked.gpu_model if size.gpus else "",
        gres=asked.gres,
        partition=part.partition.name,
        account=asked.account,
        qos=asked.qos,
        constraint=asked.constraint,
        extra=_words(asked.extra, "slurm_extra"),
    )


def _head(draft: Draft, settings: Settings) -> Component:
    """Return the component of ranks 0 and 1 alone."""
    head = draft.head
    taken = {part.name for part in draft.parts}
    # Accounts and the like are the part's whose partition it shares, as far as the settings say nothing.
    alike = next((part for part in draft.parts if part.partition is head.partition), draft.parts[0])
    return Component(
        name=HEAD_NAME if HEAD_NAME not in taken else f"{HEAD_NAME}-0-1",
        serves=(),
        n_tasks=2,
        cpus_per_task=1,
        mem_per_cpu_mb=head.mem_mb,
        partition=head.partition.name,
        account=settings.account or alike.steering.account,
        qos=settings.qos or alike.steering.qos,
        multithread=head.hyperthread,
    )


def _with_extra(component: Component, words: Iterable[str]) -> Component:
    return replace(component, extra=(*component.extra, *words))


def _sbatch_args(text: str) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    r"""Return the words of ``--daskmpi-sbatch-args`` for all components, and those for single ones.

    >>> _sbatch_args("--reservation=course --comment='two words'\ngpu: --exclusive")
    (('--reservation=course', '--comment=two words'), {'gpu': ('--exclusive',)})
    """
    for_all: list[str] = []
    for_one: dict[str, tuple[str, ...]] = {}
    for line in text.splitlines():
        match = _FOR_ONE.fullmatch(line)
        if match:
            for_one[match[1]] = for_one.get(match[1], ()) + _words(match[2], "--daskmpi-sbatch-args")
        else:
            for_all += _words(line, "--daskmpi-sbatch-args")
    return tuple(for_all), for_one


def _words(text: str, whose: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text))
    except ValueError as e:
        raise LaunchError(
            f"{whose} cannot be split into words: {e}.",
            seen=repr(text),
            next_step=f"close the quotes in {whose}.",
        ) from e
