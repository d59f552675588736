"""Servers that workflows of the tests get their files from, each on a free port of this machine.

Runs on: the machine of the tests.
Called by: integration.test_conformance, integration.test_corpus.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from required import skip_or_fail
from runs import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Server:
    """A server that a Python module is the program of."""

    module: str
    #: Arguments; ``{port}`` stands for the port, ``{folder}`` for what it serves.
    arguments: tuple[str, ...]
    #: What speaks to it.
    plugin: str

    @property
    def missing(self) -> list[str]:
        """What is not installed of server and plugin."""
        return [name for name in (self.module.partition(".")[0], self.plugin) if not importlib.util.find_spec(name)]

    @contextlib.contextmanager
    def running(self, folder: str = os.devnull) -> Iterator[str]:
        """Start it, yield its address, and end it."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        arguments = [argument.format(port=port, folder=folder) for argument in self.arguments]
        process = subprocess.Popen(
            [sys.executable, "-m", self.module, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            wait_until(lambda: _answers(port), on_timeout=lambda: f"{self.module} does not answer on port {port}")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait()


S3 = Server("moto.server", ("-H", "127.0.0.1", "-p", "{port}"), "snakemake_storage_plugin_s3")
HTTP = Server("http.server", ("-b", "127.0.0.1", "-d", "{folder}", "{port}"), "snakemake_storage_plugin_http")

SERVERS = {"s3": S3, "http": HTTP}


def require_server(server: Server) -> None:
    """Skip a test aloud if a server or its plugin is missing; fail instead if ``DASKMPI_REQUIRE`` says storage."""
    if server.missing:
        skip_or_fail("storage", f"{server.missing} are not installed; pip install '.[test]' lifts this")


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
