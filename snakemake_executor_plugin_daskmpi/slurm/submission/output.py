"""A job's output file, shown as it grows.

Runs on: the login node.
"""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.slurm.submission.status_line import LINE

if TYPE_CHECKING:
    from pathlib import Path

#: How much one sees who attaches later.
_TAIL_BYTES = 8192
_CHUNK_BYTES = 2**16


@dataclass(slots=True)
class Output:
    """The file, and how much of it was shown."""

    path: Path
    #: Whether nobody reads what we show any more: the terminal or the pipe is gone.
    is_unread: bool = False
    _shown: int = 0

    def __str__(self) -> str:
        """Return where it is, as short as may be."""
        return min(str(self.path), os.path.relpath(self.path), key=len)

    def skip(self) -> None:
        """Begin with the last lines of what is there."""
        with contextlib.suppress(OSError), self.path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL_BYTES))
            if file.tell():
                file.readline()
            self._shown = file.tell()

    def copy(self) -> bool:
        """Show what came since, on stderr where Snakemake's log goes; say whether anything did.

        The file is opened anew each time: so a shared file system tells its real length.
        """
        came = False
        with contextlib.suppress(OSError), self.path.open("rb") as file:
            file.seek(self._shown)
            while chunk := file.read(_CHUNK_BYTES):
                came = True
                self._shown += len(chunk)
                self._write(chunk)
        return came

    def _write(self, chunk: bytes) -> None:
        if self.is_unread:
            return
        LINE.clear()
        LINE.is_at_begin = chunk.endswith(b"\n")
        try:
            sys.stderr.buffer.write(chunk)
            sys.stderr.flush()
        except OSError:
            self.is_unread = True
