"""A rank of a further allocation: it joins a world that is there, as a worker.

Runs on: every rank of a Slurm job that was submitted to let a run grow.

All of them are workers. The first one shows the ticket at rank 1's gate, and tells the others by MPI's broadcast what
it got. MPI is then over, as in any world, and each rank is the keeper of a worker that is a program of its own.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import shutil
import signal
import socket
import ssl
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi import apart
from snakemake_executor_plugin_daskmpi.errors import DaskMpiError, WorldError
from snakemake_executor_plugin_daskmpi.rank import processes, roles, security
from snakemake_executor_plugin_daskmpi.settings.flags import Settings
from snakemake_executor_plugin_daskmpi.slurm.job_times import times_of_slurm
from snakemake_executor_plugin_daskmpi.slurm.submission import leftovers
from snakemake_executor_plugin_daskmpi.worker import limits
from snakemake_executor_plugin_daskmpi.world import keeper, meeting, ticket
from snakemake_executor_plugin_daskmpi.world.gate import PACKAGE
from snakemake_executor_plugin_daskmpi.world.ticket import Ticket

if TYPE_CHECKING:
    from snakemake_executor_plugin_daskmpi.rank.roles import Seat
    from snakemake_executor_plugin_daskmpi.rank.security import Credentials

#: Seconds for the gate to answer, and until it is tried again if nothing does; and how often.
_PATIENCE_S, _PAUSE_S, _TRIES = 20.0, 2.0, 3


@dataclass(frozen=True, slots=True)
class WayIn:
    """What the ranks of a further allocation have to know."""

    #: The scheduler's address.
    address: str
    credentials: Credentials
    #: When the allocation ends, in seconds since the epoch, None if nobody says so; and its length in seconds.
    ends_at: float | None
    length_s: float


def main(told: str) -> int:
    """Be a worker of the world until it ends, or this one is sent away; return the exit code.

    Parameters
    ----------
    told
        As JSON: the settings of the run that differ from the defaults, and its folder.
    """
    apart.only_ours()
    text = os.environ.pop(ticket.VARIABLE, "")
    said = json.loads(told)
    settings, seat = Settings(**said["settings"]), roles.seat_of(os.environ) or roles.Seat(0, 1, "srun")
    for number in (signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    # Ranks 0 and 1 of the world are elsewhere: here, all are workers. One that is ended on its way has no folder.
    place = keeper.Place(settings, replace(seat, rank=seat.rank + 2, size=seat.size + 2), 0, None)
    threading.Thread(target=keeper.end_without, args=(os.getppid(), place), daemon=True).start()
    job = os.environ.get("SLURM_JOB_ID", "")
    processes.call_this(f"rank {job}.{seat.rank} daskmpi")
    # Whoever waits for one that was lost would wait for ever, in MPI, where nothing but a signal's default ends it.
    signal.alarm(settings.startup_timeout)
    hosts, way_in = _told_to_all(seat, settings, _way_in(text) if seat.rank == 0 else None)
    signal.alarm(0)
    if way_in is None:
        return 1
    keeper.pass_signals_on(place)
    place.scratch = tempfile.mkdtemp(prefix="daskmpi-")
    try:
        order = replace(
            keeper.order_of(place, _share_of(seat.rank, hosts), way_in.address, None),
            name=f"rank {job}.{seat.rank}",
            allocation=job,
            ends_at=way_in.ends_at,
            length_s=way_in.length_s,
        )
        code = keeper.serve(place, order, way_in.credentials, 1 + settings.respawn)
        if seat.rank == 0 and not keeper.is_there(way_in.address):
            # Ranks 0 and 1 may have been lost, with their node perhaps.
            leftovers.cancel_waiting(Path(said["run_dir"]))
        return code
    finally:
        shutil.rmtree(place.scratch, ignore_errors=True)


def _way_in(text: str) -> WayIn | None:
    """Return what the gate says, None if it lets nobody in: then it is said why."""
    try:
        address, credentials = ask(Ticket.read(text))
    except ValueError:
        error = WorldError(
            "This Slurm job has no ticket to join a run with.",
            seen=f"{ticket.VARIABLE} is not what a run has submitted.",
            next_step="snakemake-daskmpi grow, in the folder of a run that is going on, submits a job that has.",
        )
        print(error, file=sys.stderr, flush=True)
        return None
    except DaskMpiError as error:
        print(error, file=sys.stderr, flush=True)
        return None
    times = times_of_slurm(os.environ)
    begin, end = times or (time.time(), None)
    return WayIn(address, credentials, end, (end or begin) - begin)


def ask(told: Ticket) -> tuple[str, Credentials]:
    """Show a ticket at rank 1's gate, and return the scheduler's address and the world's credentials.

    Raises
    ------
    WorldError
        If nobody is there, or it is not who it should be, or the ticket is refused.
    """
    line = json.dumps({"word": told.word, "version": importlib.metadata.version(PACKAGE)}) + "\n"
    with _connected(told) as connection, connection.makefile("rw") as stream:
        shown = ticket.fingerprint_of(connection.getpeercert(binary_form=True) or b"")
        if shown != told.fingerprint:
            raise WorldError(
                "Whoever answers in the place of rank 1 is not the run that this Slurm job belongs to.",
                seen=f"{told.host}:{told.port} shows another certificate; nothing was said to it.",
                next_step="nothing, if that run is over: something else uses its port now.",
            )
        answer = {}
        with contextlib.suppress(OSError, ValueError):
            stream.write(line)
            stream.flush()
            answer = json.loads(stream.readline())
    if "address" not in answer:
        raise WorldError(
            "Rank 1 does not let this Slurm job in.",
            seen=answer.get("refused", f"{told.host}:{told.port} has closed the connection") + ".",
            next_step="snakemake-daskmpi grow submits another job; a ticket works once, so a job that Slurm starts a "
            "second time cannot join.",
        )
    return answer["address"], security.Credentials(**answer["credentials"])


def _connected(told: Ticket) -> ssl.SSLSocket:
    # Whom we speak to, the fingerprint tells: there is no name to check, and nobody who vouches for it.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    for tries_left in reversed(range(_TRIES)):
        try:
            plain = socket.create_connection((told.host, told.port), timeout=_PATIENCE_S)
            return context.wrap_socket(plain)
        except OSError as error:  # also all that TLS does not like
            if not tries_left:
                raise WorldError(
                    f"Rank 1 of the run that this Slurm job belongs to is not there, or cannot be reached from "
                    f"{socket.gethostname()}.",
                    seen=f"{told.host}:{told.port}: {error}.",
                    next_step="nothing, if that run is over. If it goes on, a firewall may keep this node from its "
                    "node: ask the site which ports are open between nodes of different jobs.",
                ) from error
        time.sleep(_PAUSE_S)
    raise AssertionError  # not reached


def _told_to_all(seat: Seat, settings: Settings, way_in: WayIn | None) -> tuple[list[str], WayIn | None]:
    """Return the hosts of all ranks, and what the first one was given."""
    if seat.size == 1:
        return [socket.gethostname()], way_in
    comm = meeting.meet(seat, settings)
    with meeting.talking(seat):
        keeper.wait_for_all(comm)
        hosts, way_in = comm.allgather(socket.gethostname()), comm.bcast(way_in)
        keeper.wait_for_all(comm)
        meeting.part()
    return hosts, way_in


def _share_of(rank: int, hosts: list[str]) -> limits.Share:
    """Return which of the workers of its host a rank is; all of them are workers."""
    ranks = [other for other, host in enumerate(hosts) if host == hosts[rank]]
    return limits.Share(ranks.index(rank), len(ranks))


if __name__ == "__main__":
    try:
        code = main(sys.argv[1])
    except DaskMpiError as error:
        print(error, file=sys.stderr)
        code = 1
    keeper.leave(code)
