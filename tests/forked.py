"""Snakemake as a fork of a process that has imported it, its plugins and Dask, instead of a start for each run.

Runs on: the machine of the tests.
Called by: harness, for the runs of most tests, which so take a fifth of the time. Programs are started for all that is
about a start or an import (the mark ``program``), for MPI's ranks, and for everything at night.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

#: The socket at which the server of this process listens, once there is one.
server = ""


class Forked:
    """A run of ``python -m snakemake``, with the interface of ``subprocess.Popen``.

    Parameters
    ----------
    in_session
        Whether it has a session of its own.
    """

    def __init__(
        self, arguments: list[str], folder: Path, environ: dict[str, str], log: Path, *, in_session: bool = True
    ) -> None:
        self.args = [sys.executable, "-m", "snakemake", *arguments]
        self.returncode: int | None = None
        # Who started it looks there at once.
        log.touch()
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.connect(_server())
        request = {
            "arguments": arguments,
            "folder": str(folder),
            "environ": {**environ, "PWD": str(folder)},
            "log": str(log),
            "in_session": in_session,
        }
        self._connection.sendall(json.dumps(request).encode() + b"\n")
        self.pid = self._answer()
        # Whoever has started a program can signal its process group at once.
        while in_session and self.poll() is None and os.getpgid(self.pid) != self.pid:
            time.sleep(0.001)

    def _answer(self) -> int:
        line = b""
        while not line.endswith(b"\n"):
            came = self._connection.recv(1)
            assert came, "the server of forks has ended"
            line += came
        return int(line)

    def poll(self) -> int | None:
        """Return its exit code, minus the signal that ended it; None while it runs."""
        if self.returncode is None and select.select([self._connection], [], [], 0)[0]:
            self.returncode = self._answer()
            self._connection.close()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return its exit code; TimeoutExpired after so many seconds."""
        if self.returncode is None:
            select.select([self._connection], [], [], timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        return code

    def send_signal(self, number: int) -> None:
        """Send it a signal."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)


def _server() -> str:
    """Return the socket of a server of forks, which is started for the first one, and ends with this process."""
    global server  # noqa: PLW0603 - one for a process
    if not server:
        folder = tempfile.mkdtemp(prefix="dm-forks-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        path = f"{folder}/socket"
        program = [sys.executable, str(Path(__file__).with_name("fork_server.py")), path]
        # Its stdin ends with this process.
        process = subprocess.Popen(
            program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", "the server of forks did not start"
        atexit.register(process.wait)
        atexit.register(process.stdin.close)
        server = path
    return server
