"""How the ranks of an MPI world part: scheduler and workers serve, the client goes on.

Runs on: every rank of an MPI world, in the construction of ``ExecutorSettings``: the first moment
at which Snakemake hands control to a plugin, with the command line and profile parsed, and before
the working directory is locked or the DAG is built.
Called by: the package's ``__init__``; ``current_world`` by executor.

MPI serves to meet and to broadcast the scheduler's address, no more. Rank 1 is two processes: the
*keeper*, which is the rank to MPI, and its fork, which goes on as Snakemake. Whatever ends
Snakemake ends the world, with its exit code; an uncaught error on another rank aborts it.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from snakemake_executor_plugin_daskmpi.errors import WorldError
from snakemake_executor_plugin_daskmpi.link import Link
from snakemake_executor_plugin_daskmpi.worker import environment, forkserver, limits, runner
from snakemake_executor_plugin_daskmpi.world import meeting, processes, rank_log, roles, tuning

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from mpi4py.MPI import Intracomm

    from snakemake_executor_plugin_daskmpi.settings import Settings

_log = logging.getLogger(__name__)

#: Seconds for all ranks to come to the end of the world, which they are told of at the same time.
_MEET_AGAIN_S = 20.0


@dataclass(slots=True)
class MpiWorld:
    """A formed world, as rank 1 sees it. It lives as long as this process."""

    link: Link
    n_workers: int
    #: One line for the user.
    description: str
    #: Whether its ranks are a step of a Slurm job.
    by_srun: bool = False

    @property
    def pids(self) -> frozenset[int]:
        """None: the other ranks are not our children."""
        return frozenset()

    def check(self) -> None:
        """Nothing to check: a rank that dies before the world has met takes it along."""

    def close(self) -> None:
        """Nothing to end: another run in this process may follow."""


_world: MpiWorld | None = None


def current_world() -> MpiWorld | None:
    """Return the world that this process is rank 1 of, None outside of one."""
    return _world


def is_in_slurm_step() -> bool:
    """Say whether ``srun`` started this world, to whose processes Slurm sends SIGTERM when it ends the job."""
    return _world is not None and _world.by_srun


def enter_world(settings: Settings) -> None:
    """Form the world if a launcher started this process as one of several ranks.

    Returns on rank 1 (in a fork of it) and outside a world; never returns on the other ranks.

    Raises
    ------
    WorldError
        On one rank only, if the ranks cannot form a world.
    """
    global _world  # noqa: PLW0603 - a process is in one world at most
    seat = roles.seat_of(os.environ)
    if seat is None or _world is not None:
        return
    # Jobs may launch worlds of their own.
    os.environ.pop(roles.LAUNCHED, None)
    with meeting.first_rank_speaks(seat):
        _check_seat(settings, seat)
    # Forks come before MPI is initialised, so that no job descends from an MPI process.
    if seat.role is roles.Role.CLIENT:
        _world = _fork_client(settings, seat)
    else:
        forked = forkserver.fork() if seat.role is roles.Role.WORKER else None
        _serve(settings, seat, meeting.meet(seat, settings), forked)


def _check_seat(settings: Settings, seat: roles.Seat) -> None:
    """Raise a WorldError for what is wrong whatever MPI says."""
    if seat.size < roles.MIN_RANKS:
        example = "srun -n 3 …" if seat.said_by == "srun" else "mpiexec -n 3 …"
        raise WorldError(
            f"The MPI world has {seat.size} rank{'s' * (seat.size > 1)}; daskmpi needs at least {roles.MIN_RANKS} "
            "(scheduler, client, one worker).",
            seen=f"{seat.said_by} started {seat.size} on {socket.gethostname()}.",
            next_step=f"{example}, or leave MPI out with --daskmpi-launcher local.",
        )
    if settings.components is not None:
        parts, n_components = len(settings.components.split(",")), roles.n_components(os.environ)
        if parts not in (1, n_components):
            raise WorldError(
                f"--daskmpi-components names {parts} components, and the Slurm job has {n_components}.",
                seen=f"{settings.components!r}.",
                next_step="--daskmpi-components with one part for each component, an empty one for a component "
                "that takes no jobs.",
            )


def _fork_client(settings: Settings, seat: roles.Seat) -> MpiWorld:
    """Go on as Snakemake in a fork, while this process keeps rank 1's place in MPI."""
    keeper = os.getpid()
    address_end, keepers_end = os.pipe()
    client = os.fork()
    if client:
        os.close(address_end)
        _keep(settings, seat, client, keepers_end)
    os.close(keepers_end)
    # A process group of its own: signals reach it through the keeper, once each.
    os.setpgid(0, 0)
    processes.end_with_parent(signal.SIGTERM)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    # Local rules run here, and must not take themselves for ranks.
    environment.scrub(os.environ)
    with os.fdopen(address_end) as pipe:
        line = pipe.readline()
    if not line or os.getppid() != keeper:
        os._exit(1)  # the world did not form; the first rank says why
    tuning.apply_dask_config()
    import distributed  # noqa: F401 - makes its loggers, which are quieted next

    rank_log.quiet("rank 1", roles.Role.CLIENT)
    address, n_workers, description = json.loads(line)
    return MpiWorld(Link(address), n_workers, description, by_srun=seat.said_by == "srun")


