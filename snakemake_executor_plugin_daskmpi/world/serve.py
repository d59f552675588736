"""A scheduler or worker process of a world without MPI.

Runs on: the machine of ``--daskmpi-launcher local``, once for the scheduler and once a worker.
Called by: launch.local, as ``python -m …world.serve``.

The order, one JSON object, comes as argument; the scheduler answers its address on stdout. The
end of stdin is the order to end: however the client dies, nothing of its world stays.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import tempfile
from typing import TYPE_CHECKING, Any

from snakemake_executor_plugin_daskmpi.settings import Settings
from snakemake_executor_plugin_daskmpi.worker import environment, forkserver, limits, runner
from snakemake_executor_plugin_daskmpi.world import rank_log, roles, tuning

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

_log = logging.getLogger(__name__)

#: The address of everything: a world without MPI has one host.
_HOST = "127.0.0.1"


def main(order: dict[str, Any]) -> None:
    """Carry out an order: ``{"rank": 0}``, or ``{"rank", "address", "share", "settings"}`` for a worker."""
    role = roles.Role.of(order["rank"])
    name = f"rank {order['rank']}"
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    environment.scrub(os.environ)
    # As in an MPI world: before Dask's threads are there.
    forked = _fork() if role is roles.Role.WORKER else None
    tuning.apply_dask_config()
    import distributed  # noqa: F401 - makes its loggers, which are quieted next

    rank_log.quiet(name, role)
    asyncio.run(_scheduler() if forked is None else _worker(name, order, *forked))


def _fork() -> tuple[int, Connection]:
    # Imported before the fork, so that the forkserver has it, and both processes share it.
    import snakemake.api
    import snakemake.executors.local  # noqa: F401

    return forkserver.fork()


async def _scheduler() -> None:
    from distributed import Scheduler

    async with Scheduler(host=_HOST, dashboard=False, dashboard_address=f"{_HOST}:0") as scheduler:
        print(scheduler.address, flush=True)
        await asyncio.wait([asyncio.create_task(scheduler.finished()), _end_of_stdin()], return_when="FIRST_COMPLETED")


async def _worker(name: str, order: dict[str, Any], forkserver_pid: int, connection: Connection) -> None:
    from distributed import Worker

    offer = limits.offer_of(Settings(**order["settings"]), os.environ, limits.Share(*order["share"]))
    ours = runner.Runner(name, offer, connection, forkserver_pid)
    runner.install(ours)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, _end_now, ours)
    with tempfile.TemporaryDirectory(prefix="daskmpi-") as scratch:
        options = tuning.worker_options(name, offer, scratch)
        async with Worker(order["address"], host=_HOST, dashboard=False, **options) as worker:
            await asyncio.wait([asyncio.create_task(worker.finished()), _end_of_stdin()], return_when="FIRST_COMPLETED")
    ours.close()


def _end_of_stdin() -> asyncio.Future[None]:
    """Return a future that is done when whoever started this process has closed its end, or died."""
    loop = asyncio.get_running_loop()
    ended = loop.create_future()

    def read() -> None:
        if not os.read(0, 1024):
            loop.remove_reader(0)
            ended.set_result(None)

    loop.add_reader(0, read)
    return ended


def _end_now(worker: runner.Runner) -> None:
    """End this rank at once; the forkserver kills the jobs when it sees the connection end."""
    worker.close()
    os._exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
