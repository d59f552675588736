"""Where Dask's dashboard of a run is, in a file that its user alone can read: ``<run>/dashboard``.

Runs on: rank 1, which writes it; wherever somebody looks at a run, who may show it to that user.

The file has three lines: the address of the first page, that of the metrics for Prometheus, and the command that makes
both answer on another machine. Whoever knows the word in them is let in.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

#: Below the folder of a run.
FILE_NAME = "dashboard"
LOOPBACK = "127.0.0.1"
#: What the lines have to be like, so that no more is shown of a file than an address.
_LINES = re.compile(
    rf"http://{re.escape(LOOPBACK)}:(?P<port>[0-9]{{1,5}})/(?P<word>[0-9a-f]+)/status\n"
    r".*\n"
    r"ssh -L \S+ (?P<host>[\w.-]+)\n",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Address:
    """Where the dashboard is."""

    #: Name of rank 0's, which alone can connect.
    host: str
    port: int
    #: First folder of all paths: whoever knows it is let in.
    word: str

    @property
    def url(self) -> str:
        """The first page."""
        return f"http://{LOOPBACK}:{self.port}/{self.word}/status"

    @property
    def metrics_url(self) -> str:
        """What Prometheus is to read."""
        return f"http://{LOOPBACK}:{self.port}/{self.word}/metrics"

    @property
    def tunnel(self) -> str:
        """The command with which both answer on another machine."""
        return f"ssh -L {self.port}:{LOOPBACK}:{self.port} {self.host}"


def write(folder: Path, address: Address) -> Path:
    """Write the file of a run, which must not be there, and return its path; OSError if it cannot be."""
    path = folder / FILE_NAME
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"{address.url}\n{address.metrics_url}\n{address.tunnel}\n")
    return path


def read(folder: Path) -> Address | None:
    """Return where the dashboard of a run is; None if it has none, or this user may not know."""
    try:
        found = _LINES.fullmatch((folder / FILE_NAME).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return None
    return Address(found["host"], int(found["port"]), found["word"]) if found else None
