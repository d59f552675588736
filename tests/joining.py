"""A worker of a further allocation that joins a run of a local world, as a program of its own.

Runs on: the machine of the tests.
Called by: tests of what rank 1 makes of such workers.
"""

from __future__ import annotations

import dataclasses
import json
import time
from typing import TYPE_CHECKING, Any

from snakemake_executor_plugin_daskmpi.settings.flags import Settings
from snakemake_executor_plugin_daskmpi.world import serve_order
from snakemake_executor_plugin_daskmpi.world.serve_order import Order

if TYPE_CHECKING:
    import subprocess

    from harness import Workflow
    from runs import Run

#: Added to a Snakefile: tells where the scheduler is. The run needs --daskmpi-insecure.
TELLS_ADDRESS = """
    onstart:
        import gc
        import os
        gc.unfreeze()
        from distributed import Client
        [client] = [one for one in gc.get_objects() if isinstance(one, Client)]
        with open("scheduler.new", "w") as file:
            print(client.scheduler.address, file=file)
        os.rename("scheduler.new", "scheduler")
"""


def join(workflow: Workflow, run: Run, name: str, ends_in_s: float | None, *, cores: int = 1) -> subprocess.Popen[str]:
    """Start a worker that joins a run, of an allocation that ends in some seconds; returns at once."""
    workflow.wait_for("scheduler", run=run, filled=True)
    order = Order(
        rank=2,
        scratch=str(workflow.tmpdir),
        address=workflow.read("scheduler").strip(),
        cores=cores,
        settings=dataclasses.asdict(Settings(cores=cores, insecure=True)),
        name=name,
        allocation=name.removeprefix("rank ").partition(".")[0],
        ends_at=None if ends_in_s is None else time.time() + ends_in_s,
        length_s=ends_in_s or 0.0,
    )
    return serve_order.start(order, None, workflow.environ())


def events_of(workflow: Workflow) -> list[dict[str, Any]]:
    """Return the events of the only run's record, none before there is one."""
    records = [*workflow.folder.glob(".snakemake/daskmpi/*/events.jsonl")]
    assert len(records) <= 1
    return [json.loads(line) for record in records for line in record.read_text().splitlines()]
