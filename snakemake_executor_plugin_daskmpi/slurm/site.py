"""What a Slurm site offers: partitions and the kinds of nodes in them.

Runs on: the login node. Pure data.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class NodeType:
    """Nodes of one partition that are alike."""

    #: Number of nodes that are up (not down, drained or reserved for maintenance).
    count: int
    #: CPUs as Slurm counts them, hardware threads included.
    cpus: int
    #: Memory in MB (Slurm's MiB) that jobs may ask for.
    mem_mb: int
    threads_per_core: int = 1
    #: Words that ``--constraint`` may ask for.
    features: frozenset[str] = frozenset()
    #: Number of GPUs by model; "" where the site names no model.
    gpus: tuple[tuple[str, int], ...] = ()

    @property
    def n_gpus(self) -> int:
        """GPUs of all models on one node."""
        return sum(count for _, count in self.gpus)


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition, as the user may use it."""

    name: str
    nodes: tuple[NodeType, ...]
    #: Longest walltime in minutes; None if there is no limit.
    max_minutes: int | None = None
    is_default: bool = False
    is_up: bool = True
    #: Whether jobs get whole nodes (``OverSubscribe=EXCLUSIVE``, or ``select/linear``).
    whole_nodes: bool = False
    #: Most nodes of one job (component); None if there is no limit.
    max_nodes: int | None = None
    #: Most memory per CPU in MB; None if there is no limit.
    max_mem_per_cpu_mb: int | None = None
    #: Accounts and qualities of service that may use it; None if all may.
    accounts: frozenset[str] | None = None
    qos: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Site:
    """All that a plan has to know of the cluster."""

    cluster: str
    #: Slurm's version, ``22.05.8``.
    version: str
    partitions: tuple[Partition, ...]
    #: Types that ``srun --mpi`` knows.
    mpi_types: frozenset[str] = frozenset()
    #: The user's accounts; None if the site keeps no accounts that it tells.
    accounts: frozenset[str] | None = None
    #: Qualities of service that exist; None if the site does not tell.
    qos: frozenset[str] | None = None
    #: Whether Slurm can bind tasks to CPUs (``srun --cpu-bind`` warns where it cannot).
    binds_cpus: bool = False
    #: Whether jobs get whole nodes everywhere, and other settings that hints name.
    config: dict[str, str] = field(default_factory=dict, hash=False, compare=False)

    def partition(self, name: str | None) -> Partition | None:
        """Return a partition by name, the default one for None; None if there is none."""
        if name is None:
            return next((p for p in self.partitions if p.is_default), None)
        return next((p for p in self.partitions if p.name == name), None)
