"""Whether a Slurm job of its own could join a run that goes on here, as ``--daskmpi-grow`` has it.

Runs on: wherever the doctor was started; a few lines of Python on the node that Slurm chooses.
"""

from __future__ import annotations

import contextlib
import select
import shlex
import socket
import sys
import time
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.doctor.facts import FurtherJobFacts
from snakemake_executor_plugin_daskmpi.errors import LaunchError
from snakemake_executor_plugin_daskmpi.slurm.controller import answer_of
from snakemake_executor_plugin_daskmpi.world.gate import own_address

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Connects to where it is told, and says who it is; a job needs no more of a Python than that it starts.
PROGRAM = """\
import socket, sys
host, port, patience_s = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
try:
    socket.create_connection((host, port), patience_s).close()
    print("reached from", socket.gethostname())
except OSError as error:
    print("not from", socket.gethostname(), "to", f"{host}:{port}:", error)
"""
#: Seconds for a connection, and for the job's own start and end beside the wait in the queue.
_CONNECT_S, _ROOM_S = 10.0, 20.0


def further_job_facts(options: str, timeout_s: float) -> FurtherJobFacts:
    """Have Slurm start a job of one task, and return whether it could connect to this host.

    Parameters
    ----------
    options
        Of srun, as one types them: account, partition.
    timeout_s
        Seconds that it may wait in the queue.
    """
    with contextlib.closing(socket.create_server((own_address(), 0))) as server:
        host, port = server.getsockname()[:2]
        command = _command(options, timeout_s, (host, str(port), str(_CONNECT_S)))
        began = time.monotonic()
        try:
            answer = answer_of(command, timeout_s=timeout_s + _CONNECT_S + _ROOM_S)
        except LaunchError as error:
            return FurtherJobFacts(error=str(error).partition("\n")[0])
        took_s = time.monotonic() - began
        # What it said is srun's to bring back: a connection that has come is the proof.
        has_come = bool(select.select([server], [], [], 0)[0])
    said = answer.out.strip().splitlines()[-1:]
    if answer.code or not said:
        return FurtherJobFacts(error=answer.words, took_s=took_s)
    return FurtherJobFacts(has_come=has_come, said=said[0], took_s=took_s)


def _command(options: str, timeout_s: float, arguments: Sequence[str]) -> list[str]:
    """Return the command that starts it.

    >>> _command("--account=me", 60, ("10.0.0.1", "4711", "10"))[:6]
    ['srun', '--ntasks=1', '--time=1', '--immediate=60', '--job-name=daskmpi-doctor', '--account=me']
    """
    srun = ["srun", "--ntasks=1", "--time=1", f"--immediate={timeout_s:.0f}", "--job-name=daskmpi-doctor"]
    return [*srun, *shlex.split(options), sys.executable, "-c", PROGRAM, *arguments]
