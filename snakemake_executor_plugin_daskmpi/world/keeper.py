"""The keeper of a rank: the process that the launcher started, and that is the rank to MPI.

Runs on: every rank of an MPI world.

The rank's work is done by a child of it. So nothing that runs jobs descends from an MPI process, and a child that dies,
killed by the kernel for its memory perhaps, is no lost rank to MPI and the launcher: the others go on, and the exit
code stays Snakemake's. MPI serves to meet and to broadcast. It is finalised on all ranks as soon as the world stands:
a keeper that is lost later, with its node perhaps, is missed by none of the others.
"""

from __future__ import annotations

import ctypes
import dataclasses
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn
from urllib.parse import urlsplit

from snakemake_executor_plugin_daskmpi import apart
from snakemake_executor_plugin_daskmpi.errors import WorldError
from snakemake_executor_plugin_daskmpi.rank import dask_config, graces, processes, roles, security, whole_file
from snakemake_executor_plugin_daskmpi.worker import limits
from snakemake_executor_plugin_daskmpi.world import meeting, serve_order
from snakemake_executor_plugin_daskmpi.world.serve_order import LOOPBACK, Order

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

    from mpi4py.MPI import Intracomm

    from snakemake_executor_plugin_daskmpi.settings.flags import Settings

#: Seconds between two looks whether all ranks have come to the same point.
_LOOK_S = 0.002
#: Seconds between two looks whether the launcher's process above this one is there.
_LOOK_UP_S = 0.5

#: What a launcher or a user sends to end or to steer a run.
_STEERING = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP)


@dataclass(slots=True)
class Place:
    """The place that a keeper keeps, and for whom at the moment."""

    settings: Settings
    seat: roles.Seat
    #: The process that does the rank's work; 0 while there is none.
    pid: int
    #: Its folder, which goes with the keeper: it may be killed. None for rank 1, which needs none.
    scratch: str | None
    #: Whether it was told to end, so that nobody is to do the work anew.
    is_ending: bool = False

    def send(self, number: int) -> None:
        """Send a signal to whoever does the work."""
        if self.pid:
            processes.send(self.pid, number)

    def wait(self) -> int:
        """Wait for the end of whoever does the work, and return its exit code as a shell has it."""
        pid = self.pid
        # Its number is another process's as soon as its exit code is taken.
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        self.pid = 0
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return code if code >= 0 else 128 - code


def keep(
    place: Place,
    connection: Connection,
    meet: Callable[[roles.Seat, Settings], Intracomm] = meeting.meet,
    part: Callable[[], None] = meeting.part,
) -> NoReturn:
    """Be a rank to MPI for a child, and end with rank 1's exit code, or 0 on the other ranks.

    Raises
    ------
    WorldError
        On one rank only, if the ranks cannot form a world.
    """
    apart.only_ours()
    threading.Thread(target=end_without, args=(os.getppid(), place), daemon=True).start()
    try:
        pass_signals_on(place)
        comm = meet(place.seat, place.settings)
        # MPICH has taken SIGUSR1 for itself.
        pass_signals_on(place)
        code = _keep(place, comm, part, connection)
    except WorldError:
        place.send(signal.SIGKILL)  # it would say once more that there is no world
        raise
    finally:
        if place.scratch is not None:
            shutil.rmtree(place.scratch, ignore_errors=True)
    leave(code)


def _keep(place: Place, comm: Intracomm, part: Callable[[], None], connection: Connection) -> int:
    """Return the exit code of this rank when its part is over."""
    try:
        with meeting.talking(place.seat, explains=False):
            world = _make_calls(comm, part, connection)
    except (EOFError, ConnectionError):
        # The child has printed why.
        code = place.wait() or 1
        comm.Abort(code)
        # Under srun, MPICH's comes back: Slurm ends this process soon.
        return code
    pass_signals_on(place)
    code = place.wait()
    if place.seat.role is roles.Role.CLIENT:
        _write_down(code)
        end = threading.Thread(target=_order_to_end, args=(world.address, world.credentials), daemon=True)
        _see_the_end(lambda: is_there(world.address), end.start)
        return code
    if place.seat.role is roles.Role.WORKER and code:
        host = LOOPBACK if len(set(world.hosts)) == 1 else None
        told = order_of(place, limits.share_of(place.seat.rank, world.hosts), world.address, host)
        serve(place, told, world.credentials, place.settings.respawn)
    return 0


class _Met(NamedTuple):
    """What the ranks have told each other: the answers of the child's first calls."""

    hosts: list[str]
    credentials: security.Credentials | None
    address: str


def pass_signals_on(place: Place) -> None:
    """Give the child what mpiexec sends to this process alone; Slurm's signals reach all processes of a step."""

    def pass_on(number: int, _: object) -> None:
        place.is_ending = place.is_ending or number == signal.SIGTERM
        if place.seat.said_by != "srun":
            place.send(number)

    for number in _STEERING:
        signal.signal(number, pass_on)


