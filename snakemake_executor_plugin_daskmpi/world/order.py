"""What a process is told that is started as the scheduler or a worker of a world, and how it is started.

Runs on: whoever starts one (rank 1 for a local world, the keeper of a lost worker), and the process itself.
Called by: launch.local, world.keeper; read by world.serve.

The order comes as argument, the world's credentials as the first line of stdin: everyone on a machine can read command
lines. The end of stdin is the order to end.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from snakemake_executor_plugin_daskmpi.world import security

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
    #: Of the run, as keyword arguments.
    settings: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str) -> Order:
        """Read what was given as argument."""
        return cls(**json.loads(text))


def start(order: Order, credentials: security.Credentials | None, environ: Mapping[str, str]) -> subprocess.Popen[str]:
    """Start a process with an order, in a session of its own: the terminal's Ctrl-C is rank 1's to handle."""
    text = json.dumps(dataclasses.asdict(order))
    program = [sys.executable, "-P", "-m", "snakemake_executor_plugin_daskmpi.world.serve", text]
    process = subprocess.Popen(  # noqa: S603
        program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True, env=dict(environ)
    )
    assert process.stdin is not None  # noqa: S101 - it was asked for
    with contextlib.suppress(BrokenPipeError):  # it has ended, which is noticed next
        print(json.dumps(credentials and dataclasses.asdict(credentials)), file=process.stdin, flush=True)
    return process


def credentials_from_stdin() -> security.Credentials | None:
    """Return what the first line of stdin says: an object, or null. Without one, end this process."""
    line = b""
    while not line.endswith(b"\n"):
        # No buffer: what follows is the event loop's to read.
        line += (came := os.read(0, 65536))
        if not came:
            sys.exit(1)  # whoever started this process is gone
    told = json.loads(line)
    return told and security.Credentials(**told)
