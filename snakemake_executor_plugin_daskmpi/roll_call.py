"""Wait until all workers are there, and ask each what it is and offers.

Runs on: rank 1, in the link's thread.
Called by: pool.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from snakemake_executor_plugin_daskmpi.errors import PoolError
from snakemake_executor_plugin_daskmpi.worker import runner

if TYPE_CHECKING:
    from snakemake_executor_plugin_daskmpi.link import Link, World
    from snakemake_executor_plugin_daskmpi.messages import WorkerInfo


async def workers_of(link: Link, world: World, timeout_s: float) -> list[WorkerInfo]:
    """Return what all workers of a world say of themselves, by rank; PoolError if they do not come up in time."""
    scheduler: Any = link.client.scheduler
    n_workers, deadline = world.n_workers, time.monotonic() + timeout_s
    while True:
        world.check()
        workers = (await scheduler.identity())["workers"]
        if len(workers) >= n_workers:
            break
        if time.monotonic() > deadline:
            raise PoolError(
                f"Only {len(workers)} of {n_workers} workers came up within {timeout_s:.0f} s.",
                seen=f"workers {sorted(w['name'] for w in workers.values())} are there.",
                next_step="raise --daskmpi-startup-timeout, or look at the other ranks' output.",
            )
        await asyncio.sleep(0.05)
    infos: dict[str, WorkerInfo] = await link.client.run(runner.describe)
    return sorted(infos.values(), key=lambda info: info.name)
