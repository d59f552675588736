"""Snakemake as a fork of a process that has imported it and its plugins, without a start for each run.

Runs on: the machine of the tests.
Called by: integration.test_corpus, for its hundreds of runs; other tests start the program.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import subprocess
import sys
from multiprocessing import forkserver
from pathlib import Path
from unittest import mock

_FOLDER = str(Path(__file__).parent)
_CONTEXT = multiprocessing.get_context("forkserver")
# Its server keeps silent about what it does not find.
_CONTEXT.set_forkserver_preload(
    ["snakemake.cli", "snakemake.executors.local", "snakemake.scheduling.milp", "with_plugins"]
)


def snakemake(arguments: list[str], folder: Path, environ: dict[str, str], log: Path, timeout_s: float = 270.0) -> int:
    """Run ``python -m snakemake`` in a folder and return its exit code."""
    if "PYTHONPATH" in environ:
        # It may add plugins, and they are found when Snakemake starts.
        with log.open("ab") as output:
            command = [sys.executable, "-m", "snakemake", *arguments]
            null = subprocess.DEVNULL
            return subprocess.run(
                command,
                cwd=folder,
                env=environ,
                stdin=null,
                stdout=output,
                stderr=output,
                timeout=timeout_s,
                check=False,
            ).returncode
    environ = {**environ, "PWD": str(folder)}
    with mock.patch.dict(os.environ, {"PYTHONPATH": _FOLDER}):
        forkserver.ensure_running()
    process = _CONTEXT.Process(target=_be_snakemake, args=(arguments, str(folder), environ, str(log)))
    process.start()
    process.join(timeout_s)
    assert process.exitcode is not None, f"it did not end: {log.read_text()}"
    return process.exitcode


def _be_snakemake(arguments: list[str], folder: str, environ: dict[str, str], log: str) -> None:
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    sys.path[:] = [entry for entry in sys.path if entry != _FOLDER]
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for descriptor, source in ((0, os.open(os.devnull, os.O_RDONLY)), (1, output), (2, output)):
        os.dup2(source, descriptor)
    sys.argv = ["snakemake", *arguments]
    sys.orig_argv = [sys.executable, "-m", "snakemake", *arguments]
    runpy.run_module("snakemake", run_name="__main__", alter_sys=True)
