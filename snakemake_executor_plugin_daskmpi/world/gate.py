"""The way into a world for allocations that come later: rank 1 hands its credentials over, once for each ticket.

Runs on: rank 1, in the link's event loop.

Whoever comes has to show a ticket (:mod:`ticket`), and sees rank 1's certificate before. All else stays as it is: the
credentials are in no file and no environment. A gate is there from the first further allocation that is asked for, and
the scheduler of a world on a single host listens to other hosts from then on, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
import importlib.metadata
import json
import logging
import secrets
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snakemake_executor_plugin_daskmpi import apart
from snakemake_executor_plugin_daskmpi.rank import security
from snakemake_executor_plugin_daskmpi.slurm.submission import leftovers
from snakemake_executor_plugin_daskmpi.world.ticket import Ticket, fingerprint_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from snakemake_executor_plugin_daskmpi.rank.security import Credentials
    from snakemake_executor_plugin_daskmpi.world.link import Link

_log = logging.getLogger(__name__)

#: Seconds in which whoever comes has to say what it wants, and the most bytes of that.
_PATIENCE_S, _MOST_BYTES = 20.0, 4096
PACKAGE = "snakemake-executor-plugin-daskmpi"


def own_address() -> str:
    """Return the address at which other hosts reach this one, as far as it can tell."""
    with apart.ours():
        from distributed.utils import get_ip

    return str(get_ip())


class Gate:
    """Where further allocations ask to be let in.

    Parameters
    ----------
    link
        To the world.
    credentials
        The world's.
    run_dir
        Of the run.
    warn
        Is told of those who are refused.
    """

    def __init__(self, link: Link, credentials: Credentials, run_dir: Path, warn: Callable[[str], None]) -> None:
        self._link, self._credentials, self._run_dir, self._warn = link, credentials, run_dir, warn
        #: SHA-256 of the words of tickets: not used yet, and used or forgotten.
        self._open: set[bytes] = set()
        self._spent: set[bytes] = set()
        self._server: asyncio.Server | None = None
        self._host, self._address = "", ""
        #: Peers that were told off: each once.
        self._told: set[str] = set()

    async def open(self) -> None:
        """Listen, if that is not so yet.

        Raises
        ------
        OSError
            If this host lets nobody listen.
        """
        if self._server is not None:
            return
        self._host = own_address()
        self._address = await self._link.client.run_on_scheduler(let_grow, str(self._run_dir))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(security.in_memory(self._credentials))
        self._server = await asyncio.start_server(
            self._serve, self._host, 0, ssl=context, ssl_handshake_timeout=_PATIENCE_S, limit=_MOST_BYTES
        )

    def ticket(self) -> Ticket:
        """Issue a ticket; the gate is open."""
        assert self._server is not None  # noqa: S101 - see open
        word = secrets.token_urlsafe(32)
        self._open.add(_hash(word))
        port = self._server.sockets[0].getsockname()[1]
        return Ticket(self._host, port, fingerprint_of(self._credentials.certificate), word)

    def withdraw(self, ticket: Ticket) -> None:
        """Let nobody in with a ticket any more."""
        self._open.discard(_hash(ticket.word))
        self._spent.add(_hash(ticket.word))

    def close(self) -> None:
        """Let nobody in any more."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one who has come: whatever it says or does, the run goes on."""
        peer = str((writer.get_extra_info("peername") or ("?",))[0])
        try:
            line = await asyncio.wait_for(reader.readline(), _PATIENCE_S)
            writer.write((json.dumps(self._answer(line, peer)) + "\n").encode())
            await asyncio.wait_for(writer.drain(), _PATIENCE_S)
        except (OSError, ValueError, TimeoutError) as error:
            _log.info("%s came to the gate, and was not understood: %r", peer, error)
        finally:
            writer.close()
            with contextlib.suppress(OSError, TimeoutError):
                await asyncio.wait_for(writer.wait_closed(), _PATIENCE_S)

    def _answer(self, line: bytes, peer: str) -> dict[str, Any]:
        try:
            said = json.loads(line)
            key, version = _hash(str(said["word"])), str(said["version"])
        except (ValueError, KeyError, TypeError):
            return self._refuse(peer, "it said nothing that can be understood")
        # Hashes of random words: how long a look for one takes tells nothing of the words.
        if key in self._spent:
            return self._refuse(peer, "its ticket was used before, or is no longer valid")
        if key not in self._open:
            return self._refuse(peer, "its ticket is none of this run's")
        if version != (ours := importlib.metadata.version(PACKAGE)):
            return self._refuse(peer, f"it has version {version} of {PACKAGE}, and this run has {ours}")
        self._open.remove(key)
        self._spent.add(key)
        return {"address": self._address, "credentials": dataclasses.asdict(self._credentials)}

    def _refuse(self, peer: str, why: str) -> dict[str, Any]:
        if (text := f"{peer} asked to join this run, and was refused: {why}.") not in self._told:
            self._told.add(text)
            self._warn(text)
        return {"refused": why}


def _hash(word: str) -> bytes:
    return hashlib.sha256(word.encode()).digest()


async def let_grow(run_dir: str, dask_scheduler: Any) -> str:
    """Have the scheduler, where this runs, listen to other hosts, and return the address at which they reach it.

    When it ends, it cancels further jobs of the run that still wait in the queue: rank 1 may have been killed.
    """
    from distributed.comm.addressing import get_address_host
    from distributed.diagnostics.plugin import SchedulerPlugin

    class CancelWaiting(SchedulerPlugin):
        async def close(self) -> None:
            await asyncio.to_thread(leftovers.cancel_waiting, Path(run_dir))

    dask_scheduler.add_plugin(CancelWaiting(), name="daskmpi-leftovers")
    reachable = [listener for listener in dask_scheduler.listeners if not _is_loopback(listener.contact_address)]
    if not reachable:
        scheme = dask_scheduler.address.partition("://")[0]
        await dask_scheduler.listen(
            f"{scheme}://0.0.0.0:0",
            allow_offload=False,
            # As Dask's own listener has it.
            handshake_overrides={"pickle-protocol": 4, "compression": None},
            **dask_scheduler.security.get_listen_args("scheduler"),
        )
        reachable = dask_scheduler.listeners[-1:]
    address: str = reachable[0].contact_address
    _log.info("further allocations join at %s", get_address_host(address))
    return address


def _is_loopback(address: str) -> bool:
    from distributed.comm.addressing import get_address_host

    return get_address_host(address).startswith(("127.", "localhost", "[::1]", "::1"))
