"""The connection of rank 1 to its world: a Dask client in a thread of its own.

Runs on: rank 1.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from snakemake_executor_plugin_daskmpi import apart
from snakemake_executor_plugin_daskmpi.rank import dask_config, graces

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from distributed import Client

    from snakemake_executor_plugin_daskmpi.rank.security import Credentials

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

#: How the scheduler knows rank 1's client.
CLIENT_NAME = "daskmpi"


class Link:
    """A Dask client in an event loop and daemon thread of its own, for as long as its world lives."""

    def __init__(self, scheduler_address: str) -> None:
        self.loop = asyncio.new_event_loop()
        self._address = scheduler_address
        self.client: Client = None  # type: ignore[assignment]  # connected before __init__ returns
        threading.Thread(target=self.loop.run_forever, name="daskmpi-link", daemon=True).start()
        # Around both threads: what Dask imports while it connects is ours as well.
        try:
            with apart.ours():
                self.call(self._connect(), timeout_s=60)
        finally:
            dask_config.give_back_dask_config()

    def call(self, coroutine: Coroutine[Any, Any, _T], timeout_s: float | None = None) -> _T:
        """Run a coroutine in the link's loop and return its result; TimeoutError after the timeout."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(timeout_s)

    def end_world(self) -> None:
        """Tell the scheduler, and through it all workers, to end; at most some seconds."""
        if self.client.status != "running":
            return  # it has ended
        try:
            self.call(self._shutdown(), timeout_s=graces.WORLD_S)
        except Exception as error:  # noqa: BLE001 - the world may have ended before us
            _log.info("the world was gone already: %r", error)

    async def _connect(self) -> None:
        from distributed import Client

        self.client = await Client(self._address, asynchronous=True, set_as_default=False, name=CLIENT_NAME)

    async def _shutdown(self) -> None:
        await self.client.shutdown()


class World(Protocol):
    """What the pool has to know of a world, however it was made."""

    link: Link
    n_workers: int
    #: One line for the user.
    description: str
    #: With which its ranks speak to each other; None if anyone may.
    credentials: Credentials | None

    @property
    def pids(self) -> frozenset[int]:
        """Child processes of rank 1 that are the world, for telling them from those of local rules."""

    def check(self) -> None:
        """Raise if a worker that is being waited for can never come."""

    def respawn(self, name: str) -> None:
        """Start a lost worker anew if that is this process's to do; another one does it else."""

    def close(self) -> None:
        """End the world if it was made for this run alone; the run is over."""
