"""How the ranks of an MPI world part: scheduler and workers serve, the client goes on.

Runs on: every rank of an MPI world, in the construction of ``ExecutorSettings``: the first moment
at which Snakemake hands control to a plugin, with the command line and profile parsed, and before
the working directory is locked or the DAG is built.

Each rank is two processes: its *keeper*, which is the rank to MPI and to the launcher (world.keeper), and a fork of it
that does the rank's work: serves, or goes on as Snakemake. Whatever ends Snakemake ends the world, with its exit code.
"""

from __future__ import annotations

import gc
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Pipe
from typing import TYPE_CHECKING, Any, NoReturn

from snakemake_executor_plugin_daskmpi.errors import WorldError
from snakemake_executor_plugin_daskmpi.rank import dask_config, job_environment, processes, rank_log, roles, security
from snakemake_executor_plugin_daskmpi.worker import forkserver, limits, rpc, runner
from snakemake_executor_plugin_daskmpi.world import dashboard, keeper, meeting
from snakemake_executor_plugin_daskmpi.world.kept_comm import KeeperGoneError, KeeperHangsError, KeptComm
from snakemake_executor_plugin_daskmpi.world.link import Link

if TYPE_CHECKING:
    from collections.abc import Callable

    from snakemake_executor_plugin_daskmpi.settings.flags import Settings

_log = logging.getLogger(__name__)

#: As dask-mpi takes it.
#: Descriptors of rank 0 and of rank 1, and for each rank: both have a connection to each worker, rank 0 several for
#: moments. The usual soft limit of 1,024 is not enough for many hundreds.
_OPEN_FILES, _OPEN_FILES_PER_RANK = 512, 4
#: Seconds for which, at most, others wait longer than rank 1 for the ranks to meet.
_LATER_S = 30.0
_WORKER_CLASS = "snakemake_executor_plugin_daskmpi.worker.dask_worker.DaskWorker"


@dataclass(slots=True)
class MpiWorld:
    """A formed world, as rank 1 sees it. It lives as long as this process."""

    link: Link
    n_workers: int
    #: One line for the user.
    description: str
    #: With which its ranks speak to each other; None if anyone may.
    credentials: security.Credentials | None
    #: Whether its ranks are a step of a Slurm job.
    by_srun: bool = False

    @property
    def pids(self) -> frozenset[int]:
        """None: the other ranks are not our children."""
        return frozenset()

    def check(self) -> None:
        """Nothing to check: a rank that dies before the world has met takes it along."""

    def respawn(self, name: str) -> None:
        """Nothing to start: the rank's keeper does."""

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
    with meeting.one_speaks(seat):
        _check_seat(settings, seat)
    # An alarm that our caller has set, a test runner's for instance, belongs to what rank 1 goes on with.
    alarm = signal.setitimer(signal.ITIMER_REAL, 0)
    # Forked before MPI is initialised, so that no job descends from an MPI process.
    if seat.role is roles.Role.CLIENT:
        comm = _part_from_keeper(settings, seat, None)
        with meeting.said_without_mpi(seat, comm):
            _world = _client(seat, comm)
        signal.setitimer(signal.ITIMER_REAL, *alarm)
    else:
        scratch = tempfile.mkdtemp(prefix="daskmpi-")
        _serve(settings, seat, _part_from_keeper(settings, seat, scratch), scratch)


