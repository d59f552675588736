"""A lost worker is started anew with ``--daskmpi-respawn``, and takes jobs again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness import wait_until
from killing import wait_for_end
from mpis import MPIS
from required import at_night

if TYPE_CHECKING:
    from harness import Workflow

#: A job on the only worker which waits, and others that need it.
SNAKEFILE = """
    rule all:
        input: expand("late/{n}", n=range(4)), "other"

    rule slow:
        output: "slow"
        shell: "echo $$ >> started; while [ ! -e go ]; do sleep 0.05; done; touch {output}"

    rule late:
        input: "slow"
        output: "late/{n}"
        shell: "touch {output}"

    rule other:
        output: "other"
        threads: 2
        shell: "touch {output}"
"""

#: The launcher with which a world has one worker, and its number of ranks.
LOCAL = ("local", 0)
MPI_WORLDS = [(mpi, 3) for mpi in MPIS]

#: Has Dask remove the worker, as one of which it has not heard for long, when a file is there.
REMOVAL = """
    import asyncio
    import gc
    import threading
    import time
    from pathlib import Path

    async def remove(dask_scheduler):
        [address] = dask_scheduler.workers
        await dask_scheduler.remove_worker(address, stimulus_id="silence")

    remove.__module__ = "__main__"  # travels by value

    def remove_in_time(client):
        while not Path("remove").exists():
            time.sleep(0.05)
        asyncio.run_coroutine_threadsafe(client.run_on_scheduler(remove), client.loop.asyncio_loop)

    onstart:
        from distributed import Client
        gc.unfreeze()  # what is frozen is not listed
        [client] = [one for one in gc.get_objects() if isinstance(one, Client)]
        threading.Thread(target=remove_in_time, args=[client], daemon=True).start()
"""


@pytest.mark.parametrize(("launcher", "ranks"), [LOCAL, MPI_WORLDS[0], *at_night(MPI_WORLDS[1:])])
def test_the_only_worker_comes_back_and_does_the_rest(workflow: Workflow, launcher: str, ranks: int):
    workflow.write("Snakefile", SNAKEFILE)
    options = ("--retries", "1", "--daskmpi-respawn", "1", "--daskmpi-cores", "2")
    run = workflow.start(*options, launcher=launcher, ranks=ranks)
    workflow.wait_for("started", run=run)
    workflow.killed = True
    worker = workflow.server(2)
    worker.kill()
    wait_for_end(workflow, worker, run)
    wait_until(lambda: len(workflow.lines("started")) == 2 or run.has_ended, on_timeout=lambda: run.text)
    workflow.write("go", "")
    run.ends_with(0)
    assert run.text.count("was lost, and is started anew, for the last time.") == 1
    assert run.text.count("daskmpi: worker rank 2 on ") == 2
    assert "is back." in run.text


@pytest.mark.parametrize(("launcher", "ranks"), [LOCAL, *at_night(MPI_WORLDS)])
def test_a_worker_that_dask_has_removed_comes_back_too(workflow: Workflow, launcher: str, ranks: int):
    workflow.write("Snakefile", SNAKEFILE + REMOVAL)
    options = ("--retries", "1", "--daskmpi-respawn", "1", "--daskmpi-cores", "2")
    run = workflow.start(*options, launcher=launcher, ranks=ranks)
    workflow.wait_for("started", run=run)
    workflow.write("remove", "")
    wait_until(lambda: len(workflow.lines("started")) == 2 or run.has_ended, on_timeout=lambda: run.text)
    workflow.write("go", "")
    run.ends_with(0)
    assert run.text.count("was lost, and is started anew, for the last time.") == 1
    assert "is back." in run.text
    workflow.assert_nothing_left()


def test_a_worker_is_started_anew_so_many_times_and_no_more(workflow: Workflow):
    workflow.write("Snakefile", SNAKEFILE)
    run = workflow.start("--retries", "5", "--daskmpi-respawn", "1", "--daskmpi-cores", "2")
    workflow.killed = True
    for times in (1, 2):
        wait_until(lambda n=times: len(workflow.lines("started")) == n or run.has_ended, on_timeout=lambda: run.text)
        workflow.server(2).kill()
        wait_until(lambda n=times: run.text.count("was lost on worker rank 2") == n, on_timeout=lambda: run.text)
    run.ends_with(1)
    assert "All workers are lost" in run.text
    assert len(workflow.lines("started")) == 2
