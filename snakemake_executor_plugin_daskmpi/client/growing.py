"""A run that grows: what growth has to know of the pool and its queue, and what it does to them.

Runs on: rank 1; all but ``close`` in the link's thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import shutil
import socket
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.client.demand import shapes_of
from snakemake_executor_plugin_daskmpi.errors import SettingsError
from snakemake_executor_plugin_daskmpi.growth import by_hand, orders
from snakemake_executor_plugin_daskmpi.growth.further_job import Phase
from snakemake_executor_plugin_daskmpi.growth.grower import Grower
from snakemake_executor_plugin_daskmpi.rank import graces
from snakemake_executor_plugin_daskmpi.settings.flags import Settings
from snakemake_executor_plugin_daskmpi.slurm.submission import leftovers
from snakemake_executor_plugin_daskmpi.world import bootstrap, workers
from snakemake_executor_plugin_daskmpi.world.gate import Gate

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from snakemake_executor_plugin_daskmpi.client.guard import Guard
    from snakemake_executor_plugin_daskmpi.client.job import Job
    from snakemake_executor_plugin_daskmpi.client.pool import Pool
    from snakemake_executor_plugin_daskmpi.client.reports import Reports
    from snakemake_executor_plugin_daskmpi.client.run_state import RunState
    from snakemake_executor_plugin_daskmpi.growth.further_job import FurtherJob
    from snakemake_executor_plugin_daskmpi.messages import WorkerInfo
    from snakemake_executor_plugin_daskmpi.planning.demand import Shape
    from snakemake_executor_plugin_daskmpi.rank.security import Credentials
    from snakemake_executor_plugin_daskmpi.resources import JobResources, WorkerResources
    from snakemake_executor_plugin_daskmpi.world.link import World

_log = logging.getLogger(__name__)

#: Why all further jobs end at the end of a run.
_OVER = "the run is over"


class Growing:
    """The growth of one run.

    Parameters
    ----------
    world
        Which is to grow.
    pool, state
        Of the run.
    settings
        What the user allows.
    folder
        Of the run.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of a run
        self,
        world: World,
        pool: Pool,
        state: RunState,
        reports: Reports,
        settings: Settings,
        folder: Path,
        credentials: Credentials,
    ) -> None:
        self._world, self._pool, self._state, self._reports = world, pool, state, reports
        self._settings, self._folder = settings, folder
        self._is_given_up = False
        self._guard: Guard = pool.guard
        self._grower = Grower(self, settings, Gate(world.link, credentials, folder, reports.warn), folder)

    @classmethod
    def of(  # noqa: PLR0913, PLR0917 - the parts of a run
        cls, settings: Settings, world: World, pool: Pool, state: RunState, reports: Reports, folder: Path
    ) -> Growing | None:
        """Let a run grow; None if it cannot, since its ranks do not know who speaks to them.

        Raises
        ------
        SettingsError
            If it is to grow, and there is no Slurm here.
        """
        if world.credentials is None:
            return None
        if settings.grow and shutil.which("sbatch") is None:
            raise SettingsError(
                "--daskmpi-grow needs Slurm where Snakemake runs, to submit further jobs.",
                seen=f"sbatch is not on PATH on {socket.gethostname()}.",
                next_step="start the run on a node that has Slurm's programs, or leave --daskmpi-grow out.",
            )
        told = dataclasses.asdict(settings)
        if not bootstrap.is_in_slurm_step():
            # What the settings say of workers is about those on this machine.
            told |= dict.fromkeys(("workers", "cores", "mem_mb", "gpus"))
        # Not of the class that Snakemake has made: to make one is to enter a world.
        growing = cls(world, pool, state, reports, Settings(**told), folder, world.credentials)
        world.link.loop.call_soon_threadsafe(setattr, pool, "grower", growing)
        return growing

    def close(self) -> None:
        """End all further jobs; the run is over. May be called by any of Snakemake's threads."""
        if not (jobs := self._grower.close()):
            return
        if self._state.is_cancelled:
            # Whoever ends this run may not leave it much time: Slurm kills it soon after its SIGTERM.
            leftovers.end_all(self._folder, 0.0)
        else:
            leftovers.cancel_waiting(self._folder)
            with contextlib.suppress(Exception):
                self._world.link.call(self._see_off(jobs), timeout_s=graces.RANK_S)
            # Their ranks have gone, or go; then Slurm takes a while, too. What it has ended itself, it calls completed.
            leftovers.end_all(self._folder, graces.RANK_S)
        for job in jobs:
            job.phase = Phase.ENDED
            self.note(job, why=_OVER)

    async def _see_off(self, jobs: Iterable[FurtherJob]) -> None:
        """Have all workers of further jobs leave, and wait until they have."""
        self._pool.dismiss({address for job in jobs for address in job.workers}, _OVER)
        await self._grower.is_alone.wait()

    # -- what the pool tells -------------------------------------------------------------------

    def on_sweep(self) -> None:
        """Look how things are, and for orders that have come by hand."""
        self._guard.in_background(self._look())

    async def _look(self) -> None:
        if self._is_given_up:
            return
        try:
            await self._take_orders()
            await self._grower.on_sweep()
        except Exception as error:  # noqa: BLE001 - whatever it is, the run needs no growth; what does is refused
            self._is_given_up = True
            _log.exception("growth is given up")
            why = f"the run grows no more: {type(error).__name__}: {error}"
            self.say(f"{why}; rank-1.log says more.", is_warning=True)
            self.refuse([job.key for job in self._state.held], why)

    async def _take_orders(self) -> None:
        for path, order in await asyncio.to_thread(orders.come, self._folder):
            said = await by_hand.carry_out(order, self._grower, self, self._settings)
            await asyncio.to_thread(orders.answer, path, said)

    def on_worker_added(self, info: WorkerInfo) -> None:
        """Take note of a worker."""
        self._grower.on_worker_added(info)

    def on_worker_gone(self, info: WorkerInfo, *, lost: bool) -> None:
        """Take note of a worker that has left, or was lost."""
        self._grower.on_worker_gone(info, lost=lost)

    # -- what growth asks ----------------------------------------------------------------------

    @property
    def takes_workers(self) -> bool:
        """Whether further workers could be of any use."""
        return not (self._state.is_draining or self._state.is_over)

    def shapes(self) -> tuple[list[Shape], list[Shape]]:
        """Return what waits, and what runs."""
        queue = self._state.queue
        running = (job for job in queue.jobs.values() if job.worker is not None)
        return (
            shapes_of([*queue.waiting, *self._state.held], queue.durations.expected_s),
            shapes_of(running, queue.durations.expected_s),
        )

    def held(self) -> list[tuple[Shape, list[str]]]:
        """Return which of what waits no worker that is there can hold."""
        alike: dict[JobResources, list[Job]] = {}
        for job in self._state.held:
            alike.setdefault(job.wish, []).append(job)
        expected_s = self._state.queue.durations.expected_s
        return [(shapes_of(jobs[:1], expected_s)[0], [job.key for job in jobs]) for jobs in alike.values()]

    def offers(self) -> list[WorkerResources]:
        """Return what the workers offer that take jobs."""
        offers = self._state.queue.offers.items()
        return [offer for address, offer in offers if address not in self._state.crew.leaving]

    def idle(self) -> set[str]:
        """Return the addresses of workers that run nothing."""
        return self._state.queue.idle_workers()

    def dismiss(self, addresses: Iterable[str], why: str) -> None:
        """Have workers leave when they run nothing."""
        self._pool.dismiss(addresses, why)

    def expel(self, addresses: Iterable[str]) -> None:
        """Take workers for lost whose Slurm job has ended."""
        for address in addresses:
            self._guard.in_background(self._world.link.client.run_on_scheduler(workers.remove, address))

    def refuse(self, keys: Iterable[str], why: str) -> None:
        """Report jobs as failed that no worker can hold."""
        self._pool.refuse_held(keys, why)

    def say(self, text: str, *, is_warning: bool = False) -> None:
        """Tell the user."""
        self._reports.say(text, is_warning=is_warning)

    def note(self, job: FurtherJob, *, why: str = "") -> None:
        """Record how far a further job is."""
        self._reports.recorder.allocation(job, why=why)
