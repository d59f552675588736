"""Everything that crosses between rank 1 and the workers.

Runs on: rank 1 and ranks >= 2. Frozen data, nothing else crosses the wire. What each job needs is a named tuple, which
is pickled in a third of the time of a dataclass.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from snakemake_executor_plugin_daskmpi.inherited import Inherited

#: Environment variable in which a worker tells spawned jobs its Python.
PYTHON_VARIABLE = "DASKMPI_PYTHON"


class OutcomeKind(StrEnum):
    """How a job ended. See the vocabulary in the package's docstring."""

    OK = "ok"
    FAILED = "failed"
    LOST = "lost"
    CANCELLED = "cancelled"
    OUT_OF_MEMORY = "out-of-memory"
    TIMED_OUT = "timed-out"


@dataclass(frozen=True, slots=True)
class RunContext:
    """What a worker has to know of a run before its first job (rank 1 → worker, once)."""

    #: Id of the run, part of the path of its logs.
    run_id: str
    #: Absolute directory of the run's logs, on the shared file system.
    run_dir: str
    #: Absolute directory in which the Snakefile is parsed.
    workdir: str
    #: Absolute directory in which jobs run: the same, unless the Snakefile says ``workdir:``.
    job_dir: str
    #: Packed by :func:`warm.body.pack_workflow`; empty if nothing of this run goes warm.
    workflow: bytes
    #: The Snakefile's name, for messages.
    snakefile: str
    #: What is done about jobs that take more memory than they asked for: ``--daskmpi-memory``.
    memory: str = "evict"
    #: Seconds to wait for programs that a body has left: ``--daskmpi-linger``.
    linger_s: float = 300.0
    #: Whether all bodies of a worker share one parse of the Snakefile: ``--daskmpi-shared-parse``.
    shared_parse: bool = False


class JobSpec(NamedTuple):
    """One job on its way to a worker (rank 1 → worker)."""

    #: Unique within the run, one for each attempt.
    key: str
    #: The job as messages call it, for instance ``rule align, jobid 17``.
    name: str
    #: What jobs of about the same duration have in common: the rule.
    kind: str
    #: Absolute path of the job's own log, which takes its stdout and stderr.
    log: str
    #: Packed by :mod:`warm.body` for a warm body; None if the job is spawned, or a group.
    body: bytes | None = None
    #: Whether the body needs a process that has parsed the Snakefile.
    needs_parse: bool = False
    #: Command line of a spawned job, a string for ``/bin/bash``; None if the job is warm.
    command: str | None = None
    #: The jobs of a warm group, in the order in which they may start; empty if this is a single job.
    units: tuple[Unit, ...] = ()
    #: Whether the body runs no user code in its own process, which may take another job then.
    reusable: bool = False
    #: Environment variables that the job gets in addition.
    environment: tuple[tuple[str, str], ...] = ()
    #: What has changed in Snakemake's own process since its start.
    inherited: Inherited = Inherited()
    #: The rule's launcher of MPI programs with its options (``resources.mpi``); "" if it names none.
    mpi: str = ""

    @property
    def ends_as_python(self) -> bool:
        """Whether user code may run in the body's own process, which then ends as a Python program does."""
        return self.body is not None and not self.reusable


class Member(NamedTuple):
    """One job of a group, and what it takes of the group's grant while it runs."""

    spec: JobSpec
    cores: int
    mem_mb: int
    disk_mb: int
    gpus: int
    #: Whether it runs until those that use it have ended, and is ended then.
    is_service: bool = False


class Unit(NamedTuple):
    """Members of a group that start together: one, or several that pipes and services tie to one another."""

    members: tuple[Member, ...]
    #: The units that have to end before, by their index in the group.
    after: tuple[int, ...] = ()


