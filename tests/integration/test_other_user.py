"""Another user of the same machine can neither speak to the ranks, nor read what they say, nor open their files."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import struct
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, NamedTuple

import psutil
import pytest

from mpis import MPIS
from required import at_night

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness import Run, Workflow

#: A word that crosses between rank 1 and a worker, in a job's name and in its environment.
WORD = "mellonmellonmellon"
SNAKEFILE = f"""
    rule all:
        input: "out"

    rule {WORD}:
        output: "out"
        shell: "touch started; while [ ! -e go ]; do sleep 0.05; done; echo {WORD} > {{output}}"
"""

#: Tries all that a stranger may try at a port of Dask's, and prints what came of it.
INTRUDER = """
import asyncio, json, sys
from distributed import Client
from distributed.security import Security

async def ask(address, security):
    async with Client(address, security=security, asynchronous=True, timeout=3) as client:
        return await client.submit(lambda: 40 + 2)

async def knock(address, security):
    try:
        return await asyncio.wait_for(ask(address, security), 10)
    except Exception as error:
        return type(error).__name__

async def main():
    doors = [(f"{how}://127.0.0.1:{port}", security)
             for port in sys.argv[1:] for how, security in (("tcp", None), ("tls", Security.temporary()))]
    print(json.dumps(await asyncio.gather(*(knock(*door) for door in doors))))

asyncio.run(main())
"""


class Segment(NamedTuple):
    """What was sent over TCP at once."""

    ports: tuple[int, int]
    payload: bytes


@contextlib.contextmanager
def captured() -> Iterator[list[Segment]]:
    """Capture what goes over the loopback interface."""
    segments: list[Segment] = []
    ended, end = os.pipe()
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800)) as wire:
        wire.setsockopt(socket.SOL_SOCKET, 33, 2**26)  # SO_RCVBUFFORCE: nothing may be missed
        wire.bind(("lo", 0))

        def capture() -> None:
            while ended not in (ready := select.select([wire, ended], [], [])[0]) or wire in ready:
                packet = wire.recv(2**17)
                header = (packet[0] & 15) * 4
                if packet[9] == socket.IPPROTO_TCP:
                    ports = struct.unpack("!HH", packet[header : header + 4])
                    payload = packet[header + (packet[header + 12] >> 4) * 4 : struct.unpack("!H", packet[2:4])[0]]
                    segments.append(Segment(ports, payload))

        thread = threading.Thread(target=capture)
        thread.start()
        try:
            yield segments
        finally:
            os.close(end)
            thread.join()
            os.close(ended)


def ports_of(workflow: Workflow) -> set[int]:
    """Return the TCP ports at which processes of the run listen."""
    listening: set[int] = set()
    for process in workflow.processes():
        with contextlib.suppress(psutil.Error):  # programs of jobs come and go
            connections = process.net_connections("tcp") if "python" in process.exe() else []
            listening |= {c.laddr.port for c in connections if c.status == psutil.CONN_LISTEN}
    return listening


def knock(stranger: list[str], ports: set[int]) -> list[object]:
    """Return what comes of trying to have a stranger's program run at some ports."""
    command = [*stranger, sys.executable, "-c", INTRUDER, *map(str, ports)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def started(workflow: Workflow, launcher: str, *args: str) -> Run:
    """Start the workflow, and return when its job runs."""
    workflow.write("Snakefile", SNAKEFILE)
    run = workflow.start(*args, launcher=launcher)
    workflow.wait_for("started", run=run)
    return run


def end(workflow: Workflow, run: Run) -> None:
    """Let the job go on, and see the run end well."""
    workflow.write("go", "")
    run.ends_with(0)


@pytest.mark.parametrize("launcher", ["local", *at_night(MPIS)])
def test_nobody_else_can_speak_to_the_ranks(workflow: Workflow, stranger: list[str], launcher: str):
    run = started(workflow, launcher)
    ports = ports_of(workflow)
    assert len(ports) >= 2, "those of the scheduler and a worker"
    answers = knock(stranger, ports)
    assert len(answers) == 2 * len(ports)
    assert 42 not in answers
    end(workflow, run)


@pytest.mark.parametrize("launcher", ["local", *at_night(["mpich"])])
def test_with_insecure_a_stranger_would_be_let_in_and_the_user_is_warned(
    workflow: Workflow, stranger: list[str], launcher: str
):
    # What the tests above would see if they saw nothing.
    run = started(workflow, launcher, "--daskmpi-insecure")
    assert 42 in knock(stranger, ports_of(workflow))
    assert run.text.count("can run programs as you") == 1
    end(workflow, run)


@pytest.mark.parametrize(("launcher", "args", "is_read"), [
    ("local", (), False), *at_night([("mpich", (), False)]), ("local", ("--daskmpi-insecure",), True),
])  # fmt: skip
def test_what_the_ranks_say_cannot_be_read(
    workflow: Workflow, stranger: list[str], launcher: str, args: tuple[str, ...], *, is_read: bool
):
    assert stranger, "captures need root"
    with captured() as segments:
        run = started(workflow, launcher, *args)
        ports = ports_of(workflow)
        end(workflow, run)
    said = [segment.payload for segment in segments if ports & set(segment.ports) and segment.payload]
    assert len(said) > 20
    assert any(WORD.encode() in payload for payload in said) == is_read
    # The first byte of all records of TLS. HTTP's ports are silent.
    firsts = [next(s.payload[0] for s in segments if s.ports == pair and s.payload)
              for pair in {s.ports for s in segments if s.payload and ports & set(s.ports)}]  # fmt: skip
    assert all(first == 0x16 for first in firsts) != is_read


def test_nobody_else_can_open_what_a_run_writes_or_see_its_key(workflow: Workflow, stranger: list[str]):
    workflow.tmpdir.chmod(0o755)
    run = started(workflow, "local")
    (run_dir,) = workflow.folder.glob(".snakemake/daskmpi/*")
    assert run_dir.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o077 for path in run_dir.rglob("*") if path.is_file()} == {0}
    look = f"""
        ls {workflow.tmpdir}
        find {workflow.tmpdir} -mindepth 1 ( -type f -readable -o -type s -o -type d -executable )
        grep -slz 'PRIVATE [K]EY' /proc/[0-9]*/cmdline /proc/[0-9]*/environ
        cat /proc/{workflow.rank(2).pid}/environ
        true
    """.replace("(", "'('").replace(")", "')'")
    done = subprocess.run([*stranger, "sh", "-c", look], capture_output=True, text=True, check=False)
    assert set(done.stdout.split()) == {path.name for path in workflow.tmpdir.iterdir()}, done.stdout + done.stderr
    assert "Permission denied" in done.stderr
    ours = subprocess.run(["grep", "-rslz", "PRIVATE KEY", run_dir, workflow.tmpdir], check=False, capture_output=True)
    assert ours.stdout == b"", "the key is in a file"
    end(workflow, run)
