"""Let a run grow by further Slurm jobs, and shrink again.

Runs on: rank 1, in the link's event loop; what waits for Slurm, in threads.

Every few seconds: how far are the jobs that were submitted; is one of them needed no more; would another be worth its
wait; have the workers of one idled for long. What waits, the run says (:mod:`run`), and planning.further what for.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.errors import LaunchError
from snakemake_executor_plugin_daskmpi.growth import decisions, queue_look, submission
from snakemake_executor_plugin_daskmpi.growth.estimate import slots
from snakemake_executor_plugin_daskmpi.growth.further_job import FurtherJob, Phase, offer_of, text_of
from snakemake_executor_plugin_daskmpi.growth.known_site import KnownSite
from snakemake_executor_plugin_daskmpi.growth.setbacks import Setbacks
from snakemake_executor_plugin_daskmpi.planning.further import further_plans
from snakemake_executor_plugin_daskmpi.settings.durations import duration_text, minutes_of
from snakemake_executor_plugin_daskmpi.slurm.submission import leftovers, queue

if TYPE_CHECKING:
    from snakemake_executor_plugin_daskmpi.growth.decisions import Wanted
    from snakemake_executor_plugin_daskmpi.growth.run import Run
    from snakemake_executor_plugin_daskmpi.messages import WorkerInfo
    from snakemake_executor_plugin_daskmpi.planning.demand import Shape
    from snakemake_executor_plugin_daskmpi.resources import WorkerResources
    from snakemake_executor_plugin_daskmpi.settings.flags import Settings
    from snakemake_executor_plugin_daskmpi.slurm.plan import Plan
    from snakemake_executor_plugin_daskmpi.world.gate import Gate

_log = logging.getLogger(__name__)

#: Seconds that a worker takes to start, at least and until one was seen to; and until a run knows its first jobs.
_START_S, _FIRST_LOOK_S = 5.0, 3.0
#: A look is followed by a pause of so many times what it took in the loop, and at least so many seconds.
_PAUSE_PER_COST, _PAUSE_S = 100.0, 2.0


class Grower:
    """The further Slurm jobs of one run.

    Parameters
    ----------
    run
        That is to grow.
    settings
        Of the run.
    gate
        Lets the jobs in.
    folder
        Of the run.
    """

    def __init__(self, run: Run, settings: Settings, gate: Gate, folder: Path) -> None:
        self._run, self._settings, self._gate = run, settings, gate
        self._folder = folder / leftovers.FOLDER
        #: Those in the queue or at work, by Slurm's id.
        self.jobs: dict[str, FurtherJob] = {}
        self._numbers = itertools.count(1)
        self._next_look = time.monotonic() + _FIRST_LOOK_S
        self._is_looking = self._is_closed = False
        self.site = KnownSite()
        self._setbacks = Setbacks(run.say)
        self.start_s = _START_S
        #: Set while no worker of a further job is there.
        self.is_alone = asyncio.Event()
        self.is_alone.set()

    # -- what happens --------------------------------------------------------------------------

    def on_worker_added(self, info: WorkerInfo) -> None:
        """Take note that a worker has joined, the first time or again."""
        if (job := self.jobs.get(info.allocation)) is None:
            return
        job.workers.add(info.address)
        self.is_alone.clear()
        job.n_joined += 1
        job.busy_at = now = time.monotonic()
        if job.phase in (Phase.QUEUED, Phase.STARTED):
            self._setbacks.on_success()
            if job.phase is Phase.STARTED:
                self.start_s = max(_START_S, now - job.started_at)
            if job.n_joined >= job.plan.n_workers:
                job.phase = Phase.JOINED
                n = job.plan.n_workers
                self._run.say(f"Slurm job {job.job_id} has joined: {n} worker{'s' * (n > 1)}.")
                self._run.note(job)

    def on_worker_gone(self, info: WorkerInfo, *, lost: bool) -> None:  # noqa: ARG002 - who is lost has gone, too
        """Take note that a worker has left, or was lost."""
        if (job := self.jobs.get(info.allocation)) is not None:
            job.workers.discard(info.address)
        if not any(job.workers for job in self.jobs.values()):
            self.is_alone.set()

    async def on_sweep(self) -> None:
        """Look how things are, if it is time for that."""
        if self._is_looking or self._is_closed or time.monotonic() < self._next_look:
            return
        self._is_looking = True
        try:
            await self._look()
        finally:
            self._is_looking = False

    async def _look(self) -> None:
        await self._see_queue()
        began = time.monotonic()
        waiting, running = self._run.shapes() if self._run.takes_workers else ([], [])
        unneeded = [
            job for job in self.jobs.values() if job.phase is Phase.QUEUED and not self._is_needed(job, waiting)
        ]
        wanted = self._wanted(waiting, running)
        cost_s = time.monotonic() - began
        for job in unneeded:
            await self.cancel(job, "nothing waits for it any more")
        # Where there was room for a part only, there may be for another one.
        is_partial = await self._grow(wanted) if wanted else False
        self._shrink()
        self._next_look = time.monotonic() + (0 if is_partial else max(_PAUSE_S, cost_s * _PAUSE_PER_COST))

    # -- how far they are ----------------------------------------------------------------------

    async def _see_queue(self) -> None:
        """Ask Slurm how far the jobs are; if it is silent, they are as they were."""
        try:
            found = await asyncio.to_thread(queue_look.look, [*self.jobs.values()])
        except queue.SlurmSilenceError as error:
            _log.info("Slurm does not say how far further jobs are: %s", error)
            return
        for job, seen in found:
            if job.phase is Phase.QUEUED and seen.is_running:
                job.phase, job.busy_at = Phase.STARTED, time.monotonic()
                job.started_at = job.busy_at - seen.for_s
                self._run.note(job)
            if seen.has_ended:
                self._on_end(job, seen.state)

    def _on_end(self, job: FurtherJob, state: str) -> None:
        del self.jobs[job.job_id]
        self._gate.withdraw(job.ticket)
        job.phase = Phase.ENDED
        self._run.note(job, why=state)
        if state in queue.ENDED:
            self._run.expel(job.workers)  # on a node that Slurm has given up, processes may live on
        if job.n_joined or job.is_leaving:
            return
        output = job.folder / submission.OUTPUT
        self._setbacks.on_failure(f"Slurm job {job.job_id} ended ({state}) before it had joined. Its output: {output}")

    # -- growing -------------------------------------------------------------------------------

    def _is_needed(self, job: FurtherJob, waiting: list[Shape]) -> bool:
        is_asked_for = job.is_by_hand and self._run.takes_workers
        return is_asked_for or decisions.is_needed(job, waiting, self._offers(without=job), self.start_s)

    def _wanted(self, waiting: list[Shape], running: list[Shape]) -> Wanted | None:
        """Return what further workers are wanted for; None if they are not."""
        if not waiting or self._settings.grow <= len(self.jobs):
            return None
        if self._setbacks.are_final:
            for _, keys in self._run.held():
                self._run.refuse(keys, "further Slurm jobs were refused, or ended before they had joined.")
        if not self._setbacks.let_try:
            return None
        return decisions.wanted(waiting, running, self._offers(), self.start_s)

    def _offers(self, without: FurtherJob | None = None) -> list[WorkerResources]:
        """Return what the workers offer that are there, or come."""
        coming = [offer for job in self.jobs.values() if job is not without for offer in job.offers]
        return [*self._run.offers(), *coming]

    async def _grow(self, wanted: Wanted) -> bool:
        """Submit jobs if they pay; return whether some are smaller than planned."""
        most = self._settings.grow - len(self.jobs)
        try:
            site = await self.site.ask()
            plans = further_plans(wanted.shapes, site, self._settings, wanted.target_min, most)
        except LaunchError as error:
            self._setbacks.on_refusal(error)
            return False
        for impossible, why in plans.impossible:
            for shape, keys in self._run.held():
                if shape.need.resources == impossible.need.resources:
                    self._run.refuse(keys, str(why).partition("\n")[0])
        try:
            found = [(plan, await self._grow_by(plan, wanted)) for plan in plans.plans]
        except (LaunchError, OSError) as error:
            self._setbacks.on_refusal(error)
            return False
        return any(job and job.plan != plan for plan, job in found)

    async def _grow_by(self, plan: Plan, wanted: Wanted) -> FurtherJob | None:
        """Submit a job, or as much of it as finds room soon; None if that does not pay."""
        # What cannot run here at all is worth any wait.
        waits_for_it = any(slots(shape, offer_of(plan)) for shape, _ in self._run.held())
        starts_in_s: float | None = None
        less: Plan | None = plan
        while less:
            plan = less
            command = await self._written(plan)
            if not waits_for_it:
                starts_in_s = await asyncio.to_thread(submission.starts_in_s, command)
            if starts_in_s is None or starts_in_s + self.start_s < wanted.takes_min * 60:
                return await self.submit(plan, command, takes_min=None if waits_for_it else wanted.takes_min)
            less = decisions.smaller(plan, wanted.shapes)
        if starts_in_s is not None:
            self._setbacks.on_long_wait(plan, starts_in_s / 60, wanted.takes_min)
        return None

    async def _written(self, plan: Plan) -> list[str]:
        """Write the script of a job, and return the command that submits it."""
        folder, site = self._folder / str(next(self._numbers)), await self.site.ask()
        return await asyncio.to_thread(submission.write, self._settings, plan, site, folder)

    async def submit(
        self, plan: Plan, command: list[str] | None = None, *, takes_min: float | None = None, is_by_hand: bool = False
    ) -> FurtherJob | None:
        """Submit a further job, and return it; None if the run is over by then.

        Parameters
        ----------
        command
            Submits it, if its script is written.
        takes_min
            What the workers that are there, or come, take for what waits, in minutes; None if that is no question.

        Raises
        ------
        LaunchError
            If Slurm refuses it.
        OSError
            If its script cannot be written, or nobody can listen here.
        """
        command = command or await self._written(plan)
        await self._gate.open()
        shown = self._gate.ticket()
        try:
            job_id = await asyncio.to_thread(submission.submit, command, shown)
        except BaseException:
            self._gate.withdraw(shown)
            raise
        job = FurtherJob(job_id, plan, Path(command[-1]).parent, shown, time.monotonic(), is_by_hand=is_by_hand)
        if self._is_closed:  # meanwhile
            await self.cancel(job, "the run is over")
            return None
        self.jobs[job_id] = job
        why = f": what waits would take {duration_text(takes_min)}" if takes_min else ""
        self._run.say(f"Slurm job {job_id} was submitted{why}; {text_of(plan)}.")
        self._run.note(job)
        return job

    # -- shrinking -----------------------------------------------------------------------------

    def _shrink(self) -> None:
        now, idle = time.monotonic(), self._run.idle()
        patience_min = minutes_of(self._settings.shrink)
        for job in self.jobs.values():
            if job.idle_min(now, idle) >= patience_min and not job.is_leaving:
                minutes = duration_text(patience_min)
                self.end(job, f"its workers have had nothing to do for {minutes} (--daskmpi-shrink)")

    def end(self, job: FurtherJob, why: str) -> None:
        """Have the workers of a job that has joined leave, when they run nothing."""
        job.is_leaving = True
        self._run.say(f"Slurm job {job.job_id} ends: {why}.")
        self._run.dismiss(job.workers, why)

    async def cancel(self, job: FurtherJob, why: str) -> None:
        """Take a job out of the queue."""
        job.is_leaving = True
        self._gate.withdraw(job.ticket)
        try:
            await asyncio.to_thread(queue.order, queue.cancel_command(job.job_id))
        except (queue.SlurmSilenceError, LaunchError) as error:
            _log.warning("Slurm job %s could not be cancelled: %s", job.job_id, error)
        else:
            self._run.say(f"Slurm job {job.job_id} was cancelled in the queue: {why}.")

    def close(self) -> list[FurtherJob]:
        """Let nobody in any more, and return the jobs that are left."""
        self._is_closed = True
        self._gate.close()
        return [*self.jobs.values()]
