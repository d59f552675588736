"""The ``srun`` that starts all ranks of an allocation, over all of its components.

Runs on: the login node, or in a batch script. Pure.

A step may use all CPUs that the job has on a node, and our placement shares them out: so tasks are not bound to CPUs.
How many CPUs each task counts for decides how tasks spread over the nodes. ``srun`` since 22.05 does not take that from
the job; in a hetjob it takes it by component, from the environment alone (tried on 22.05).
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


#: A step goes on without ranks that end or are killed, for any time, and without nodes that fail.
SURVIVE = ("--kill-on-bad-exit=0", "--wait=0", "--no-kill")


@dataclass(frozen=True, slots=True)
class Step:
    """What ``srun`` has to know."""

    #: Type of ``srun --mpi``.
    mpi: str
    #: By component, None where the job does not say.
    cpus_per_task: tuple[int | None, ...]
    #: Whether Slurm binds tasks to CPUs; where it cannot, it would warn.
    binds_cpus: bool = False
    #: Further arguments, as the user wrote them.
    args: tuple[str, ...] = ()


def srun_command(step: Step) -> list[str]:
    """Return the start of the command, up to the program.

    A lost rank, or node, is no reason to end the others: MPI is over when the run begins.

    >>> srun_command(Step("pmi2", (1, 4)))
    ['srun', '--mpi=pmi2', '--het-group=0-1', '--kill-on-bad-exit=0', '--wait=0', '--no-kill']
    """
    groups = [f"--het-group=0-{len(step.cpus_per_task) - 1}"] if len(step.cpus_per_task) > 1 else []
    unbound = ["--cpu-bind=none"] if step.binds_cpus else []
    return ["srun", f"--mpi={step.mpi}", *groups, *SURVIVE, *unbound, *step.args]


def srun_environ(step: Step) -> dict[str, str]:
    """Return the variables that the command needs.

    >>> srun_environ(Step("pmi2", (1, 4)))
    {'SRUN_CPUS_PER_TASK_HET_GROUP_0': '1', 'SRUN_CPUS_PER_TASK_HET_GROUP_1': '4'}
    """
    many = len(step.cpus_per_task) > 1
    names = (f"SRUN_CPUS_PER_TASK_HET_GROUP_{n}" if many else "SRUN_CPUS_PER_TASK" for n in range(99))
    return {name: str(cpus) for name, cpus in zip(names, step.cpus_per_task, strict=False) if cpus}


def program_for_srun(program: Sequence[str]) -> list[str]:
    """Return a program that means the same to ``srun``, which takes a ``:`` for the start of another component.

    >>> program_for_srun(["python", ":"])
    ['sh', '-c', 'exec python :']
    """
    return ["sh", "-c", "exec " + shlex.join(program)] if ":" in program else list(program)
