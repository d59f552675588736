"""The log of a rank: kept in memory until the run has a directory, then a file.

Runs on: every rank.

Where the log belongs is known late: ``--directory`` and ``workdir:`` are resolved on rank 1
only, and a dry-run writes none. Nothing of Dask's chatter reaches the terminal in between.
"""

from __future__ import annotations

import logging
import logging.handlers
import os
import shlex
import sys
from pathlib import Path
from typing import TextIO

from snakemake_executor_plugin_daskmpi.errors import WorldError
from snakemake_executor_plugin_daskmpi.rank.roles import Role

#: Loggers that write to the rank's log instead of the terminal on every rank.
_QUIETED = (
    "distributed",
    "dask",
    "dask_mpi",
    "tornado",
    "asyncio",
    "bokeh",
    "py.warnings",
    "snakemake_executor_plugin_daskmpi",
)

_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
_memory: logging.handlers.MemoryHandler | None = None
_file: logging.Handler | None = None
_name, _role = "rank ?", Role.CLIENT


class _Handler(logging.StreamHandler[TextIO]):
    """Writes a log as long as its file takes it: a full disk is no reason for tracebacks on the terminal."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Say nothing of a file that takes no more."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


def quiet(name: str, role: Role) -> None:
    """Send what Dask and this package log to the rank's log. Call after importing distributed."""
    global _memory, _name, _role  # noqa: PLW0603 - one process has one log
    _name, _role = name, role
    if _memory is None:
        # flushLevel above CRITICAL and no target: it just keeps.
        _memory = logging.handlers.MemoryHandler(capacity=10_000, flushLevel=100)
    known = [n for n in logging.root.manager.loggerDict if n.partition(".")[0] in _QUIETED or n in _QUIETED]
    for logger_name in {*known, *_QUIETED}:
        logger = logging.getLogger(logger_name)
        logger.handlers.clear()
        logger.propagate = "." in logger_name
    for logger_name in _QUIETED:
        logger = logging.getLogger(logger_name)
        logger.addHandler(_memory)
        logger.setLevel(logging.INFO)
    logging.captureWarnings(role is not Role.CLIENT)


def rank_log_path(run_dir: str, name: str) -> Path:
    """Return where a rank's log lies.

    >>> rank_log_path("run", "rank 3").as_posix()
    'run/rank-3.log'
    """
    return Path(run_dir) / f"{name.replace(' ', '-')}.log"


def open_rank_log(run_dir: str) -> None:
    """Write the log from now on, and what it has kept so far, into the run's directory.

    On ranks that are not Snakemake, stdout and stderr go there as well: a crash's traceback and
    what native libraries print. Where it cannot be opened, those keep it in memory and go on; on
    rank 1, that the user sees, it is a WorldError.
    """
    global _file  # noqa: PLW0603 - one process has one log
    path = rank_log_path(run_dir, _name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError as error:
        if _role is Role.CLIENT:
            raise WorldError(
                "The logs of this run cannot be written.",
                seen=f"{error}.",
                next_step=f"df -h {shlex.quote(str(path.parent.parent))} shows what is free there; make room, or let "
                "that folder be a link to one with room, and run the same command again.",
            ) from error
        logging.getLogger(__name__).warning("this log is kept in memory: %s", error)
        return
    if _role is not Role.CLIENT:
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
    handler = _Handler(os.fdopen(descriptor, "w", buffering=1))
    handler.setFormatter(logging.Formatter(_FORMAT))
    for logger_name in _QUIETED:
        logger = logging.getLogger(logger_name)
        for old in (_memory, _file):
            if old is not None:
                logger.removeHandler(old)
        logger.addHandler(handler)
    if isinstance(_file, logging.StreamHandler):
        _file.stream.close()
    if _memory is not None:
        _memory.setTarget(handler)
        _memory.flush()
    _file = handler
