"""Who comes to a run and who goes: workers are taken in, and it is noted who has left or was lost.

Runs on: rank 1, in the link's thread.

Dask's scheduler tells of all who come and go. The first ones are there when a run begins; others come back, or join
with a further allocation, at any time.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from snakemake_executor_plugin_daskmpi.rank import rank_log
from snakemake_executor_plugin_daskmpi.worker import rpc
from snakemake_executor_plugin_daskmpi.world import workers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from snakemake_executor_plugin_daskmpi.client.actions import Action
    from snakemake_executor_plugin_daskmpi.client.grower import Grower
    from snakemake_executor_plugin_daskmpi.client.guard import Guard
    from snakemake_executor_plugin_daskmpi.client.recorder import Recorder
    from snakemake_executor_plugin_daskmpi.client.run_state import RunState
    from snakemake_executor_plugin_daskmpi.client.worker_streams import WorkerStreams
    from snakemake_executor_plugin_daskmpi.messages import RunContext, WorkerInfo
    from snakemake_executor_plugin_daskmpi.resources import WorkerResources
    from snakemake_executor_plugin_daskmpi.world.link import World

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Reception:
    """Takes in the workers of a run, and sees them off.

    Parameters
    ----------
    world
        Whose workers they are.
    state
        Is told of them; what it asks for is given to ``do``.
    recorder
        Notes them.
    streams
        Are opened to them.
    """

    world: World
    state: RunState
    recorder: Recorder
    guard: Guard
    streams: WorkerStreams
    do: Callable[[list[Action]], None]
    #: Is told of them, too.
    grower: Grower | None = None
    _context: RunContext = field(init=False)
    #: What the scheduler has told while the run was being opened; None once it is open.
    _early: list[dict[str, Any]] | None = field(default_factory=list)
    #: Addresses of those that are being taken in.
    _coming: set[str] = field(default_factory=set)

    async def open(self, context: RunContext, timeout_s: float) -> Mapping[str, WorkerResources]:
        """Wait for all workers of the world, prepare them for a run, and return what they offer by name."""
        client, self._context = self.world.link.client, context
        client.subscribe_topic("all", lambda event: self.guard.step(lambda: self._on_cluster_event(event[1]))())
        await client.run_on_scheduler(rank_log.open_rank_log, context.run_dir)
        infos = await workers.workers_of(self.world, timeout_s)
        for info in infos:
            self._add(info)
        offers = self.state.queue.offers
        by_name = {info.name: offers[info.address] for info in infos}
        await asyncio.gather(*(self.streams.open(info.address) for info in infos))
        if infos:
            await client.run(rpc.prepare, context, workers=[info.address for info in infos])
        early, self._early = self._early or [], None
        for message in early:
            self._on_cluster_event(message)
        return by_name

    def look(self) -> None:
        """Take in whoever has come before the scheduler knew that it is to tell."""
        self.guard.in_background(self._look())

    async def _look(self) -> None:
        for address in await self.world.link.client.run_on_scheduler(workers.addresses):
            self._on_cluster_event({"action": "add-worker", "worker": address})

    def _on_cluster_event(self, message: dict[str, Any]) -> None:
        if self._early is not None:
            self._early.append(message)
            return
        address = message.get("worker", "")
        is_known = address in self.state.queue.workers
        if message.get("action") == "remove-worker" and is_known:
            self.guard.in_background(self.lose(address))
        elif message.get("action") == "add-worker" and not is_known and not self.state.is_cancelled:
            self.guard.in_background(self._welcome(address))

    # -- they come -----------------------------------------------------------------------------

    async def _welcome(self, address: str) -> None:
        """Take in a worker that was started anew, or that has joined."""
        if address in self._coming:
            return
        self._coming.add(address)
        loop = asyncio.get_running_loop()
        try:
            asked_at = loop.time()
            info: WorkerInfo = (await self.world.link.client.run(rpc.describe, workers=[address]))[address]
            await self.streams.open(address)
            await self.world.link.client.run(rpc.prepare, self._context, workers=[address])
            if info.ends_in_s is not None:
                info = dataclasses.replace(info, ends_in_s=info.ends_in_s - (loop.time() - asked_at))
        except Exception:  # noqa: BLE001 - it died again, perhaps: then the others do the rest
            _log.exception("a worker at %s came, and could not be taken in", address)
            return
        finally:
            self._coming.discard(address)
        self._add(info)

    def _add(self, info: WorkerInfo) -> None:
        self.recorder.worker(info)
        self.do(self.state.on_worker_added(info))
        if self.grower is not None:
            self.grower.on_worker_added(info)

    # -- they go -------------------------------------------------------------------------------

    async def lose(self, address: str) -> None:
        """Note that a worker is gone, once all that it has said is heard."""
        unsent = await self.streams.lose(address)
        if unsent is None:
            return
        info = self.state.queue.workers.get(address)
        # One that came back, and was lost again before it was taken in, has no name yet.
        name = info.name if info else address
        is_lost = (why := self.state.crew.why_dismissed(address)) is None
        if why is not None:
            _log.info("%s has left: %s", name, why)
            actions = self.state.on_worker_left(address)
            self.recorder.worker_left(name, why)
        else:
            _log.error("%s was lost", name)
            there = [job for job in self.state.queue.jobs.values() if job.worker == address]
            actions = self.state.on_worker_lost(address, unsent)
            self.recorder.worker_lost(name, there, comes_back=name in self.state.crew.awaited)
        self.do(actions)
        if info is not None and self.grower is not None:
            self.grower.on_worker_gone(info, lost=is_lost)

    def close(self) -> None:
        """Hear nothing any more."""
        self.world.link.client.unsubscribe_topic("all")
