"""The one Slurm job that a workflow gets: its components, walltime, and why.

Runs on: the login node. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Component:
    """One component of the job: so many equal tasks, one rank each."""

    #: As in ``daskmpi_component``, or made up from partition, constraint and GPUs; unique within the plan.
    name: str
    #: Which jobs its workers take, as :attr:`JobResources.component` names them; "" are jobs that ask for none.
    #: Empty for a first component that holds ranks 0 and 1 only.
    serves: tuple[str, ...]
    n_tasks: int
    cpus_per_task: int
    mem_per_cpu_mb: int
    gpus_per_task: int = 0
    #: Model of the GPUs, "" for any.
    gpu_model: str = ""
    #: Further generic resources (``--gres``), as rules name them.
    gres: str = ""
    partition: str = ""
    account: str = ""
    qos: str = ""
    constraint: str = ""
    #: Put tasks on hyperthreads (``--hint=multithread``).
    multithread: bool = False
    #: Further arguments of sbatch.
    extra: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole job. With one component it is homogeneous, and ranks 0 and 1 are its first two tasks."""

    components: tuple[Component, ...]
    walltime_min: int
    #: Forecast: minutes until the last job ends, and the part of the workers' core time that jobs use.
    makespan_min: float = 0.0
    utilisation: float = 0.0
    #: Why one component or several, in a sentence.
    why: str = ""
    #: What the user should know: assumed runtimes, limits that bind.
    notes: tuple[str, ...] = ()
    #: Whether ranks 0 and 1 are in it; all tasks of a further job, which joins a run, are workers.
    has_head: bool = True
    #: Workers that are forecast to come and go in further jobs; there are none in this one then.
    further: tuple[Component, ...] = ()

    @property
    def is_heterogeneous(self) -> bool:
        """Whether ``#SBATCH hetjob`` stands in the script."""
        return len(self.components) > 1

    @property
    def n_ranks(self) -> int:
        """All tasks: workers, and the scheduler and the client where they are in it."""
        return sum(component.n_tasks for component in self.components)

    @property
    def n_workers(self) -> int:
        """Those that are neither rank 0 nor rank 1 of the world."""
        return self.n_ranks - (2 if self.has_head else 0)

    @property
    def components_setting(self) -> str:
        """What ``--daskmpi-components`` has to say in the run, so that jobs find their workers.

        >>> head = Component("head", (), n_tasks=2, cpus_per_task=1, mem_per_cpu_mb=512)
        >>> rest = [Component(name, (name,), n_tasks=3, cpus_per_task=4, mem_per_cpu_mb=1024) for name in ("", "gpu")]
        >>> Plan((head, *rest), walltime_min=60).components_setting
        ',any,gpu'

        Further jobs say for themselves what their workers take.

        >>> Plan((head,), walltime_min=60, further=tuple(rest)).components_setting
        ''
        """
        return ",".join("+".join(name or "any" for name in component.serves) for component in self.components)
