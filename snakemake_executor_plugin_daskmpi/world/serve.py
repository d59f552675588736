"""A scheduler or worker process that is a program of its own, not a fork of a rank.

Runs on: the machine of ``--daskmpi-launcher local``, once for the scheduler and once a worker; in an MPI world, on the
node of a lost worker that is started anew.

The scheduler answers its address on stdout. However whoever started it dies, nothing of it stays.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

from snakemake_executor_plugin_daskmpi.rank import dask_config, graces, processes, rank_log, roles, security
from snakemake_executor_plugin_daskmpi.settings.flags import Settings
from snakemake_executor_plugin_daskmpi.worker import forkserver, limits, rpc, runner
from snakemake_executor_plugin_daskmpi.world import dashboard
from snakemake_executor_plugin_daskmpi.world.serve_order import LOOPBACK, Order, credentials_from_stdin

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from multiprocessing.connection import Connection

_log = logging.getLogger(__name__)


def main(order: Order) -> None:
    """Carry out an order."""
    role = roles.Role.of(order.rank)
    name = order.name or f"rank {order.rank}"
    for number in (signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    # As in an MPI world: before Dask's threads are there.
    forked = _fork() if role is roles.Role.WORKER else None
    processes.call_this(f"{name} daskmpi")
    dask_config.apply_dask_config(order.scratch)
    rank_log.quiet(name, role)
    credentials = credentials_from_stdin()
    security.apply(credentials)
    protocol = security.protocol_of(credentials)
    settings = Settings(**order.settings)
    asyncio.run(_scheduler(protocol, dashboard.preloads(settings)) if forked is None else _worker(name, order, *forked))


def _fork() -> tuple[int, Connection]:
    # Imported before the fork, so that the forkserver has it, and both processes share it.
    import snakemake.api
    import snakemake.executors.local  # noqa: F401

    return forkserver.fork()


async def _scheduler(protocol: str, preloads: list[str]) -> None:
    from distributed import Scheduler

    async def serve() -> None:
        # Without routes: it answers nothing. The dashboard, if any, has a server of its own.
        http = f"{LOOPBACK}:0"
        async with Scheduler(
            host=LOOPBACK, protocol=protocol, dashboard=False, dashboard_address=http, preload=preloads
        ) as scheduler:
            print(scheduler.address, flush=True)
            await scheduler.finished()

    if not await _until_abandoned(serve()):
        os._exit(1)


async def _worker(name: str, order: Order, forkserver_pid: int, connection: Connection) -> None:
    from snakemake_executor_plugin_daskmpi.worker.dask_worker import DaskWorker, WorkerRemovedError

    offer = limits.offer_of(Settings(**order.settings), os.environ, limits.Share(*order.share), order.cores)
    ours = runner.Runner(name, offer, connection, forkserver_pid, order.lives_left)
    rpc.install(ours, rpc.Stay(order.allocation, order.ends_at, order.length_s))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, _end_now, ours)

    async def serve() -> None:
        # The world may end just now: Dask would look for its scheduler for ever.
        options = {**dask_config.worker_options(name, offer, order.scratch), "death_timeout": graces.MEETS_S}
        async with DaskWorker(order.address, host=order.host, dashboard=False, **options) as worker:
            await worker.finished()

    try:
        orderly = await _until_abandoned(serve())
    except (WorkerRemovedError, TimeoutError) as error:
        _log.error("%s ends: %s", name, str(error) or "no scheduler was there")
        orderly = False
    ours.close()
    if not orderly:
        os._exit(1)


async def _until_abandoned(serving: Coroutine[Any, Any, None]) -> bool:
    """Serve until that ends, or until whoever started this process is gone; say whether it was the former.

    Dask itself would wait for ever for a scheduler that never comes (back).
    """
    task = asyncio.create_task(serving)
    await asyncio.wait([task, _end_of_stdin()], return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        await task
        return True
    # The client closes our stdin right after it has told the scheduler to end: leave time for that.
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(asyncio.shield(task), graces.BY_ITSELF_S)
    return task.done()


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
    main(Order.read(sys.argv[1]))
