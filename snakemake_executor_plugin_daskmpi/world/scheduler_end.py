"""The end of a world: its scheduler ends when rank 1 has left, and all workers with the scheduler.

Runs on: rank 0. Dask loads it by name into the scheduler, as one of its "preloads".

However rank 1 ends, the kernel closes its connection: that is the sign. Where its host is gone, too, TCP says so after
Dask's timeout.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.world.link import CLIENT_NAME

if TYPE_CHECKING:
    from distributed import Scheduler

_log = logging.getLogger(__name__)

#: How the ids begin that Dask makes of the name.
_CLIENT = f"Client-{CLIENT_NAME}-"
#: Seconds for rank 1 to come; if it dies before, its keeper ends the world.
_COMES_WITHIN_S = 900.0


def dask_setup(scheduler: Scheduler) -> None:
    """Be called by Dask when the scheduler starts."""
    from distributed.diagnostics.plugin import SchedulerPlugin

    def end(why: str) -> None:
        _log.info("the world ends: %s", why)
        scheduler.loop.add_callback(scheduler.close, reason=why)

    class EndWithClient(SchedulerPlugin):
        def add_client(self, scheduler: Scheduler, client: str) -> None:
            if client.startswith(_CLIENT):
                scheduler.loop.remove_timeout(alone)

        def remove_client(self, scheduler: Scheduler, client: str) -> None:  # noqa: ARG002
            if client.startswith(_CLIENT):
                end("rank 1 has left")

    alone = scheduler.loop.call_later(_COMES_WITHIN_S, end, "rank 1 did not come")
    scheduler.add_plugin(EndWithClient(), name="daskmpi-farewell")
