"""Rank 1's streams to its workers: jobs and orders go there, outcomes come back.

Runs on: rank 1, in the link's thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.rank import graces
from snakemake_executor_plugin_daskmpi.rank.dask_config import DASK_CONFIG
from snakemake_executor_plugin_daskmpi.rank.stream import Stream
from snakemake_executor_plugin_daskmpi.worker import rpc
from snakemake_executor_plugin_daskmpi.world import workers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from distributed import Client

    from snakemake_executor_plugin_daskmpi.client.guard import Guard
    from snakemake_executor_plugin_daskmpi.messages import Grant, JobOutcome, JobSpec, OutcomeKind


class WorkerStream:
    """The stream to a worker, which hears all that is said before its end.

    Parameters
    ----------
    stream
        Open.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._numbers = itertools.count()
        #: Orders to end all jobs, until they are carried out.
        self._ending: dict[int, asyncio.Future[None]] = {}
        self._end = asyncio.Event()

    @classmethod
    async def open(cls, client: Client, address: str) -> WorkerStream:
        """Connect to a worker; OSError if it is not there."""
        from distributed.comm.core import connect

        # Explicitly: by now, the configuration of Dask in this process is the user's.
        timeout = DASK_CONFIG["distributed.comm.timeouts.connect"]
        comm = await connect(address, timeout=timeout, **client.connection_args)
        await comm.write({"op": Stream.OP, "reply": False})
        return cls(Stream(comm))

    async def listen(self, on_outcomes: Callable[[list[JobOutcome]], None], on_note: Callable[[str], None]) -> None:
        """Hear what the worker says, until it is gone.

        Parameters
        ----------
        on_outcomes
            Is given outcomes that have come together.
        on_note
            Is given what the user is to read.
        """
        try:
            async for batch in self._stream.batches():
                outcomes = []
                for message in batch:
                    match message:
                        case ("outcome", outcome):
                            outcomes.append(outcome)
                        case ("note", text):
                            on_note(text)
                        case ("jobs ended", number):
                            self._ending.pop(number).set_result(None)
                if outcomes:
                    on_outcomes(outcomes)
        finally:
            for waiting in self._ending.values():
                waiting.cancel()
            self._end.set()

    @property
    def has_ended(self) -> bool:
        """Whether all that came was heard, and nothing more can come."""
        return self._end.is_set()

    async def end(self, timeout_s: float) -> None:
        """Wait for its end, or end it after the timeout."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._end.wait(), timeout_s)
        self._stream.close()

    def run(self, spec: JobSpec, grant: Grant) -> None:
        """Have a job run."""
        self._stream.send("run", spec, grant)

    def end_job(self, key: str, reason: str) -> None:
        """Have one job ended, if it still runs."""
        self._stream.send("end job", key, reason)

    def end_jobs(self, kind: OutcomeKind, reason: str, *, at_once: bool) -> asyncio.Future[None]:
        """Have all jobs ended that were sent before; done when they have ended, cancelled if the worker goes."""
        number = next(self._numbers)
        self._ending[number] = asyncio.get_running_loop().create_future()
        if self.has_ended:
            self._ending[number].cancel()
        self._stream.send("end jobs", number, kind, reason, at_once)
        return self._ending[number]

    def dismiss(self) -> None:
        """Let the worker go, which has no jobs."""
        self._stream.send("leave")

    def close(self) -> None:
        """Hear nothing any more."""
        self._stream.close()


class WorkerStreams:
    """The streams to all workers of a run.

    Parameters
    ----------
    client
        Knows how to connect, and the scheduler.
    guard
        Of the loop.
    on_removed
        Is given the address of a worker that is gone; not the only one to tell of it.
    on_outcomes, on_note
        See :meth:`WorkerStream.listen`.
    """

    def __init__(
        self,
        client: Client,
        guard: Guard,
        on_removed: Callable[[str], Awaitable[None]],
        on_outcomes: Callable[[list[JobOutcome]], None],
        on_note: Callable[[str], None],
    ) -> None:
        self._client, self._guard, self._on_removed = client, guard, on_removed
        self._on_outcomes, self._on_note = on_outcomes, on_note
        self._streams: dict[str, WorkerStream] = {}
        #: Jobs for workers that cannot be reached any more, which are about to be lost.
        self._unsent: dict[str, set[str]] = {}
        #: Workers that were let go.
        self._dismissed: set[str] = set()
        self._is_closed = False

    async def open(self, address: str) -> None:
        """Connect to a worker; OSError if it is not there."""
        self._streams[address] = stream = await WorkerStream.open(self._client, address)
        self._guard.in_background(self._listen(address, stream))
        if address in self._dismissed:
            stream.dismiss()

    async def _listen(self, address: str, stream: WorkerStream) -> None:
        await stream.listen(self._on_outcomes, self._on_note)
        if not self._is_closed and address in self._streams:
            await self._remove(address)

    async def _remove(self, address: str) -> None:
        """Have a worker removed that cannot be heard any more, as soon as nothing runs there that may run elsewhere.

        The scheduler tells of it; that may take a while where the time of day was set back.
        """
        if address not in self._dismissed:  # else it has no jobs, and does not answer any more
            with contextlib.suppress(OSError, TimeoutError):
                ending = self._client.run(rpc.end_jobs, workers=[address], on_error="ignore")
                await asyncio.wait_for(ending, graces.CANCEL_S)
        try:
            await self._client.run_on_scheduler(workers.remove, address)
        except OSError:
            return  # the scheduler has gone, too: whoever looks for it tells
        await self._on_removed(address)

    def run(self, address: str, spec: JobSpec, grant: Grant) -> None:
        """Have a job run by a worker."""
        stream = self._streams.get(address)
        if stream is None or stream.has_ended:
            self._unsent.setdefault(address, set()).add(spec.key)
        else:
            stream.run(spec, grant)

    def end_job(self, address: str, key: str, reason: str) -> None:
        """Have a worker end a job, if both are still there."""
        if (stream := self._streams.get(address)) is not None:
            stream.end_job(key, reason)

    def dismiss(self, address: str) -> None:
        """Let a worker go that has no jobs: it ends in order."""
        self._dismissed.add(address)
        if (stream := self._streams.get(address)) is not None:
            stream.dismiss()

    def end_jobs(
        self, kind: OutcomeKind, reason: str, *, at_once: bool, address: str = ""
    ) -> asyncio.Future[list[BaseException | None]]:
        """Have all jobs ended that were sent before; done when they have ended, or their workers have.

        Parameters
        ----------
        address
            Of the only worker that is meant; "" for all.
        """
        meant = [stream for where, stream in self._streams.items() if address in ("", where)]
        orders = [stream.end_jobs(kind, reason, at_once=at_once) for stream in meant]
        return asyncio.gather(*orders, return_exceptions=True)

    async def lose(self, address: str) -> set[str] | None:
        """Forget a worker that is gone, once all that it has said is heard.

        Returns
        -------
        :
            Keys of the jobs that it never heard of; None if it was forgotten before.
        """
        stream = self._streams.pop(address, None)
        if stream is None:
            return None
        self._dismissed.discard(address)
        await stream.end(graces.LAST_WORDS_S)
        return self._unsent.pop(address, set())

    def close(self) -> None:
        """Hear nothing any more."""
        self._is_closed = True
        for stream in self._streams.values():
            stream.close()
