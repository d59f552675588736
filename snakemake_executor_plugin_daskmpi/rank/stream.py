"""What rank 1 and a worker say to each other while a run goes on, in batches.

Runs on: rank 1 and ranks >= 2, in their event loops.

All that is said in one turn of a loop travels together, and in its order. The connection is one of Dask's: it has TLS
where the world has, and finds out when the other end is gone.
"""

from __future__ import annotations

import asyncio
import logging
import pickle
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from distributed.comm.core import Comm

_log = logging.getLogger(__name__)

#: A message: a word, and what belongs to it.
Message = tuple[Any, ...]


class Stream:
    """One end of a connection.

    Parameters
    ----------
    comm
        The connection, which nothing else uses.
    """

    #: What Dask calls a request for one.
    OP = "daskmpi_stream"

    def __init__(self, comm: Comm) -> None:
        self._comm = comm
        self._unsent: list[bytes] = []
        self._sending: asyncio.Task[None] | None = None

    def send(self, *message: Any) -> None:
        """Say something soon. If the other end is gone, nobody hears it.

        Raises
        ------
        Exception
            Whatever a part of the message raises that cannot be pickled: then nothing is sent.
        """
        self._unsent.append(pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL))
        if self._sending is None:
            self._sending = asyncio.ensure_future(self._send())

    async def _send(self) -> None:
        try:
            while self._unsent:
                batch, self._unsent = self._unsent, []
                await self._comm.write(batch)
        except OSError as error:
            _log.info("nobody hears what is said to %s: %s", self._comm.peer_address, error)
            self._comm.abort()
        finally:
            self._sending = None

    async def batches(self) -> AsyncIterator[list[Message]]:
        """Yield what the other end says, until it is gone or this one is closed."""
        while True:
            try:
                batch = await self._comm.read()
            except OSError as error:
                _log.info("%s says nothing any more: %s", self._comm.peer_address, error)
                return
            yield [pickle.loads(message) for message in batch]  # noqa: S301 - from a rank of this world

    def close(self) -> None:
        """Close this end; the other one sees it."""
        self._comm.abort()
