"""The keeper of a rank, without MPI: the test is MPI, and children, signals, pipes, sockets and files are real ones."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from multiprocessing.connection import Pipe
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from snakemake_executor_plugin_daskmpi.rank import graces, processes
from snakemake_executor_plugin_daskmpi.rank.roles import EXIT_CODE_FILE, Seat
from snakemake_executor_plugin_daskmpi.settings.flags import Settings
from snakemake_executor_plugin_daskmpi.world import keeper
from snakemake_executor_plugin_daskmpi.world.keeper import Place
from snakemake_executor_plugin_daskmpi.world.kept_comm import KeeperGoneError, KeptComm
from snakemake_executor_plugin_daskmpi.world.serve_order import LOOPBACK, Order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection
    from pathlib import Path

SCHEDULER, CLIENT, WORKER = Seat(0, 4, "mpiexec"), Seat(1, 4, "mpiexec"), Seat(2, 4, "mpiexec")
#: What a launcher sends.
STEERING = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP)
#: An address at which nobody listens.
NOBODY = "tcp://127.0.0.1:1"


class AbortedError(Exception):
    """MPI ends the world with an exit code."""


@dataclass
class World:
    """MPI, whose other ranks say what this one says; and what is seen of it."""

    hosts: tuple[str, ...] = ("node",) * 4
    #: How often other ranks are not there yet when this one looks.
    late: int = 0
    calls: list[str] = field(default_factory=list)

    def Ibarrier(self) -> World:  # noqa: N802 - as mpi4py has it
        self.calls.append("look")
        return self

    def Test(self) -> bool:  # noqa: N802
        self.calls.append("here" if not self.late else "late")
        self.late -= bool(self.late)
        return self.calls[-1] == "here"

    def allgather(self, _item: str) -> list[str]:
        self.calls.append("allgather")
        return list(self.hosts)

    def bcast(self, item: Any, root: int = 0) -> Any:
        assert root == 0
        self.calls.append("bcast")
        return item

    def Barrier(self) -> None:  # noqa: N802
        self.calls.append("Barrier")

    def part(self) -> None:
        self.calls.append("part")

    @staticmethod
    def Abort(code: int) -> NoReturn:  # noqa: N802
        raise AbortedError(code)


@dataclass
class Rank:
    """A rank whose keeper this process is."""

    folder: Path
    seat: Seat = WORKER
    settings: Settings = field(default_factory=Settings)
    address: str = NOBODY
    world: World = field(default_factory=World)

    def keep(self, work: Callable[[], int]) -> int:
        """Be the keeper of a child that meets the world and then works; return the keeper's exit code."""

        def child(comm: KeptComm) -> int:
            meet(comm, self.address)
            return work()

        return self.keep_for(child)

    def keep_for(self, child: Callable[[KeptComm], int]) -> int:
        place, connection = self.parted(child)
        with connection:
            return keeper._keep(place, self.world, self.world.part, connection)

    def parted(self, child: Callable[[KeptComm], int]) -> tuple[Place, Connection]:
        """Part from a child, as bootstrap does."""
        ours, theirs = Pipe(duplex=True)

        def part_from_keeper() -> int:
            ours.close()
            return child(KeptComm(self.seat, theirs, 60.0))

        pid = forked(part_from_keeper)
        theirs.close()
        return Place(self.settings, self.seat, pid, str(self.folder)), ours


def meet(comm: KeptComm, address: str) -> None:
    """Do what a child does until its world stands."""
    assert len(comm.allgather("node")) == comm.Get_size()
    assert comm.bcast(None) is None
    assert comm.bcast(address) == address
    comm.Barrier()


def forked(child: Callable[[], int]) -> int:
    """Run something in a process of its own; its exit code is what comes of it, 99 if that is an error."""
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            # None outlives a test that fails for long.
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(60)
            code = child()
        finally:
            os._exit(code)
    return pid


