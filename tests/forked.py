"""Snakemake as a fork of a process that has imported it: what its own executor does, without a start for each run.

Runs on: the machine of the tests.
Called by: integration.test_corpus, for the runs that ours are compared with.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["snakemake.cli", "snakemake.executors.local", "snakemake.scheduling.milp"])


def snakemake(arguments: list[str], folder: Path, environ: dict[str, str], log: Path) -> int:
    """Run ``snakemake`` with its local executor in a folder and return its exit code."""
    process = _CONTEXT.Process(target=_be_snakemake, args=(arguments, str(folder), environ, str(log)))
    process.start()
    process.join(120)
    assert process.exitcode is not None, f"it did not end: {log.read_text()}"
    return process.exitcode


def _be_snakemake(arguments: list[str], folder: str, environ: dict[str, str], log: str) -> None:
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    sys.path[:0] = filter(None, environ.get("PYTHONPATH", "").split(os.pathsep))
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for descriptor, source in ((0, os.open(os.devnull, os.O_RDONLY)), (1, output), (2, output)):
        os.dup2(source, descriptor)
    sys.argv = ["snakemake", *arguments]
    from snakemake.cli import main

    main(arguments)