def _keep(settings: Settings, seat: roles.Seat, client: int, address_end: int) -> NoReturn:
    """Be rank 1 to MPI while the fork is Snakemake; end the world with its exit code.

    So whatever ends Snakemake, an exit, an exception, a signal, ends the world in order, and
    nothing that it starts descends from an MPI process.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP):
        signal.signal(number, lambda number, _: processes.send(client, number))
    comm = meeting.meet(seat, settings)
    tuning.apply_dask_config()
    import dask
    import dask_mpi

    rank_log.quiet("rank 1", roles.Role.CLIENT)
    hosts = comm.allgather(socket.gethostname())
    dask_mpi.initialize(exit=False, comm=comm)
    n_workers, n_hosts = seat.size - 2, len(set(hosts))
    workers = f"{n_workers} worker{'s' * (n_workers > 1)}"
    described = f"{seat.size} ranks on {n_hosts} host{'s' * (n_hosts > 1)}: scheduler, client, {workers}"
    with os.fdopen(address_end, "w") as pipe:
        print(json.dumps([dask.config.get("scheduler_address"), n_workers, described]), file=pipe)
    _, status = os.waitpid(client, 0)
    code = os.waitstatus_to_exitcode(status)
    dask_mpi.send_close_signal()
    _leave(comm, code if code >= 0 else 128 - code)


def _leave(comm: Intracomm, code: int) -> NoReturn:
    """Leave MPI together with the others, then end this process; alone if a rank was lost."""
    from mpi4py import MPI

    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    all_are_here, deadline = comm.Ibarrier(), time.monotonic() + _MEET_AGAIN_S
    while not all_are_here.Test():
        if time.monotonic() > deadline:
            os._exit(code or 1)
        time.sleep(0.001)
    MPI.Finalize()
    # Not sys.exit: whoever called us (a test runner, a user's script) goes on only on rank 1. And not
    # os._exit: MPICH 5 leaves mpiexec in a C exit handler, and a rank that skips it counts as killed.
    ctypes.CDLL(None).exit(code)
    raise AssertionError  # not reached


def _serve(settings: Settings, seat: roles.Seat, comm: Intracomm, forked: tuple[int, Connection] | None) -> NoReturn:
    """Be the scheduler or a worker until the world ends, then end this process."""
    code = 1
    # The terminal's Ctrl-C is rank 1's to handle; it tells us to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with tempfile.TemporaryDirectory(prefix="daskmpi-") as scratch:
            tuning.apply_dask_config(scratch)
            import distributed  # noqa: F401 - makes its loggers, which are quieted next

            rank_log.quiet(f"rank {seat.rank}", seat.role)
            hosts = comm.allgather(socket.gethostname())
            if forked is None:
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                _initialize(comm, hosts)
            else:
                offer = limits.offer_of(settings, os.environ, _share(seat.rank, hosts))
                worker = runner.Runner(f"rank {seat.rank}", offer, forked[1], forked[0])
                runner.install(worker)
                # Slurm sends it to all ranks: rank 1 ends the run in order, and with it the world.
                by_srun = seat.said_by == "srun"
                signal.signal(signal.SIGTERM, signal.SIG_IGN if by_srun else lambda *_: _end_worker(worker, scratch))
                _initialize(comm, hosts, worker_options=tuning.worker_options(worker.name, offer, scratch))
                worker.close()
        code = 0
    except BaseException as error:  # noqa: BLE001 - any error on any rank ends the world
        _log.critical("rank %d ends the world", seat.rank, exc_info=True)
        print(f"daskmpi: rank {seat.rank} on {socket.gethostname()} failed: {error!r}", file=sys.stderr, flush=True)
        traceback.print_exc()
    if code:
        comm.Abort(code)
    _leave(comm, 0)


def _initialize(comm: Intracomm, hosts: list[str], **options: Any) -> None:
    import dask_mpi

    dask_mpi.initialize(
        exit=False,
        comm=comm,
        dashboard=False,
        dashboard_address="127.0.0.1:0",
        interface=_loopback() if len(set(hosts)) == 1 else None,
        **options,
    )


def _loopback() -> str | None:
    """Return the name of the loopback interface, for worlds on a single host."""
    import psutil

    addresses = psutil.net_if_addrs().items()
    return next((name for name, them in addresses if any(a.address == "127.0.0.1" for a in them)), None)


def _share(rank: int, hosts: list[str]) -> limits.Share:
    """Return which of the workers of its host a rank is."""
    everyone = [r for r, host in enumerate(hosts) if host == hosts[rank]]
    workers = [r for r in everyone if roles.Role.of(r) is roles.Role.WORKER]
    return limits.Share(workers.index(rank), len(workers), others=len(everyone) - len(workers))


def _end_worker(worker: runner.Runner, scratch: str) -> None:
    """End this rank at once; the forkserver kills the jobs when it sees the connection end."""
    worker.close()
    shutil.rmtree(scratch, ignore_errors=True)
    os._exit(128 + signal.SIGTERM)