def code_of(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def is_killed() -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


@pytest.fixture(autouse=True)
def _own_signals() -> Iterator[None]:
    """Give this process its own answers to signals back; meanwhile, none ends it."""
    before = {number: signal.signal(number, lambda *_: None) for number in STEERING}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def scheduler() -> Iterator[str]:
    """The address of something that takes connections."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield "tcp://{}:{}".format(*server.getsockname())


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that any signal ends."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


# -- the calls of MPI ----------------------------------------------------------------------------------


def test_mpi_has_made_a_childs_calls_and_is_gone_when_the_child_goes_on(tmp_path):
    rank = Rank(tmp_path, SCHEDULER)
    rank.world.part = (tmp_path / "parted").touch

    def child(comm: KeptComm) -> int:
        meet(comm, NOBODY)
        return 0 if (tmp_path / "parted").exists() else 1

    place, connection = rank.parted(child)
    with connection:
        met = keeper._make_calls(rank.world, rank.world.part, connection)
    assert code_of(place.pid) == 0
    assert met == (["node"] * 4, None, NOBODY)


def test_a_call_is_made_only_when_all_ranks_have_come_to_it(tmp_path):
    rank = Rank(tmp_path, SCHEDULER, world=World(late=2))
    rank.keep(lambda: 0)
    assert rank.world.calls[:5] == ["look", "late", "late", "here", "allgather"]
    assert rank.world.calls[-4:] == ["look", "here", "Barrier", "part"]


@pytest.mark.parametrize(("end", "code"), [(lambda: 3, 3), (lambda: 0, 1), (is_killed, 137)])
def test_a_child_that_ends_before_its_world_stands_ends_the_world_and_not_well(tmp_path, end, code):
    def child(comm: KeptComm) -> int:
        comm.allgather("node")
        return end()

    with pytest.raises(AbortedError, match=f"^{code}$"):
        Rank(tmp_path, CLIENT).keep_for(child)


def test_a_child_is_told_that_its_keeper_has_gone():
    ours, theirs = Pipe(duplex=True)
    comm = KeptComm(WORKER, theirs, 60.0)
    # Once before the answer, and once before the question.
    pid = forked(lambda: ours.recv() != ("allgather", ("node",)))
    ours.close()
    for _ in range(2):
        with pytest.raises(KeeperGoneError):
            comm.allgather("node")
    theirs.close()
    assert code_of(pid) == 0


# -- the exit code -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("end", "code"), [(lambda: 7, 7), (is_killed, 137)])
def test_the_exit_code_of_rank_1_is_its_childs_and_is_written_down(tmp_path, monkeypatch, end, code):
    monkeypatch.setenv(EXIT_CODE_FILE, str(tmp_path / "code"))
    assert Rank(tmp_path, CLIENT).keep(end) == code
    assert (tmp_path / "code").read_text() == f"{code}\n"


def test_an_exit_code_that_cannot_be_written_down_is_no_error(tmp_path, monkeypatch):
    monkeypatch.setenv(EXIT_CODE_FILE, str(tmp_path / "no folder" / "code"))
    keeper._write_down(3)
    monkeypatch.delenv(EXIT_CODE_FILE)
    keeper._write_down(3)


def test_a_keeper_ends_as_a_program_does_and_takes_the_folder_of_its_child_along(tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    rank = Rank(scratch, CLIENT)

    def keep() -> int:
        place, connection = rank.parted(lambda comm: (meet(comm, NOBODY), 5)[1])
        sys.stdout = (tmp_path / "said").open("w")
        print("all is well")
        keeper.keep(place, connection, lambda *_: rank.world, rank.world.part)

    assert code_of(forked(keep)) == 5
    assert (tmp_path / "said").read_text() == "all is well\n"
    assert not scratch.exists()


# -- a worker that is lost -----------------------------------------------------------------------------


@pytest.fixture
def anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Callable[[], list[Order]]]:
    """Have workers that are started anew be a script that ends in some way; return what tells of their orders."""

    def be(end: str) -> Callable[[], list[Order]]:
        program = tmp_path / "python"
        orders = tmp_path / "orders"
        program.write_text(
            f"#!/bin/sh\nread credentials\nfor order; do :; done\necho \"$order\" >> '{orders}'\n{end}\n"
        )
        program.chmod(0o700)
        monkeypatch.setattr(sys, "executable", str(program))
        return lambda: [Order.read(line) for line in orders.read_text().splitlines()] if orders.exists() else []

    return be


@pytest.mark.parametrize(("end", "lives"), [("exit 1", [1, 0]), ("kill -9 $$", [1, 0]), ("exit 0", [1])])
def test_a_lost_worker_is_started_anew_as_often_as_the_user_allows_or_until_it_ends_well(
    tmp_path, scheduler, anew, end, lives
):
    orders = anew(end)
    assert Rank(tmp_path, WORKER, Settings(respawn=2), scheduler).keep(is_killed) == 0
    assert [order.lives_left for order in orders()] == lives


def test_one_that_ends_well_is_not_started_anew(tmp_path, scheduler, anew):
    orders = anew("exit 0")
    assert Rank(tmp_path, WORKER, Settings(respawn=2), scheduler).keep(lambda: 0) == 0
    assert orders() == []


def test_a_worker_of_a_world_that_has_ended_is_not_started_anew(tmp_path, anew):
    orders = anew("exit 0")
    assert Rank(tmp_path, WORKER, Settings(respawn=2)).keep(is_killed) == 0
    assert orders() == []


def test_a_scheduler_is_not_started_anew_and_its_code_is_nobodys(tmp_path, monkeypatch, scheduler, anew):
    monkeypatch.setenv(EXIT_CODE_FILE, str(tmp_path / "code"))
    orders = anew("exit 0")
    assert Rank(tmp_path, SCHEDULER, Settings(respawn=2), scheduler).keep(is_killed) == 0
    assert orders() == []
    assert not (tmp_path / "code").exists()


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        (("a", "a", "a", "a"), {"host": LOOPBACK, "share": [0, 2, 2]}),
        (("a", "a", "b", "b"), {"host": None, "share": [0, 2, 0]}),
        (("a", "b", "a", "b"), {"host": None, "share": [0, 1, 1]}),
    ],
)
def test_what_is_started_anew_is_what_was_lost(tmp_path, scheduler, anew, hosts, expected):
    orders = anew("exit 0")
    settings = Settings(respawn=1, cores=3)
    Rank(tmp_path, WORKER, settings, scheduler, World(hosts)).keep(is_killed)
    (told,) = orders()
    # As it comes out of the JSON in which it is told.
    of_the_run = json.loads(json.dumps(dataclasses.asdict(settings)))
    assert told == Order(rank=2, scratch=str(tmp_path), address=scheduler, settings=of_the_run, **expected)


# -- signals -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", STEERING)
def test_a_signal_from_mpiexec_is_given_to_the_child(sleeper, number):
    keeper.pass_signals_on(Place(Settings(), WORKER, sleeper.pid, None))
    signal.raise_signal(number)
    # The first one ends it.
    sleeper.kill()
    assert sleeper.wait() == -number


def test_a_signal_from_srun_has_reached_the_child_already(sleeper):
    keeper.pass_signals_on(Place(Settings(), Seat(2, 4, "srun"), sleeper.pid, None))
    signal.raise_signal(signal.SIGINT)
    sleeper.kill()
    assert sleeper.wait() == -signal.SIGKILL


def test_a_signal_is_given_to_the_one_that_came_in_a_lost_ones_place(tmp_path, scheduler, anew):
    # It asks for a signal until it gets one, which ends it; else it ends well, and is the last one.
    orders = anew("for n in $(seq 500); do kill -USR1 $PPID; sleep 0.01; done")
    assert Rank(tmp_path, WORKER, Settings(respawn=2), scheduler).keep(is_killed) == 0
    assert [order.lives_left for order in orders()] == [1, 0]


# -- the end of the world, and of the launcher ---------------------------------------------------------


@dataclass
class Ending:
    """A world that ends after some seconds, by itself or when it is told to."""

    ends_at: float = 1e9
    ends_when_told_after: float = 1e9
    now: float = 0.0
    pauses: list[float] = field(default_factory=list)
    told_at: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def tell(self) -> None:
        self.told_at.append(self.now)
        self.ends_at = min(self.ends_at, self.now + self.ends_when_told_after)

    def see(self) -> Ending:
        keeper._see_the_end(lambda: self.now < self.ends_at, self.tell, lambda: self.now, self.sleep)
        return self


def test_a_world_that_ends_by_itself_is_seen_to_and_not_told():
    ending = Ending(ends_at=1.0).see()
    assert ending.told_at == []
    assert ending.now < 1.3
    assert Ending(ends_at=0.0).see().now < 0.1


def test_a_world_that_does_not_end_by_itself_is_told_to():
    ending = Ending(ends_when_told_after=2.0).see()
    (told_at,) = ending.told_at
    assert graces.BY_ITSELF_S < told_at < graces.BY_ITSELF_S + 1
    assert told_at + 2 <= ending.now < told_at + 3
    assert max(ending.pauses) == 0.5


def test_a_world_that_does_not_end_at_all_is_told_once_and_given_up():
    ending = Ending().see()
    assert len(ending.told_at) == 1
    assert 0 < ending.now - graces.BY_ITSELF_S - graces.WORLD_S < 1


def test_whether_anyone_listens_is_found_by_asking(scheduler):
    assert keeper.is_there(scheduler)
    assert not keeper.is_there(NOBODY)


def test_a_rank_ends_with_its_child_and_its_folder_when_its_launcher_does(tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    reader, writer = os.pipe()

    def launch() -> int:
        forked(keep)
        signal.pause()
        return 0

    def keep() -> int:
        child = forked(lambda: signal.pause() or 0)
        launcher = os.getppid()

        def kill_launcher(_: float) -> None:
            os.write(writer, b"looked\n" if scratch.exists() else b"gone\n")
            os.kill(launcher, signal.SIGKILL)
            while os.getppid() == launcher:
                pass

        keeper.end_without(launcher, Place(Settings(), WORKER, child, str(scratch)), kill_launcher)
        return 0

    launcher = forked(launch)
    os.close(writer)
    with open(reader) as pipe:
        # It ends when all of them have.
        assert pipe.read() == "looked\n"
    assert code_of(launcher) == -signal.SIGKILL
    assert not scratch.exists()


def test_rank_1_ends_in_order_when_its_launcher_is_gone():
    reader, writer = os.pipe()
    ready, say_ready = os.pipe()

    def launch() -> int:
        forked(keep)
        signal.pause()
        return 0

    def keep() -> int:
        child, launcher = forked(client), os.getppid()
        os.read(ready, 1)
        os.kill(launcher, signal.SIGKILL)
        keeper.end_without(launcher, Place(Settings(), CLIENT, child, None))
        return 0

    def client() -> int:
        signal.signal(signal.SIGTERM, lambda *_: os.write(writer, b"ends in order\n"))
        processes.end_with_parent(signal.SIGTERM)
        os.write(say_ready, b"!")
        signal.pause()
        return 0

    launcher = forked(launch)
    os.close(writer)
    with open(reader) as pipe:
        assert pipe.read() == "ends in order\n"
    assert code_of(launcher) == -signal.SIGKILL


def test_once_a_child_has_ended_a_signal_reaches_nobody(tmp_path):
    came = []
    previous = signal.signal(signal.SIGUSR1, lambda number, _: came.append(number))
    try:
        place, connection = Rank(tmp_path).parted(lambda _comm: 7)
        with connection:
            assert place.wait() == 7
            # Its number may be another process's by now, and 0 is the whole process group.
            assert place.pid == 0
            place.send(signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, previous)
    assert came == []
