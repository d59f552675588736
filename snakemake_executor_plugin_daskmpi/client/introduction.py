"""The first lines of a run: where its jobs run, and where to look.

Runs on: rank 1, when the workers are ready.
Called by: executor.Executor.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.errors import WorldError
from snakemake_executor_plugin_daskmpi.record import dashboard as dashboard_file
from snakemake_executor_plugin_daskmpi.world import dashboard, workers

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from snakemake_interface_executor_plugins.logging import LoggerExecutorInterface

    from snakemake_executor_plugin_daskmpi.resources import WorkerResources
    from snakemake_executor_plugin_daskmpi.settings.flags import Settings
    from snakemake_executor_plugin_daskmpi.world.link import World


def tell_where_jobs_run(
    logger: LoggerExecutorInterface, world: World, offers: Mapping[str, WorkerResources], max_cores: int | None
) -> None:
    """Tell the user what the world is, and what jobs can have of it."""
    logger.info(f"daskmpi: {world.description}; {workers.offers_text(offers)}.")
    if max_cores is not None and max_cores < sum(len(offer.cores) for offer in offers.values()):
        logger.info(f"daskmpi: jobs take at most {max_cores} cores at a time (--cores).")


def tell_where_to_look(logger: LoggerExecutorInterface, settings: Settings, world: World, run_dir: Path) -> None:
    """Tell the user where the run can be seen, and by whom."""
    if settings.insecure:
        logger.warning("daskmpi: --daskmpi-insecure: whoever reaches a port of the ranks can run programs as you.")
    logger.info(f"daskmpi: logs of ranks and jobs: {os.path.relpath(run_dir)}")
    logger.info("daskmpi: snakemake-daskmpi watch, in another terminal here, shows what runs where.")
    if settings.dashboard:
        _show_dashboard(logger, world, run_dir)


def _show_dashboard(logger: LoggerExecutorInterface, world: World, run_dir: Path) -> None:
    """Tell where Dask's dashboard is; its secret word goes to a file of the user's alone, and to a terminal.

    Not to the logger: Snakemake keeps what that says in ``.snakemake/log``, and Slurm a job's output in a file, both
    as the umask is, which mostly lets everyone read.
    """
    try:
        address = dashboard.address_of(world.link)
        path = dashboard_file.write(run_dir, address)
    except Exception as error:  # noqa: BLE001 - whatever Dask raises: the jobs need no dashboard
        why = error if isinstance(error, WorldError) else repr(error)
        logger.warning(f"daskmpi: the run goes on without a dashboard: {why}")
        return
    logger.info(
        f"daskmpi: Dask's dashboard: http://127.0.0.1:{address.port}/…; the whole address is yours alone: "
        f"cat {os.path.relpath(path)}"
    )
    if address.host != socket.gethostname() or "SLURM_JOB_ID" in os.environ:
        logger.info(f"daskmpi: it answers on {address.host} only; from elsewhere, first: {address.tunnel}")
    if sys.stderr.isatty():
        print(f"daskmpi: {address.url}", file=sys.stderr, flush=True)