class Grant(NamedTuple):
    """What a worker gives to one job: the placement's decision (rank 1 → worker)."""

    #: Ids of the cores that are the job's own while it runs.
    cores: tuple[int, ...] = ()
    #: Ids of the GPUs that are the job's own while it runs.
    gpus: tuple[str, ...] = ()
    #: Memory and scratch space that are counted as the job's own while it runs.
    mem_mb: int = 0
    disk_mb: int = 0
    #: Whether the job is pinned to its cores by affinity.
    bind: bool = False
    #: Key of the job on this worker whose grant it takes over: it starts when that one has ended.
    after: str = ""
    #: MPI tasks of the job, and cores of each, also of those on other workers.
    tasks: int = 1
    cores_per_task: int = 1
    #: Slurm's name of the node of each task, for ``srun``; empty where Slurm has no part in it.
    nodes: tuple[str, ...] = ()
    #: What ``resources.mpi`` is for this job: the rule's launcher with what makes it work there.
    mpi: str = ""


class JobOutcome(NamedTuple):
    """How a job ended (worker → rank 1, as data, never as an exception)."""

    key: str
    kind: OutcomeKind
    #: Name of the worker, ``rank 3``.
    worker: str = ""
    #: Host that the worker runs on.
    host: str = ""
    #: Exit code of the body; None if it was ended by a signal or never started.
    exit_code: int | None = None
    #: Number of the signal that ended the body.
    signal: int | None = None
    #: Why, in words, where the exit code does not say it.
    reason: str = ""
    #: What the user can do, where that does not follow from the rest.
    next_step: str = ""
    #: Last lines of the job's log, if it failed.
    log_tail: str = ""
    #: Absolute path of that log, if it is not the job's own but that of a member of a group.
    log: str = ""
    #: Shadow directory that rank 1 has to unshadow.
    shadow_dir: str | None = None
    #: The folder for temporary files that the job had, if the command that rank 1 records names it.
    tmpdir: str = ""
    #: Set if the body could not go warm after all: rank 1 has to spawn it, for this reason.
    obstacle: str = ""
    #: Seconds since the epoch at which the body started and ended, on the worker's clock.
    started_at: float = 0.0
    ended_at: float = 0.0
    #: Memory in MB that it had asked for, 0 if it did not say. If a member of a group failed, these are the member's.
    requested_mb: int = 0
    #: The most memory in MB that its processes were seen to have, 0 if it was too short to be looked at. RSS counts
    #: pages that processes share once for each. Of a group, the largest of its members'.
    peak_rss_mb: int = 0
    #: The same with shared pages divided among those who share them (PSS); 0 if never read, since reading it is slow.
    peak_pss_mb: int = 0
    #: CPU seconds, user and system, of its process and of the programs that ended before it; 0 if not known.
    cpu_s: float = 0.0


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """What a worker says of itself when it is ready (worker → rank 1)."""

    #: Dask's address of the worker.
    address: str
    #: Name in messages, ``rank 3``.
    name: str
    host: str
    #: Offered cores, memory, disk, GPUs, as keyword arguments of WorkerResources.
    offer: dict[str, Any] = field(default_factory=dict)
    #: Slurm's name of the node, if the worker is a task of a Slurm step.
    node: str = ""
    #: Number of the hetjob component that it is in, None outside of one.
    het_group: int | None = None
    #: How many times it is started anew when it is lost, by whoever has started it.
    lives_left: int = 0
    #: Slurm's id of the further allocation that it has joined with; "" for a worker that is there from the start.
    allocation: str = ""
    #: Seconds until that allocation ends; None if it lasts as long as the run's own.
    ends_in_s: float | None = None
    #: Seconds of that whole allocation.
    length_s: float = 0.0

    @property
    def step_group(self) -> str:
        """What it has in common with the workers that one ``srun`` step can span with it; "" if there are none."""
        if not self.node:
            return ""
        whole = f"allocation {self.allocation}".rstrip()
        return whole if self.het_group is None else f"component {self.het_group} of {whole}"


def exit_text(exit_code: int | None, signal_number: int | None) -> str:
    """Return how a process ended, signals by name.

    >>> exit_text(3, None)
    'exit code 3'
    >>> exit_text(None, 9)
    'signal SIGKILL'
    """
    if signal_number is not None:
        try:
            return f"signal {signal.Signals(signal_number).name}"
        except ValueError:
            return f"signal {signal_number}"
    return "no exit code" if exit_code is None else f"exit code {exit_code}"
