"""The worker's end of the connection to its forkserver: the test is the forkserver, and time passes at once."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, Pipe
from typing import TYPE_CHECKING, Any

import pytest

import quick_loop
from snakemake_executor_plugin_daskmpi.messages import Grant, JobOutcome, JobSpec, OutcomeKind, RunContext
from snakemake_executor_plugin_daskmpi.rank.graces import BODY_S
from snakemake_executor_plugin_daskmpi.resources import WorkerResources
from snakemake_executor_plugin_daskmpi.worker.ending import Ending
from snakemake_executor_plugin_daskmpi.worker.runner import Runner

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from pathlib import Path

#: A process that is no child of this one, so that nobody waits for its end.
STRANGER = os.getppid()
OFFER = WorkerResources(cores=(0, 1), mem_mb=1000, disk_mb=1000)


@dataclass
class Forkservers:
    """The forkservers of a runner, one after the other, as the runner sees them."""

    folder: Path
    #: The far ends of their connections; the last one is that of the living one.
    ends: list[Connection] = field(default_factory=list)
    #: When each was started, in seconds of the loop.
    started_at: list[float] = field(default_factory=list)
    #: How many cannot be started before one can.
    refused: int = 0
    said: list[str] = field(default_factory=list)
    processes: list[int] = field(default_factory=list)

    def start(self) -> tuple[int, Connection]:
        self.started_at.append(asyncio.get_running_loop().time())
        if self.refused:
            self.refused -= 1
            raise OSError("no more processes")
        ours, theirs = Pipe(duplex=True)
        self.ends.append(theirs)
        return STRANGER, ours

    def runner(self, **context: Any) -> Runner:
        """Return a runner that is prepared for a run."""
        pid, connection = self.start()
        made = Runner("rank 2", OFFER, connection, pid, start_forkserver=self.start)
        run = RunContext("run", str(self.folder), "w", "w", b"", "Snakefile", **{"memory": "ignore", **context})
        made.prepare(run, self.said.append)
        return made

    def tell(self, *message: Any) -> None:
        """Say something as the forkserver that lives."""
        self.ends[-1].send(message)

    async def hear(self) -> tuple[Any, ...]:
        """Return what the forkserver that lives was told next."""
        await until(self.ends[-1].poll, every_s=0.001)
        return self.ends[-1].recv()

    async def come(self, count: int) -> None:
        """Wait until so many have been started."""
        await until(lambda: len(self.ends) == count, every_s=0.2)

    def die(self) -> None:
        self.ends[-1].close()

    def body(self, *, minds: bool = True) -> int:
        """Return a process that ends on SIGTERM, or does not mind it."""
        pid = os.fork()
        if pid == 0:
            with contextlib.suppress(BaseException):
                signal.signal(signal.SIGTERM, signal.SIG_DFL if minds else signal.SIG_IGN)
                os.setsid()  # which says that it is ready
                while True:
                    signal.pause()
            os._exit(1)
        while os.getpgid(pid) != pid:
            pass
        self.processes.append(pid)
        return pid

    def has_ended(self, pid: int) -> bool:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None

    def ended_by(self, pid: int) -> int:
        """Wait for the end of a body and return the signal that ended it."""
        self.processes.remove(pid)
        return -os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.fixture
def forkservers(tmp_path: Path) -> Iterator[Forkservers]:
    made = Forkservers(tmp_path)
    yield made
    for pid in made.processes:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


async def until(is_so: Callable[[], bool], every_s: float) -> None:
    """Wait for something that nothing tells of."""
    while not is_so():  # noqa: ASYNC110
        await asyncio.sleep(every_s)


def in_a_loop(test: Callable[[Forkservers], Coroutine[Any, Any, None]]) -> Callable[[Forkservers], None]:
    """Run a test in an event loop in which time passes at once."""

    def wrapped(forkservers: Forkservers) -> None:
        quick_loop.run(test(forkservers))

    wrapped.__name__ = test.__name__
    return wrapped


def spec_of(forkservers: Forkservers, key: str = "a") -> JobSpec:
    return JobSpec(key, f"rule {key}", "rule", str(forkservers.folder / f"{key}.log"))


def run(runner: Runner, spec: JobSpec) -> asyncio.Task[JobOutcome]:
    return asyncio.ensure_future(runner.run(spec, Grant((0,), (), mem_mb=10)))


def ending(code: int | None = 0, number: int | None = None, **report: Any) -> Ending:
    return Ending(code, number, 1.0, 2.0, report)


# -- a job's way -----------------------------------------------------------------------------------


@in_a_loop
async def test_a_job_is_handed_over_and_its_end_is_its_outcome(forkservers: Forkservers) -> None:
    runner = forkservers.runner()
    assert (await forkservers.hear())[0] == "context"
    outcome = run(runner, spec_of(forkservers))
    what, spec, grant = await forkservers.hear()
    assert (what, spec.key, grant.cores) == ("run", "a", (0,))
    assert dict(spec.environment)["OMP_NUM_THREADS"] == "1"
    forkservers.tell("started", "a", STRANGER)
    forkservers.tell("ended", "a", ending())
    assert (await outcome).kind is OutcomeKind.OK


@pytest.mark.parametrize(
    ("end", "reason"), [(ending(3), ""), (ending(None, 11), ""), (ending(0, failed=True, reason="odd"), "odd")]
)
def test_what_fails_is_reported_with_the_end_of_its_log(forkservers: Forkservers, end: Ending, reason: str) -> None:
    async def test() -> None:
        runner = forkservers.runner()
        spec = spec_of(forkservers)
        (forkservers.folder / "a.log").write_text("first\nlast\n")
        outcome = run(runner, spec)
        forkservers.tell("started", "a", STRANGER)
        await asyncio.sleep(0.01)
        forkservers.tell("ended", "a", end)
        found = await outcome
        assert (found.kind, found.exit_code, found.signal) == (OutcomeKind.FAILED, end.exit_code, end.signal)
        assert found.reason == reason
        assert found.log_tail.endswith("last")

    quick_loop.run(test())


@in_a_loop
async def test_what_is_said_of_an_unknown_job_is_of_no_interest(forkservers: Forkservers) -> None:
    runner = forkservers.runner()
    for what in (("started", "gone", STRANGER), ("ended", "gone", ending()), ("lingers", "gone", "sleep")):
        forkservers.tell(*what)
    outcome = run(runner, spec_of(forkservers))
    await asyncio.sleep(0.01)
    forkservers.tell("ended", "a", ending())
    assert (await outcome).kind is OutcomeKind.OK
    assert forkservers.said == []


@in_a_loop
async def test_programs_that_a_job_leaves_are_told_of_with_the_bound(forkservers: Forkservers) -> None:
    runner = forkservers.runner(linger_s=7)
    outcome = run(runner, spec_of(forkservers))
    await asyncio.sleep(0.01)
    forkservers.tell("lingers", "a", "gzip (process 7)")
    forkservers.tell("ended", "a", ending())
    await outcome
    assert forkservers.said == [
        "rule a has ended, but gzip (process 7) still runs on rank 2; waiting at most 7 s (--daskmpi-linger)."
    ]


# -- its end on order --------------------------------------------------------------------------------


@in_a_loop
async def test_a_cancelled_job_has_a_grace(forkservers: Forkservers) -> None:
    runner = forkservers.runner()
    outcome, body = run(runner, spec_of(forkservers)), forkservers.body()
    await asyncio.sleep(0.01)
    forkservers.tell("started", "a", body)
    await asyncio.sleep(0.01)
    ends = asyncio.ensure_future(runner.end_all(OutcomeKind.CANCELLED))
    await asyncio.sleep(0)
    assert forkservers.ended_by(body) == signal.SIGTERM
    forkservers.tell("ended", "a", ending(None, signal.SIGTERM))
    await ends
    assert (await outcome).kind is OutcomeKind.CANCELLED


@in_a_loop
async def test_one_that_does_not_mind_is_killed_after_it(forkservers: Forkservers) -> None:
    runner = forkservers.runner()
    outcome, body = run(runner, spec_of(forkservers)), forkservers.body(minds=False)
    await asyncio.sleep(0.01)
    forkservers.tell("started", "a", body)
    await asyncio.sleep(0.01)
    loop = asyncio.get_running_loop()
    told = loop.time()
    ends = asyncio.ensure_future(runner.end_all(OutcomeKind.TIMED_OUT, "the allocation ends"))
    await until(lambda: forkservers.has_ended(body), every_s=0.1)
    assert loop.time() - told >= BODY_S
    assert forkservers.ended_by(body) == signal.SIGKILL
    forkservers.tell("ended", "a", ending(None, signal.SIGKILL))
    await ends
    found = await outcome
    assert (found.kind, found.reason) == (OutcomeKind.TIMED_OUT, "the allocation ends")


@in_a_loop
async def test_a_second_ctrl_c_leaves_no_grace(forkservers: Forkservers) -> None:
    runner = forkservers.runner()
    run(runner, spec_of(forkservers))
    body = forkservers.body(minds=False)
    await asyncio.sleep(0.01)
    forkservers.tell("started", "a", body)
    await asyncio.sleep(0.01)
    ends = asyncio.ensure_future(runner.end_all(OutcomeKind.CANCELLED, at_once=True))
    await asyncio.sleep(0)
    assert forkservers.ended_by(body) == signal.SIGKILL
    forkservers.tell("ended", "a", ending(None, signal.SIGKILL))
    await ends


@in_a_loop
async def test_a_job_that_starts_after_the_order_gets_it_then(forkservers: Forkservers) -> None:
    runner = forkservers.runner()
    outcome = run(runner, spec_of(forkservers))
    await asyncio.sleep(0.01)
    ends = asyncio.ensure_future(runner.end_all(OutcomeKind.CANCELLED))
    await asyncio.sleep(0)
    body = forkservers.body()
    forkservers.tell("started", "a", body)
    await asyncio.sleep(0.01)
    assert forkservers.ended_by(body) == signal.SIGTERM
    forkservers.tell("ended", "a", ending(None, signal.SIGTERM))
    await ends
    assert (await outcome).kind is OutcomeKind.CANCELLED


# -- a forkserver that dies --------------------------------------------------------------------------


@in_a_loop
async def test_its_jobs_are_lost_and_the_next_one_takes_others(forkservers: Forkservers) -> None:
    runner = forkservers.runner()
    lost = run(runner, spec_of(forkservers))
    await asyncio.sleep(0.01)
    forkservers.die()
    found = await lost
    assert found.kind is OutcomeKind.LOST
    assert found.reason == "the forkserver of the worker died (unknown), and its jobs with it"
    await forkservers.come(2)
    assert (await forkservers.hear())[0] == "context"
    other = run(runner, spec_of(forkservers, "b"))
    assert (await forkservers.hear())[1].key == "b"
    forkservers.tell("ended", "b", ending())
    assert (await other).kind is OutcomeKind.OK


@in_a_loop
async def test_one_that_never_gets_ready_is_started_ever_more_slowly(forkservers: Forkservers) -> None:
    forkservers.runner()
    for n in range(1, 8):
        forkservers.die()
        await forkservers.come(n + 1)
    at = forkservers.started_at
    assert [round(later - earlier) for earlier, later in itertools.pairwise(at)] == [0, 1, 2, 4, 8, 16, 30]


@in_a_loop
async def test_one_that_was_ready_is_replaced_at_once(forkservers: Forkservers) -> None:
    forkservers.runner()
    for n in range(1, 4):
        forkservers.tell("ready", "")
        await asyncio.sleep(0.01)
        forkservers.die()
        await forkservers.come(n + 1)
    assert forkservers.started_at[-1] - forkservers.started_at[0] < 1


@in_a_loop
async def test_without_one_jobs_are_lost_with_the_reason_until_there_is_one(forkservers: Forkservers) -> None:
    runner = forkservers.runner()
    forkservers.refused = 1
    forkservers.die()
    await asyncio.sleep(0)
    waits = run(runner, spec_of(forkservers))
    assert (await waits).reason == "no forkserver could be started on the worker: no more processes"
    comes = run(runner, spec_of(forkservers, "b"))
    await forkservers.come(2)
    assert (await forkservers.hear())[0] == "context"
    assert (await forkservers.hear())[1].key == "b"
    forkservers.tell("ended", "b", ending())
    assert (await comes).kind is OutcomeKind.OK


# -- what a forkserver cannot do -----------------------------------------------------------------------


@in_a_loop
async def test_an_obstacle_of_a_run_is_known_from_then_on(forkservers: Forkservers) -> None:
    runner = forkservers.runner()
    forkservers.tell("ready", "the Snakefile cannot be parsed")
    await asyncio.sleep(0.01)
    assert runner.obstacle == "the Snakefile cannot be parsed"


@in_a_loop
async def test_a_parse_that_cannot_be_shared_is_not_and_what_runs_is_handed_on(forkservers: Forkservers) -> None:
    runner = forkservers.runner(shared_parse=True)
    assert (await forkservers.hear())[1].shared_parse
    outcome = run(runner, spec_of(forkservers))
    await forkservers.hear()
    forkservers.tell("unsharable", "it left 3 threads")
    await forkservers.come(2)
    assert not (await forkservers.hear())[1].shared_parse
    assert (await forkservers.hear())[1].key == "a"
    forkservers.tell("ended", "a", ending())
    assert (await outcome).kind is OutcomeKind.OK
    assert forkservers.said[0].startswith("--daskmpi-shared-parse has no effect: it left 3 threads.")


@in_a_loop
async def test_a_second_run_in_the_same_world_gets_a_forkserver_of_its_own(forkservers: Forkservers) -> None:
    runner = forkservers.runner()
    assert runner.context
    runner.prepare(runner.context, forkservers.said.append)
    assert len(forkservers.ends) == 2
    assert (await forkservers.hear())[0] == "context"
