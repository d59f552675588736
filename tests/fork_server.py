"""A process that has imported Snakemake, its plugins and Dask, and forks runs of Snakemake: ``fork_server.py SOCKET``.

Runs on: the machine of the tests, started by :mod:`forked`, until its stdin ends.

A request is a line of JSON on a connection of its own; the answers are lines, too: the process, then its exit code.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import os
import runpy
import selectors
import shlex
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, NoReturn

import forked

#: Prints what a command line of Snakemake would have been run with.
_TELL = "import json, os, sys; print(json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]))"


def import_all() -> None:
    """Import what runs of Snakemake import."""
    import dask
    import snakemake.executors.local
    import snakemake.scheduling.milp  # noqa: F401
    from snakemake.cli import get_argument_parser

    from snakemake_executor_plugin_daskmpi.rank.dask_config import DASK_CONFIG

    # Imports the plugins that are installed.
    get_argument_parser()
    # Distributed reads some of its configuration once, in its import. A run finds the user's, and replaces it again.
    dask.config.refresh(paths=[], env={})
    dask.config.set(DASK_CONFIG)
    import dask_mpi  # noqa: F401

    dask.config.refresh()


def serve(path: str) -> dict[str, Any]:
    """Fork for each request, and return it in the fork. Without stdin, end."""
    reports: dict[int, tuple[int, socket.socket]] = {}
    with socket.socket(socket.AF_UNIX) as listener, selectors.DefaultSelector() as selector:
        listener.bind(path)
        listener.listen(64)
        selector.register(0, selectors.EVENT_READ)
        selector.register(listener, selectors.EVENT_READ)
        print("ready", flush=True)
        while True:
            for key, _ in selector.select():
                if key.fd == 0:
                    sys.exit()
                if key.fd in reports:
                    selector.unregister(key.fd)
                    os.close(key.fd)
                    pid, connection = reports.pop(key.fd)
                    _answer(connection, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                    connection.close()
                    continue
                connection = listener.accept()[0]
                with connection.makefile() as lines:
                    request: dict[str, Any] = json.loads(lines.readline())
                if not (pid := os.fork()):
                    for descriptor, (_, another) in reports.items():
                        os.close(descriptor)
                        another.close()
                    connection.close()
                    return request
                _answer(connection, pid)
                ended = os.pidfd_open(pid)
                selector.register(ended, selectors.EVENT_READ)
                reports[ended] = (pid, connection)


def _answer(connection: socket.socket, number: int) -> None:
    # Whoever asked may have been killed since.
    with contextlib.suppress(OSError):
        connection.send(b"%d\n" % number)


def become(told: dict[str, Any]) -> None:
    """Make this process what was asked for."""
    os.chdir(told["folder"])
    os.environ.clear()
    os.environ.update(told["environ"])
    if told["in_session"]:
        os.setsid()
    output = os.open(told["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    null = os.open(os.devnull, os.O_RDONLY)
    for descriptor, source in ((0, null), (1, output), (2, output)):
        os.dup2(source, descriptor)
    os.close(output)
    os.close(null)
    sys.argv = ["snakemake", *told["arguments"]]
    sys.orig_argv = [sys.executable, "-m", "snakemake", *told["arguments"]]
    # The folder of this program.
    del sys.path[0]


def with_jobs_as_forks(log: str) -> None:
    """Fork where Snakemake's local executor starts a program, for each job with a script or a ``run:``."""
    from snakemake.exceptions import SpawnedJobError
    from snakemake.executors.local import Executor

    def spawn_job(executor: Any, job: Any) -> None:
        snakemake, tell = f"{sys.executable} -m snakemake ", f"{sys.executable} -ISc {shlex.quote(_TELL)} "
        command = executor.format_job_exec(job).replace(snakemake, tell)
        told = subprocess.run(command, shell=True, stdout=subprocess.PIPE, check=True).stdout  # noqa: S602
        arguments, folder, environ = json.loads(told)
        if forked.Forked(arguments, Path(folder), environ, Path(log), in_session=False).wait():
            raise SpawnedJobError

    Executor.spawn_job = spawn_job


def end(code: str | int | None) -> NoReturn:
    """End this process as a program ends, but without tidying up what it was forked with: that takes most of a second.

    Parameters
    ----------
    code
        What was given to ``sys.exit``.
    """
    if isinstance(code, str):
        print(code, file=sys.stderr)
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else bool(code))


if __name__ == "__main__":
    forked.server = sys.argv[1]
    import_all()
    gc.freeze()
    # In the forks, the program goes on from here, and its end is that of a program.
    request = serve(forked.server)
    become(request)
    with_jobs_as_forks(request["log"])
    try:
        runpy.run_module("snakemake", run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as given:
        code = given.code
    if request["in_session"]:
        end(code)
    sys.exit(code)
