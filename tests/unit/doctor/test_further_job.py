"""What the doctor says of Slurm jobs of their own that are to join a run."""

from __future__ import annotations

import socket
import subprocess
import sys

from snakemake_executor_plugin_daskmpi.doctor.facts import FurtherJobFacts
from snakemake_executor_plugin_daskmpi.doctor.further_job import PROGRAM
from snakemake_executor_plugin_daskmpi.doctor.site_checks import further_job_check
from snakemake_executor_plugin_daskmpi.doctor.verdict import Verdict


def said_by_a_job(port: int) -> str:
    """Return what a job says that is to connect to a port of this host."""
    command = [sys.executable, "-c", PROGRAM, "127.0.0.1", str(port), "5"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_a_job_that_cannot_connect_says_from_where_and_why():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert said_by_a_job(port) == f"reached from {socket.gethostname()}"
    assert said_by_a_job(port) == f"not from {socket.gethostname()} to 127.0.0.1:{port}: [Errno 111] Connection refused"


def test_a_connection_that_did_not_come_is_a_firewalls():
    check = further_job_check(FurtherJobFacts(said="not from n1 to 10.0.0.1:4711: timed out"), slurm="22.05")
    assert check.verdict is Verdict.FAIL
    assert "cannot reach this host: not from n1" in check.seen
    assert "TCP ports" in check.remedy


def test_without_being_asked_it_says_how_to_ask():
    assert "--join" in further_job_check(None, slurm="22.05").remedy
    assert not further_job_check(None, slurm="").remedy
