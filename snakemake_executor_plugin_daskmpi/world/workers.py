"""Wait until all workers are there, and ask each what it is and offers.

Runs on: rank 1; what asks, in the link's thread.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from snakemake_executor_plugin_daskmpi.errors import PoolError
from snakemake_executor_plugin_daskmpi.worker import rpc

if TYPE_CHECKING:
    from collections.abc import Mapping

    from snakemake_executor_plugin_daskmpi.messages import WorkerInfo
    from snakemake_executor_plugin_daskmpi.resources import WorkerResources
    from snakemake_executor_plugin_daskmpi.world.link import World


async def workers_of(world: World, timeout_s: float) -> list[WorkerInfo]:
    """Return what all workers of a world say of themselves, by rank; PoolError if they do not come up in time."""
    scheduler: Any = world.link.client.scheduler
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
    infos: dict[str, WorkerInfo] = await world.link.client.run(rpc.describe)
    return sorted(infos.values(), key=lambda info: info.name)


async def remove(address: str, dask_scheduler: Any) -> None:
    """Have the scheduler, where this runs, remove a worker that rank 1 cannot hear any more: it ends what it runs."""
    await dask_scheduler.remove_worker(address, stimulus_id="daskmpi-unheard", expected=False)


async def addresses(dask_scheduler: Any) -> list[str]:
    """Return the addresses of all workers that the scheduler, where this runs, knows."""
    return [*dask_scheduler.workers]


def offers_text(offers: Mapping[str, WorkerResources]) -> str:
    """Return what the workers offer, alike ones counted.

    >>> from snakemake_executor_plugin_daskmpi.resources import WorkerResources as W
    >>> offers_text({"rank 2": W((0, 1), 4000, 10), "rank 3": W((2, 3), 4000, 10)})
    '2 workers with 2 cores, 4000 MB each'
    >>> offers_text({})
    'no worker yet'
    """
    if not offers:
        return "no worker yet"
    counts: dict[str, int] = {}
    for offer in offers.values():
        gpus = f", {len(offer.gpus)} GPU{'s' * (len(offer.gpus) > 1)}" if offer.gpus else ""
        text = f"{len(offer.cores)} core{'s' * (len(offer.cores) != 1)}, {offer.mem_mb} MB{gpus}"
        counts[text] = counts.get(text, 0) + 1
    return "; ".join(f"{n} worker{'s' * (n > 1)} with {text}{' each' * (n > 1)}" for text, n in sorted(counts.items()))
