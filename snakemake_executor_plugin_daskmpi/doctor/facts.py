"""What the doctor has seen: of this machine, of the allocation, and of every rank. Data, no judgement.

Runs on: every rank, and on the login node. Pure data, and all of it JSON.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snakemake_executor_plugin_daskmpi.rank.roles import Allocation


@dataclass(frozen=True, slots=True)
class Requirement:
    """One line of the package's requirements, and what is installed."""

    package: str
    #: As in ``>=9.27,<10``.
    wanted: str
    #: None if it is not installed.
    installed: str | None
    is_met: bool


@dataclass(frozen=True, slots=True)
class MpiFacts:
    """The MPI library that mpi4py loads, and who could start ranks of it."""

    #: ``mpich``, ``intel``, ``openmpi``; ``other`` for one that we do not know, "" if none could be loaded.
    kind: str = ""
    #: The library's name and version, or why none could be loaded.
    library: str = ""
    #: The ``mpiexec`` that would be taken, "" if there is none; the kind of its MPI, "" if it does not say.
    mpiexec: str = ""
    mpiexec_kind: str = ""
    #: ``srun --mpi``'s types, empty without Slurm.
    pmi_types: tuple[str, ...] = ()
    #: The one that would be asked for.
    pmi: str = ""
    #: Slurm's library for that, which Intel MPI loads; "" if none was found.
    pmi_library: str = ""

    @property
    def has_own_mpiexec(self) -> bool:
        """Whether there is an mpiexec that may well start ranks of this library."""
        return bool(self.kind and self.mpiexec) and self.mpiexec_kind in ("", self.kind)


@dataclass(frozen=True, slots=True)
class RankFacts:
    """One rank, as it sees its own surroundings."""

    #: ``rank 3``.
    name: str
    host: str
    #: Number of its component, None outside of a hetjob.
    component: int | None = None
    #: Cores and memory that a worker offers; 0 for ranks 0 and 1.
    cores: int = 0
    mem_mb: int = 0
    cwd: str = ""
    #: What it found in a file that rank 1 had just written in its own working directory; "" for nothing.
    token: str = ""
    #: Seconds until it found it.
    token_after_s: float = 0.0
    #: Whether rank 1 found what this rank wrote there, and why not if this rank could not write.
    has_written: bool = False
    write_error: str = ""
    #: ``sys.prefix``, and versions of the packages that have to be the same everywhere.
    prefix: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    #: Its clock minus rank 1's, and how wrong that may be: half of the quickest round trip.
    clock_offset_s: float = 0.0
    clock_error_s: float = 0.0
    #: Time stamp of a file just written in the working directory minus the rank's clock; None if not written.
    file_offset_s: float | None = None
    #: Where it listens, "" for rank 1, which does not.
    address: str = ""
    #: Addresses that it tried to connect to, and those of them that it could not, with the reason.
    n_tried: int = 0
    unreachable: dict[str, str] = field(default_factory=dict)
    #: Folder of temporary files; its free space; its type of file system, and why nothing can be written there.
    scratch: str = ""
    scratch_free_mb: int = 0
    scratch_type: str = ""
    scratch_error: str = ""
    #: GPU devices of its host that it may open, what variables give it, and what its worker offers to jobs.
    gpu_devices: int = 0
    gpu_variables: dict[str, str] = field(default_factory=dict)
    gpus: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WorldFacts:
    """The world that was formed for a look, or why it was not."""

    #: ``srun``, ``mpiexec``, ``local``, or ``given`` if whoever started the doctor started it as ranks.
    launcher: str
    #: The command that was to form it; "" if there was none.
    command: str = ""
    #: Why it did not form, or did not answer; "" if it did.
    error: str = ""
    #: Last lines that its ranks wrote to stderr.
    said: str = ""
    #: Number of ranks that were asked for.
    n_asked: int = 0
    #: What rank 1 wrote in its working directory, and why it could not if so.
    token: str = ""
    folder_error: str = ""
    scheduler_address: str = ""
    ranks: tuple[RankFacts, ...] = ()
    #: Results of the test program on the workers, and here; None if it did not end.
    dask_result: int | None = None
    local_result: int | None = None
    test_error: str = ""

    @classmethod
    def of(cls, table: dict[str, Any]) -> WorldFacts:
        """Return what ``dataclasses.asdict`` and JSON have made of it.

        >>> import dataclasses, json
        >>> world = WorldFacts("local", ranks=(RankFacts("rank 0", "n1"),))
        >>> WorldFacts.of(json.loads(json.dumps(dataclasses.asdict(world)))) == world
        True
        """
        ranks = (RankFacts(**{**rank, "gpus": tuple(rank["gpus"])}) for rank in table["ranks"])
        return cls(**{**table, "ranks": tuple(ranks)})


@dataclass(frozen=True, slots=True)
class FurtherJobFacts:
    """A Slurm job of its own that tried to reach this host, as one that joins a run does."""

    #: Whether its connection came, and what it said on its last line.
    has_come: bool = False
    said: str = ""
    #: Why there was no such job; "" if there was.
    error: str = ""
    #: Seconds until it had ended, its wait in the queue included.
    took_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Facts:
    """All of it."""

    host: str
    #: How to call this program on another node.
    program: str
    python: str
    #: As in ``>=3.11``, and whether it is.
    wants_python: str
    python_is_met: bool
    prefix: str
    requirements: tuple[Requirement, ...]
    mpi: MpiFacts
    world: WorldFacts
    #: Slurm's version, "" without Slurm.
    slurm: str = ""
    allocation: Allocation | None = None
    #: None if nobody asked for it.
    further_job: FurtherJobFacts | None = None