def _check_seat(settings: Settings, seat: roles.Seat) -> None:
    """Raise a WorldError or SettingsError for what is wrong whatever MPI says."""
    dashboard.check(settings)
    if seat.size < roles.least_ranks(grows=settings.grow > 0):
        example = "srun -n 3 …" if seat.said_by == "srun" else "mpiexec -n 3 …"
        raise WorldError(
            f"The MPI world has {seat.size} rank{'s' * (seat.size > 1)}; daskmpi needs at least {roles.MIN_RANKS} "
            "(scheduler, client, one worker), or 2 if it may grow (--daskmpi-grow).",
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


def _part_from_keeper(settings: Settings, seat: roles.Seat, scratch: str | None) -> KeptComm:
    """Return in a fork of this process, which stays as the keeper of the rank."""
    keepers_end, our_end = Pipe(duplex=True)
    # What exists now is shared, and stays so if no garbage collection touches it.
    gc.freeze()
    parent = os.getpid()
    child = os.fork()
    if child:
        our_end.close()
        keeper.keep(keeper.Place(settings, seat, child, scratch), keepers_end)
    keepers_end.close()
    # A process group of its own: signals of a launcher reach it through the keeper, once each.
    os.setpgid(0, 0)
    processes.end_with_parent(signal.SIGTERM if seat.role is roles.Role.CLIENT else signal.SIGHUP)
    if os.getppid() != parent:
        os._exit(1)
    patience_s = float(settings.startup_timeout)
    if seat.role is not roles.Role.CLIENT:
        # Rank 1, which is the user's, gives up before the others do.
        patience_s += min(patience_s, _LATER_S)
    return KeptComm(seat, our_end, patience_s)


def _client(seat: roles.Seat, comm: KeptComm) -> MpiWorld:
    """Meet the world in this process, which goes on as Snakemake."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    processes.allow_open_files(_OPEN_FILES + _OPEN_FILES_PER_RANK * seat.size)
    # Local rules run here, and must not take themselves for ranks.
    job_environment.scrub(os.environ)
    dask_config.apply_dask_config()
    import dask
    import dask_mpi

    rank_log.quiet("rank 1", roles.Role.CLIENT)
    hosts = comm.allgather(socket.gethostname())
    security.apply(credentials := comm.bcast(None))
    dask_mpi.initialize(exit=False, comm=comm)
    n_workers, n_hosts = seat.size - 2, len(set(hosts))
    workers = f"{n_workers} worker{'s' * (n_workers != 1)}"
    described = f"{seat.size} ranks on {n_hosts} host{'s' * (n_hosts > 1)}: scheduler, client, {workers}"
    link = Link(dask.config.get("scheduler_address"))
    return MpiWorld(link, n_workers, described, credentials, by_srun=seat.said_by == "srun")


def _serve(settings: Settings, seat: roles.Seat, comm: KeptComm, scratch: str) -> NoReturn:
    """Be the scheduler or a worker until the world ends, then end this process."""
    code = 1
    try:
        forked = forkserver.fork() if seat.role is roles.Role.WORKER else None
        if forked is None:
            processes.allow_open_files(_OPEN_FILES + _OPEN_FILES_PER_RANK * seat.size)
        _end_with_keeper(lambda: _end_rank(scratch))
        # The terminal's Ctrl-C is rank 1's to handle, and so are the signals with which Slurm announces an end.
        for number in (signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, signal.SIG_IGN)
        dask_config.apply_dask_config(scratch)
        import distributed  # noqa: F401 - makes its loggers, which are quieted next

        rank_log.quiet(f"rank {seat.rank}", seat.role)
        hosts = comm.allgather(socket.gethostname())
        if forked is None:
            credentials = comm.bcast(None if settings.insecure else security.Credentials.make())
            _initialize(comm, hosts, credentials, dashboard.preloads(settings))
            code = 0
        else:
            offer = limits.offer_of(settings, os.environ, limits.share_of(seat.rank, hosts))
            worker = runner.Runner(f"rank {seat.rank}", offer, forked[1], forked[0], settings.respawn)
            code = _work(comm, hosts, worker, scratch)
    except KeeperGoneError:
        pass
    except KeeperHangsError:
        if seat.rank == 0:  # rank 1 has not come
            print(meeting.not_met(seat, settings.startup_timeout), file=sys.stderr, flush=True)
        os.kill(os.getppid(), signal.SIGKILL)  # our keeper, which may be anywhere in MPI
    except BaseException as error:  # noqa: BLE001 - the end of this rank, whatever it is
        _log.critical("rank %d ends", seat.rank, exc_info=True)
        print(f"daskmpi: rank {seat.rank} on {socket.gethostname()} failed: {error!r}", file=sys.stderr, flush=True)
        traceback.print_exc()
    shutil.rmtree(scratch, ignore_errors=True)
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _work(comm: KeptComm, hosts: list[str], worker: runner.Runner, scratch: str) -> int:
    """Be a worker until the world ends, and return the exit code: not 0 for one that is to be started anew."""
    from snakemake_executor_plugin_daskmpi.worker.dask_worker import WorkerRemovedError

    rpc.install(worker)
    _end_with_keeper(lambda: _end_rank(scratch, worker))
    options = dask_config.worker_options(worker.name, worker.offer, scratch)
    try:
        _initialize(comm, hosts, comm.bcast(None), [], worker_class=_WORKER_CLASS, worker_options=options)
    except WorkerRemovedError as error:
        _log.error("%s ends, and the world goes on: %s", worker.name, error)
        return 1
    finally:
        worker.close()
    return 0


def _initialize(
    comm: KeptComm, hosts: list[str], credentials: security.Credentials | None, preloads: list[str], **options: Any
) -> None:
    import dask
    import dask_mpi

    security.apply(credentials)
    preloads = ["snakemake_executor_plugin_daskmpi.world.scheduler_end", *preloads]
    dask.config.set({"distributed.scheduler.preload": preloads})
    dask_mpi.initialize(
        exit=False,
        comm=comm,
        dashboard=False,
        dashboard_address="127.0.0.1:0",
        interface=_loopback() if len(set(hosts)) == 1 else None,
        protocol=security.protocol_of(credentials),
        **options,
    )


def _end_with_keeper(end: Callable[[], NoReturn]) -> None:
    """Have this rank end at once when its keeper dies. A SIGTERM is for rank 1, which drains, or ends the world."""
    keeper_pid = os.getppid()

    def on_signal(_number: int, _: object) -> None:
        if os.getppid() != keeper_pid:
            end()

    for number in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, on_signal)


def _loopback() -> str | None:
    """Return the name of the loopback interface, for worlds on a single host."""
    import psutil

    addresses = psutil.net_if_addrs().items()
    return next((name for name, them in addresses if any(a.address == "127.0.0.1" for a in them)), None)


def _end_rank(scratch: str, worker: runner.Runner | None = None) -> NoReturn:
    """End this rank at once; the forkserver kills the jobs when it sees the connection end."""
    if worker is not None:
        worker.close()
    shutil.rmtree(scratch, ignore_errors=True)
    os._exit(128 + signal.SIGTERM)
