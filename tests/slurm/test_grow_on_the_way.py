"""Ranks of a further Slurm job that are ended, or lost, before they have joined leave nothing and nobody behind."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
from typing import TYPE_CHECKING

import psutil
import pytest

from harness import describe, require, wait_until
from mpis import MPIS
from snakemake_executor_plugin_daskmpi.world import ticket
from snakemake_executor_plugin_daskmpi.world.ticket import Ticket

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness import Workflow
    from runs import SlurmRun
    from slurm_cluster import SlurmCluster

SCRIPT = """\
    #!/bin/bash
    #SBATCH --ntasks=3 --nodes=1 --mem-per-cpu=500 --time=5 --job-name=x-further
    trap : TERM
    srun --mpi=pmi2 --kill-on-bad-exit=0 --wait=0 --no-kill {python} -P -m \
        snakemake_executor_plugin_daskmpi.world.join '{told}'
    """


@pytest.fixture
def silent_gate() -> Iterator[tuple[str, int]]:
    """Somebody who lets all come, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[:2]


def joining(workflow: Workflow, gate: tuple[str, int], **settings: int) -> tuple[SlurmRun, list[psutil.Process]]:
    """Submit a job of three ranks, and return it with these when all are on their way into MPI."""
    require("mpich")
    told = json.dumps({"settings": settings, "run_dir": str(workflow.folder)})
    environ = {**MPIS["mpich"].environ, ticket.VARIABLE: Ticket(*gate, "00", "word").text()}
    run = workflow.sbatch(SCRIPT.format(python=sys.executable, told=told), env=environ)

    def ranks() -> list[psutil.Process]:
        found = []
        for process in workflow.processes():
            with contextlib.suppress(psutil.Error):
                # It calls itself so when it has done all that comes before the gate and MPI.
                if process.name().startswith(f"rank-{run.job_id}."):
                    found.append(process)
        return found

    wait_until(lambda: run.has_ended or len(ranks()) == 3, on_timeout=lambda: describe(workflow.processes()))
    return run, ranks()


def nothing_is_left(workflow: Workflow) -> None:
    """Check that no process and no folder is left."""
    wait_until(lambda: not workflow.processes(), on_timeout=lambda: describe(workflow.processes()), timeout_s=20)
    assert not list(workflow.tmpdir.glob("daskmpi-*"))


def test_a_cancelled_job_ends_at_once(workflow: Workflow, slurm: SlurmCluster, silent_gate: tuple[str, int]):
    run, ranks = joining(workflow, silent_gate)
    assert len(ranks) == 3, run.text
    slurm.ask("scancel", str(run.job_id))
    run.wait()
    nothing_is_left(workflow)


def test_whoever_waits_for_a_rank_that_was_lost_gives_up(
    workflow: Workflow,
    slurm: SlurmCluster,  # noqa: ARG001
    silent_gate: tuple[str, int],
):
    run, ranks = joining(workflow, silent_gate, startup_timeout=5)
    assert len(ranks) == 3, run.text
    next(process for process in ranks if process.name().startswith(f"rank-{run.job_id}.1")).kill()
    run.wait(60)
    nothing_is_left(workflow)
