"""The way into a world for further allocations: a ticket opens it once, and nothing else does."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import dask.config
import pytest

from snakemake_executor_plugin_daskmpi.errors import WorldError
from snakemake_executor_plugin_daskmpi.launch.local import LocalWorld, start_local_world
from snakemake_executor_plugin_daskmpi.rank.security import Credentials
from snakemake_executor_plugin_daskmpi.settings.flags import Settings
from snakemake_executor_plugin_daskmpi.world import join
from snakemake_executor_plugin_daskmpi.world.gate import Gate
from snakemake_executor_plugin_daskmpi.world.ticket import Ticket, fingerprint_of

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def world() -> Iterator[LocalWorld]:
    """A world of a scheduler and a worker, which listen to this host only."""
    with dask.config.set():
        world = start_local_world(Settings(), 1)
        try:
            yield world
        finally:
            world.close()


@pytest.fixture
def warnings() -> list[str]:
    """What the gate has warned of."""
    return []


@pytest.fixture
def gate(world: LocalWorld, warnings: list[str], tmp_path) -> Iterator[Gate]:
    """The open gate of the world."""
    assert world.credentials is not None
    gate = Gate(world.link, world.credentials, tmp_path, warnings.append)
    world.link.call(gate.open(), 30)
    yield gate
    world.link.loop.call_soon_threadsafe(gate.close)


def test_a_ticket_lets_in_once(gate: Gate, world: LocalWorld, warnings: list[str]):
    ticket = gate.ticket()
    address, credentials = join.ask(ticket)
    assert credentials == world.credentials
    assert not address.startswith("tls://127.")
    with pytest.raises(WorldError, match="used before"):
        join.ask(ticket)
    assert len(warnings) == 1
    assert "used before" in warnings[0]


def test_the_address_that_it_gives_is_the_scheduler_as_others_reach_it(gate: Gate, world: LocalWorld):
    address, _ = join.ask(gate.ticket())

    async def identity() -> str:
        from distributed.comm.core import connect

        comm = await connect(address, **world.link.client.connection_args)
        await comm.write({"op": "identity"})
        answer = await comm.read()
        await comm.close()
        return answer["type"]

    assert world.link.call(identity(), 30) == "Scheduler"


@pytest.mark.parametrize("change", [{"word": "x" * 43}, {"word": ""}])
def test_a_word_that_is_none_of_the_runs_lets_nobody_in(gate: Gate, warnings: list[str], change):
    with pytest.raises(WorldError, match="none of this run's"):
        join.ask(replace(gate.ticket(), **change))
    assert len(warnings) == 1


def test_a_ticket_that_was_withdrawn_lets_nobody_in(gate: Gate):
    ticket = gate.ticket()
    gate.withdraw(ticket)
    with pytest.raises(WorldError, match="no longer valid"):
        join.ask(ticket)


def test_of_another_version_nobody_gets_in_and_the_ticket_stays(gate: Gate):
    ticket = gate.ticket()
    with join._connected(ticket) as peer, peer.makefile("rw") as stream:
        stream.write(json.dumps({"word": ticket.word, "version": "0.0.2"}) + "\n")
        stream.flush()
        assert "has version 0.0.2" in json.loads(stream.readline())["refused"]
    assert join.ask(ticket)


def test_nothing_is_said_to_whoever_shows_another_certificate(gate: Gate):
    """Something else may listen at that port when the run is over: it must not get the word."""
    other = Credentials.make()
    heard: list[bytes] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    from snakemake_executor_plugin_daskmpi.rank import security

    context.load_cert_chain(security.in_memory(other))
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            with contextlib.suppress(OSError), context.wrap_socket(server.accept()[0], server_side=True) as peer:
                heard.append(peer.recv(4096))

        thread = threading.Thread(target=answer)
        thread.start()
        ticket = replace(gate.ticket(), host="127.0.0.1", port=server.getsockname()[1])
        with pytest.raises(WorldError, match="another certificate"):
            join.ask(ticket)
        thread.join()
    assert heard == [b""]


def test_a_connection_that_somebody_has_recorded_opens_nothing(gate: Gate):
    ticket = gate.ticket()
    recorded = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as proxy:

        def forward(source: socket.socket, target: socket.socket, kept: bytearray) -> None:
            with contextlib.suppress(OSError):
                while data := source.recv(65536):
                    kept.extend(data)
                    target.sendall(data)
                target.shutdown(socket.SHUT_WR)

        def serve() -> None:
            client = proxy.accept()[0]
            with client, socket.create_connection((ticket.host, ticket.port)) as server:
                back = threading.Thread(target=forward, args=(server, client, bytearray()))
                back.start()
                forward(client, server, recorded)
                back.join()

        thread = threading.Thread(target=serve)
        thread.start()
        assert join.ask(replace(ticket, host="127.0.0.1", port=proxy.getsockname()[1]))
        thread.join()
    assert ticket.word.encode() not in recorded
    with socket.create_connection((ticket.host, ticket.port), timeout=2) as again:
        again.sendall(recorded)
        again.shutdown(socket.SHUT_WR)
        heard = bytearray()
        with contextlib.suppress(OSError):
            while data := again.recv(65536):
                heard += data
    assert b"PRIVATE KEY" not in heard
    assert join.ask(gate.ticket()), "the gate goes on"


@pytest.mark.parametrize("said", [b"", b"\n", b"GET / HTTP/1.1\r\n\r\n", b"[1]\n", b'{"word": 1}\n', b"x" * 100_000])
def test_whoever_says_something_else_hears_no_secret_and_the_gate_goes_on(gate: Gate, said: bytes):
    ticket = gate.ticket()
    with contextlib.suppress(OSError), join._connected(ticket) as peer:
        peer.sendall(said)
        peer.shutdown(socket.SHUT_WR) if not said else None
        heard = peer.recv(65536) if said else b""
        assert b"PRIVATE KEY" not in heard
        assert b"address" not in heard
    assert join.ask(ticket)


def test_when_nobody_is_there_it_is_said_what_that_may_mean(gate: Gate, monkeypatch):
    monkeypatch.setattr(join, "_PAUSE_S", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(WorldError) as caught:
        join.ask(replace(gate.ticket(), host="127.0.0.1", port=port))
    assert "cannot be reached" in str(caught.value)
    assert "firewall" in str(caught.value)


def test_a_ticket_does_not_show_its_word():
    ticket = Ticket("h", 1, fingerprint_of(Credentials.make().certificate), "mellon")
    assert "mellon" not in repr(ticket)
    assert Ticket.read(ticket.text()) == ticket
    with pytest.raises(ValueError, match="x"):
        Ticket.read('{"x": 1}')
