"""The connection of rank 1 to a worker breaks, and both live: the worker is given up, and all that it ran ends."""

from __future__ import annotations

import socket
import subprocess
from typing import TYPE_CHECKING

import psutil
import pytest

from killing import ancestors, start
from required import skip_or_fail
from runs import wait_until

if TYPE_CHECKING:
    from harness import Workflow


def destroy(ports: list[int]) -> None:
    """Have the kernel end connections by their local ports, as a firewall does that has forgotten them."""
    for port in ports:
        subprocess.run(["ss", "-K", "-t", "sport", "=", f":{port}"], check=True, capture_output=True)


@pytest.fixture(scope="module", autouse=True)
def can_destroy():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as one:
        other, _ = server.accept()
        with other:
            destroy([one.getsockname()[1]])
            try:
                other.send(b"x")
                heard = one.recv(1)
            except OSError:
                return
            skip_or_fail(
                "network", f"ss -K ends no connection here ({heard!r}): root, and a kernel that can, lift this"
            )


@pytest.mark.parametrize("retries", [0, 1])
def test_a_worker_that_rank_1_cannot_hear_is_given_up_and_the_other_one_does_the_rest(workflow: Workflow, retries: int):
    run = start(workflow, "--retries", str(retries))
    worker = workflow.server(2)
    lost = {n for n in range(4) if worker in ancestors(workflow, n)}
    assert lost
    shells = {n: psutil.Process(int(workflow.lines(f"slow.{n}")[0])) for n in lost}
    ports = {c.laddr.port for c in worker.net_connections("tcp") if c.status == psutil.CONN_LISTEN}
    ours = [
        c.laddr.port
        for c in psutil.Process(run.process.pid).net_connections("tcp")
        if c.raddr and c.raddr.port in ports
    ]
    assert len(ours) == 1
    destroy(ours)
    wait_until(lambda: "was lost on worker rank 2" in run.text, on_timeout=lambda: run.text)
    assert not any(shell.is_running() for shell in shells.values()), "what is started anew must not run twice"
    workflow.write("go", "")
    run.ends_with(0 if retries else 1)
    assert run.text.count("was lost on worker rank 2") == len(lost)
    for n in range(4):
        is_done = retries or n not in lost
        assert workflow.has(f"slow/{n}") == bool(is_done)
        assert len(workflow.lines(f"slow.{n}")) == 1 + (n in lost and retries)
