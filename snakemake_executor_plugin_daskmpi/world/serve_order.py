"""What a process is told that is started as the scheduler or a worker of a world, and how it is started.

Runs on: whoever starts one (rank 1 for a local world, the keeper of a lost worker), and the process itself.

The order comes as argument, or to a fork that waits for one as a line of stdin. The world's credentials come as the
next line of stdin: everyone on a machine can read command lines. The end of stdin is the order to end.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, Protocol

from snakemake_executor_plugin_daskmpi.rank import security

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The address of everything in a world on one host.
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Order:
    """What the process is to be."""

    rank: int
    #: Folder for what Dask writes.
    scratch: str
    #: Of the network interface at which it listens; None leaves it to Dask.
    host: str | None = LOOPBACK
    #: For a worker: the scheduler's address, which of its host's workers it is, and how many cores they offer together.
    address: str = ""
    share: tuple[int, int, int] = (0, 1, 0)
    cores: int | None = None
    #: How many more times it is started anew when it is lost.
    lives_left: int = 0
    #: Of the run, as keyword arguments.
    settings: dict[str, Any] = field(default_factory=dict)
    #: What it is called in messages, if not by its rank: those of a further allocation have ranks of their own.
    name: str = ""
    #: For a worker of a further allocation: Slurm's id of that, when it ends in seconds since the epoch, None if it
    #: lasts as long as the run, and its whole length in seconds.
    allocation: str = ""
    ends_at: float | None = None
    length_s: float = 0.0

    @classmethod
    def read(cls, text: str) -> Order:
        """Read what was given as argument."""
        return cls(**json.loads(text))


class Server(Protocol):
    """A process that serves as told: the part of ``subprocess.Popen`` that a world needs of it."""

    @property
    def pid(self) -> int:
        """Its process."""

    @property
    def stdin(self) -> IO[str] | None:
        """What it is told, and then nothing until its end."""

    @property
    def stdout(self) -> IO[str] | None:
        """What it answers."""

    @property
    def returncode(self) -> int | Any:
        """Its exit code, minus the signal that ended it."""

    def poll(self) -> int | None:
        """Return its exit code, None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return its exit code; TimeoutExpired after so many seconds."""

    def kill(self) -> None:
        """Kill it."""


def start(order: Order, credentials: security.Credentials | None, environ: Mapping[str, str]) -> subprocess.Popen[str]:
    """Start a process with an order, in a session of its own: the terminal's Ctrl-C is rank 1's to handle."""
    program = [sys.executable, "-P", "-m", "snakemake_executor_plugin_daskmpi.world.serve", _written(order)]
    process = subprocess.Popen(  # noqa: S603
        program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True, env=dict(environ)
    )
    _tell(process, _written(credentials))
    return process


def give(order: Order, credentials: security.Credentials | None, waiting: Server) -> None:
    """Give an order to a process that waits for one."""
    _tell(waiting, _written(order), _written(credentials))


def _written(told: Order | security.Credentials | None) -> str:
    return json.dumps(told and dataclasses.asdict(told))


def _tell(process: Server, *lines: str) -> None:
    with contextlib.suppress(BrokenPipeError):  # it has ended, which is noticed next
        print(*lines, sep="\n", file=process.stdin, flush=True)


def line_of_stdin() -> str:
    """Return the next line of stdin; where it ends, end this process."""
    line = b""
    while not line.endswith(b"\n"):
        # No buffer: what follows is the event loop's to read.
        line += (came := os.read(0, 1))
        if not came:
            sys.exit(1)  # whoever started this process is gone
    return line.decode()


def credentials_from_stdin() -> security.Credentials | None:
    """Return what the next line of stdin says: an object, or null."""
    told = json.loads(line_of_stdin())
    return told and security.Credentials(**told)
