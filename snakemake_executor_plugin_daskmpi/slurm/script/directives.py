r"""The #SBATCH lines of a batch script.

Runs on: the login node. Pure.

``sbatch`` reads these lines with rules of its own (tried on 22.05): words end at white space, quotes group, ``#``
starts a comment, and a backslash takes the next character literally, in single quotes too. So double quotes with a
backslash before each of ``"`` and ``\`` hold anything but a line break. What has one goes on the command line of
sbatch.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.errors import SettingsError
from snakemake_executor_plugin_daskmpi.settings.durations import render_walltime

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from snakemake_executor_plugin_daskmpi.slurm.plan import Component, Plan
    from snakemake_executor_plugin_daskmpi.slurm.script.batch import Batch


def job_options(batch: Batch) -> Iterator[tuple[str, str]]:
    """Yield the options of the job as a whole, which Slurm wants in the first component."""
    yield "--job-name", batch.job_name
    yield "--chdir", batch.workdir
    yield "--output", literal_path(absolute_path(batch, batch.output))
    if batch.mail_user:
        yield "--mail-user", batch.mail_user
    if batch.mail_user or batch.mail_type:
        yield "--mail-type", batch.mail_type or "END,FAIL"


def component_directives(plan: Plan, batch: Batch) -> Iterator[str]:
    """Yield the lines of each component, what it is for in front, and the job's own in the first.

    Raises
    ------
    SettingsError
        If a value of its own has a line break.
    """
    for number, component in enumerate(plan.components):
        options = list(_component_options(plan, component))
        broken = [name for name, value in options if "\n" in value]
        if broken or any("\n" in argument for argument in component.extra):
            raise SettingsError(
                f"{', '.join(broken) or 'A further argument of sbatch'} cannot hold a line break.",
                seen=f"component {component.name!r} of the plan asks for it.",
                next_step="write it on one line, in the rule or in the profile.",
            )
        if number == 0:
            options = [(name, value) for name, value in job_options(batch) if "\n" not in value] + options
        lines = [f"#SBATCH {name}={directive_value(value)}" for name, value in options]
        lines += ["#SBATCH --no-requeue", "#SBATCH --no-kill", *_further_arguments(component.extra)]
        yield "\n".join([comment(_purpose(plan, number)), *lines])


def _purpose(plan: Plan, number: int) -> str:
    """Return in words what a component is for."""
    component = plan.components[number]
    if not plan.is_heterogeneous:
        both = "All ranks are alike." if plan.n_workers else "Ranks 0 and 1 are alone."
        return both if plan.has_head else "All ranks are workers."
    kinds = " and for jobs ".join(f"of {kind!r}" if kind else "that ask for none" for kind in component.serves)
    parts = ["ranks 0 and 1"] * (number == 0) + [f"workers for jobs {kinds}"] * bool(component.serves)
    return f"Component {number} ({component.name}): {', '.join(parts)}."


def _component_options(plan: Plan, component: Component) -> Iterator[tuple[str, str]]:
    named = (("--account", component.account), ("--partition", component.partition), ("--qos", component.qos))
    yield from ((name, value) for name, value in named if value)
    yield "--time", render_walltime(plan.walltime_min)
    yield "--ntasks", str(component.n_tasks)
    yield "--cpus-per-task", str(component.cpus_per_task)
    yield "--mem-per-cpu", f"{component.mem_per_cpu_mb}M"
    if component.gpus_per_task:
        yield "--gpus-per-task", ":".join(filter(None, [component.gpu_model, str(component.gpus_per_task)]))
    if component.gres:
        yield "--gres", component.gres
    if component.constraint:
        yield "--constraint", component.constraint
    if component.multithread:
        yield "--hint", "multithread"


def _further_arguments(arguments: Sequence[str]) -> list[str]:
    """Return #SBATCH lines for arguments as the user wrote them, an option with its value on each."""
    lines: list[str] = []
    for argument in arguments:
        if argument.startswith("-") or not lines:
            lines.append("#SBATCH")
        lines[-1] += f" {directive_value(argument)}"
    return lines


def directive_value(value: str) -> str:
    r"""Return a value as it stands in an #SBATCH line.

    >>> print(directive_value("normal"), directive_value("it's \"here\""), directive_value("a\\b"))
    normal "it's \"here\"" "a\\b"
    """
    if re.fullmatch(r"[\w@%+=:,./&|*()\[\]-]+", value):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def literal_path(path: str) -> str:
    r"""Return a path as ``sbatch --output`` wants it, where '%' and backslashes have a meaning.

    A backslash makes the rest literal and goes away itself; without one, ``%j`` is the job's number.

    >>> print(literal_path("100%/log"), literal_path("a\\b%j/log"))
    100%%/log a\\b%j/log
    """
    return path.replace("\\", "\\\\") if "\\" in path else path.replace("%", "%%")


def absolute_path(batch: Batch, path: str) -> str:
    """Return a path of the batch that may be relative to its working directory."""
    return str(PurePosixPath(batch.workdir, path))


def comment(text: str) -> str:
    """Return text as comment lines, whatever it holds."""
    lines = text.replace("\r", "\n").split("\n")
    return "\n".join(f"# {line}".rstrip() for line in lines)
