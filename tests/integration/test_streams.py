"""Streams between rank 1 and a worker, over real connections: nothing is lost, mixed up, or waited for in vain."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from snakemake_executor_plugin_daskmpi.client.guard import Guard
from snakemake_executor_plugin_daskmpi.client.worker_streams import WorkerStream, WorkerStreams
from snakemake_executor_plugin_daskmpi.messages import Grant, JobOutcome, JobSpec, OutcomeKind
from snakemake_executor_plugin_daskmpi.rank.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

OUTCOME = JobOutcome("a", OutcomeKind.OK)


class Ends:
    """Both ends of a connection."""

    async def open(self) -> None:
        from distributed.comm.core import connect, listen

        came: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        is_over = asyncio.Event()

        async def take(comm: Any) -> None:
            came.set_result(comm)
            await is_over.wait()

        self.listener = await listen("tcp://127.0.0.1:0", take)
        self.here = await connect(self.listener.contact_address)
        self.there = await came

    def close(self) -> None:
        self.here.abort()
        self.there.abort()
        self.listener.stop()


def with_both_ends(test: Callable[[Ends], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def wrapped() -> None:
        async def run() -> None:
            await (ends := Ends()).open()
            try:
                await asyncio.wait_for(test(ends), 60)
            finally:
                ends.close()

        asyncio.run(run())

    wrapped.__name__ = test.__name__
    return wrapped


@with_both_ends
async def test_what_is_said_in_one_turn_comes_together_and_in_its_order(ends: Ends) -> None:
    stream = Stream(ends.here)
    for number in range(100):
        stream.send("number", number)
    async for batch in Stream(ends.there).batches():
        assert batch == [("number", number) for number in range(100)]
        break


@with_both_ends
async def test_what_is_said_while_another_batch_is_on_its_way_comes_after_it(ends: Ends) -> None:
    stream, heard = Stream(ends.here), []
    stream.send("large", b"x" * 30_000_000)
    await asyncio.sleep(0)
    stream.send("small")
    async for batch in Stream(ends.there).batches():
        heard += [word for word, *_ in batch]
        if len(heard) == 2:
            break
    assert heard == ["large", "small"]


@with_both_ends
async def test_the_end_of_one_end_is_the_end_of_the_other(ends: Ends) -> None:
    one, other = Stream(ends.here), Stream(ends.there)
    one.close()
    assert [batch async for batch in other.batches()] == []
    other.send("nobody hears this")
    await asyncio.sleep(0.01)
    assert [batch async for batch in one.batches()] == []


@with_both_ends
async def test_what_cannot_be_sent_is_an_error_at_once_and_the_rest_is_sent(ends: Ends) -> None:
    stream = Stream(ends.here)
    with pytest.raises(TypeError, match="cannot pickle"):
        stream.send("lock", threading.Lock())
    stream.send("word")
    async for batch in Stream(ends.there).batches():
        assert batch == [("word",)]
        break


@with_both_ends
async def test_all_that_a_worker_has_said_is_heard_before_its_end(ends: Ends) -> None:
    worker, outcomes, notes = Stream(ends.there), [], []
    worker.send("outcome", OUTCOME)
    worker.send("note", "it lingers")
    await asyncio.sleep(0.1)
    await ends.there.close()
    stream = WorkerStream(Stream(ends.here))
    await stream.listen(outcomes.extend, notes.append)
    assert (outcomes, notes) == ([OUTCOME], ["it lingers"])
    assert stream.has_ended


@with_both_ends
async def test_an_order_to_end_jobs_comes_after_the_jobs_and_is_done_when_they_have_ended(
    ends: Ends,
) -> None:
    stream, worker = WorkerStream(Stream(ends.here)), Stream(ends.there)
    listening = asyncio.ensure_future(stream.listen(lambda _: None, lambda _: None))
    stream.run(JobSpec("a", "rule a", "a", "log"), Grant())
    done = stream.end_jobs(OutcomeKind.CANCELLED, "why", at_once=True)
    async for batch in worker.batches():
        (first, spec, _), (second, number, *order) = batch
        assert (first, spec.key, second) == ("run", "a", "end jobs")
        assert order == [OutcomeKind.CANCELLED, "why", True]
        assert not done.done()
        worker.send("jobs ended", number)
        break
    await done
    worker.close()
    await listening


@with_both_ends
async def test_an_order_to_a_worker_that_goes_is_not_waited_for(ends: Ends) -> None:
    stream = WorkerStream(Stream(ends.here))
    done = stream.end_jobs(OutcomeKind.CANCELLED, "", at_once=False)
    ends.there.abort()
    await stream.listen(lambda _: None, lambda _: None)
    assert done.cancelled()
    assert stream.end_jobs(OutcomeKind.CANCELLED, "", at_once=False).cancelled()


@with_both_ends
async def test_of_two_workers_that_go_each_gives_back_the_jobs_that_it_never_heard_of(ends: Ends) -> None:
    heard: list[Any] = []
    streams = WorkerStreams(None, Guard(heard.append), heard.append, heard.append, heard.append)
    for address, comm in (("tcp://2", ends.here), ("tcp://3", ends.there)):
        comm.abort()
        streams._streams[address] = stream = WorkerStream(Stream(comm))
        await stream.listen(heard.append, heard.append)
        streams.run(address, JobSpec(f"for {address}", "rule a", "a", "log"), Grant())
    assert await streams.lose("tcp://2") == {"for tcp://2"}
    assert await streams.lose("tcp://3") == {"for tcp://3"}
    assert await streams.lose("tcp://3") is None
    assert heard == []


@with_both_ends
async def test_a_worker_that_says_nothing_and_does_not_go_is_left_after_the_timeout(ends: Ends) -> None:
    stream = WorkerStream(Stream(ends.here))
    listening = asyncio.ensure_future(stream.listen(lambda _: None, lambda _: None))
    await stream.end(timeout_s=0.01)
    await listening
    assert stream.has_ended
