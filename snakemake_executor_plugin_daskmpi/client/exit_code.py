"""The exit code of a run that ended in order with jobs left: 75.

Runs on: rank 1, whose keeper passes the code on; or the process that is Snakemake.

75 is ``EX_TEMPFAIL`` of sysexits.h: the same command continues. Snakemake itself knows 0 and 1 only.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType


def is_command_line() -> bool:
    """Say whether Snakemake's command line is all that this process runs: then its exit code is ours to set.

    A script that calls Snakemake's ``main`` may catch its exit, and one that uses the Python API gets an exception.
    """
    main = getattr(sys.modules.get("snakemake.cli"), "main", None)
    frame: FrameType | None = sys._getframe()  # noqa: SLF001 - inspect.stack() reads source files
    while frame is not None and frame.f_code is not getattr(main, "__code__", None):
        frame = frame.f_back
    caller = frame.f_back if frame else None
    return caller is not None and caller.f_code.co_name == "<module>" and caller.f_globals.get("__name__") == "__main__"


def end_with(code: int) -> None:
    """Have this process end with an exit code, whatever Snakemake makes of the run."""

    def end() -> None:
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

    atexit.register(end)