def end_without(launcher: int, place: Place, sleep: Callable[[float], None] = time.sleep) -> None:
    """End this rank when the process that started it is gone.

    A launcher that is killed takes its ranks along, but not if only the part of it that sits on this node is: then the
    run would go on out of sight, and hold the lock. A look now and then, since the signal for a parent's death comes
    with the end of the thread that has started us.
    """
    while os.getppid() == launcher:
        sleep(_LOOK_UP_S)
    if place.seat.role is not roles.Role.CLIENT:  # to which our own end is a SIGTERM: it has jobs, and a lock
        place.send(signal.SIGKILL)
    if place.scratch is not None:
        shutil.rmtree(place.scratch, ignore_errors=True)
    os._exit(128 + signal.SIGKILL)


def _make_calls(comm: Intracomm, part: Callable[[], None], connection: Connection) -> _Met:
    """Make the child's calls of MPI up to its barrier, part, and return what was said.

    Raises
    ------
    EOFError
        If the child ends before.
    """
    answers, name = [], ""
    while name != "Barrier":
        name, arguments = connection.recv()
        wait_for_all(comm)
        answers.append(getattr(comm, name)(*arguments))
        if name == "Barrier":
            part()
        connection.send(answers[-1])
    return _Met(*answers[:3])


def wait_for_all(comm: Intracomm) -> None:
    """Wait until all ranks have come to this point.

    Collective calls of MPI wait with all the power of a core, which the ranks that are waited for need.
    """
    all_are_here = comm.Ibarrier()
    while not all_are_here.Test():
        time.sleep(_LOOK_S)


def order_of(place: Place, share: limits.Share, address: str, host: str | None) -> Order:
    """Return the order to be the worker of a place.

    Parameters
    ----------
    address
        The scheduler's.
    host
        Of the network interface at which it listens; None leaves it to Dask.
    """
    return Order(
        rank=place.seat.rank,
        scratch=place.scratch or tempfile.gettempdir(),
        host=host,
        address=address,
        share=(share.index, share.of, share.others),
        settings=dataclasses.asdict(place.settings),
    )


def serve(place: Place, order: Order, credentials: security.Credentials | None, times: int) -> int:
    """Start a worker as a program of its own, anew as long as it is lost and the world is there; at most so many times.

    This process has held MPI, so it must not fork one. Returns the exit code of the last one, 0 if there was none.
    """
    code = 0
    for lives_left in reversed(range(times)):
        if not is_there(order.address):
            return code
        told = dataclasses.replace(order, lives_left=lives_left)
        # Closing its pipes is an error if it has died before it read what it was told.
        with suppress(BrokenPipeError), serve_order.start(told, credentials, os.environ) as process:
            place.pid = process.pid
            process.returncode = code = place.wait()
        if not code or place.is_ending:
            break
    return code


def _write_down(code: int) -> None:
    """Leave the exit code where a batch script looks for it: its launcher tells that of a lost rank instead."""
    if file := os.environ.get(roles.EXIT_CODE_FILE):
        with suppress(OSError):
            whole_file.write(Path(file), f"{code}\n")


def _see_the_end(
    is_there: Callable[[], bool],
    tell: Callable[[], None],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Return when the scheduler, and so the world, has ended; tell it to, once, if it does not by itself.

    Some launchers kill all other ranks when one has ended with an error, and these have something to clean up.
    """
    began, told = clock(), False
    sleep(0.05)
    while is_there():
        waited = clock() - began
        if waited > graces.BY_ITSELF_S + graces.WORLD_S:
            return
        if waited > graces.BY_ITSELF_S and not told:
            told = True
            tell()
        sleep(min(0.5, 0.01 + waited / 4))


def is_there(address: str) -> bool:
    """Say whether anyone takes connections at a Dask address."""
    place = urlsplit(address)
    with suppress(OSError), socket.create_connection((place.hostname or "", place.port or 0), timeout=2):
        return True
    return False


def _order_to_end(address: str, credentials: security.Credentials | None) -> None:
    """Tell a scheduler that rank 1 died before it could speak to it."""
    dask_config.apply_dask_config()
    security.apply(credentials)
    import dask
    import dask_mpi

    logging.disable()
    dask.config.set(scheduler_address=address)
    with suppress(Exception):
        dask_mpi.send_close_signal()


def leave(code: int) -> NoReturn:
    """End this process, without the exit handlers of whoever called us.

    Not sys.exit: our caller (a test runner, a user's script) goes on only on rank 1. And not os._exit: MPICH 5 leaves
    mpiexec in a C exit handler, and a rank that skips it counts as killed.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    ctypes.CDLL(None).exit(code)
    raise AssertionError  # not reached
