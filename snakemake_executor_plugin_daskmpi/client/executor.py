"""Snakemake's executor: hand ready jobs to the pool, report their outcomes.

Runs on: rank 1, in Snakemake's main thread; outcomes arrive in the pool's thread.

Derived from RealExecutor, not RemoteExecutor: that one polls. Here outcomes are pushed.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import gc
import os
from pathlib import Path
from typing import TYPE_CHECKING

from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo

from snakemake_executor_plugin_daskmpi import command_line, inherited
from snakemake_executor_plugin_daskmpi.client import first_run, introduction, known_internals, local_jobs
from snakemake_executor_plugin_daskmpi.client.job import Job
from snakemake_executor_plugin_daskmpi.client.job_comment import JobComment
from snakemake_executor_plugin_daskmpi.client.job_queue import JobQueue
from snakemake_executor_plugin_daskmpi.client.notices import Notes
from snakemake_executor_plugin_daskmpi.client.packing import packed_workflow
from snakemake_executor_plugin_daskmpi.client.pool import Pool
from snakemake_executor_plugin_daskmpi.client.recorder import Recorder
from snakemake_executor_plugin_daskmpi.client.reports import Reports
from snakemake_executor_plugin_daskmpi.client.run_state import RunState
from snakemake_executor_plugin_daskmpi.client.signals import Leaving
from snakemake_executor_plugin_daskmpi.client.spawn_command import SpawningExecutor
from snakemake_executor_plugin_daskmpi.client.specs import Specs
from snakemake_executor_plugin_daskmpi.client.time_left import deadline_of
from snakemake_executor_plugin_daskmpi.errors import SettingsError
from snakemake_executor_plugin_daskmpi.messages import RunContext
from snakemake_executor_plugin_daskmpi.rank import rank_log
from snakemake_executor_plugin_daskmpi.resources import JobResources
from snakemake_executor_plugin_daskmpi.settings.flags import Settings
from snakemake_executor_plugin_daskmpi.snakemake_internals import incomplete, limits
from snakemake_executor_plugin_daskmpi.snakemake_internals.group_needs import least_of
from snakemake_executor_plugin_daskmpi.warm import body
from snakemake_executor_plugin_daskmpi.world import bootstrap

if TYPE_CHECKING:
    from snakemake_interface_executor_plugins.jobs import JobExecutorInterface

    from snakemake_executor_plugin_daskmpi.client.drains import Drains
    from snakemake_executor_plugin_daskmpi.client.growing import Growing
    from snakemake_executor_plugin_daskmpi.resources import WorkerResources
    from snakemake_executor_plugin_daskmpi.world.link import World


class Executor(SpawningExecutor):
    """Runs the jobs of one workflow on the workers of a world."""

    def __post_init__(self) -> None:
        """Get a world, unless there is nothing to do."""
        self._settings = self.executor_settings or Settings()
        self._notes = Notes(self.logger)
        # Most jobs of a rule ask for the same.
        self._request_of = functools.lru_cache(maxsize=256)(self._read_request)
        #: What kinds of workers offer.
        self._offers: list[WorkerResources] = []
        self._leaving = Leaving(self._on_drain, self._on_hurry)
        self._drains: Drains | None = None
        #: Why no job goes warm, if none does.
        self._spawn_all_because = ""
        self._pool: Pool | None = None
        self._world: World | None = None
        self._recorder: Recorder | None = None
        self._comment: JobComment | None = None
        self._growing: Growing | None = None
        if len(self.dag):
            self._open()

    def _open(self) -> None:
        if self.workflow.remote_execution_settings.immediate_submit:
            raise SettingsError(
                "--immediate-submit cannot be used here: it leaves it to a batch system which job waits for which.",
                next_step="leave it out; ready jobs start within milliseconds.",
            )
        self._listen_to_signals()
        self._leaving.interruption.mind()
        known_internals.dissolve_groups(self.workflow, self.logger)
        world: World = bootstrap.current_world() or self._launched()
        self._world = world
        started = dt.datetime.now().astimezone()
        self._run_id = f"{started:%Y-%m-%dT%H%M%S.%f}-{os.getpid()}"
        self._first_run = first_run.handed_on(self._run_id, Path.cwd(), os.environ)
        self._run_dir = Path.cwd() / ".snakemake" / "daskmpi" / self._run_id
        try:
            rank_log.open_rank_log(str(self._run_dir))
            self._rounds = known_internals.rounds_of(self.workflow, self.logger, self._listen_to_signals)
            self._scheduler = known_internals.scheduler_of(self.workflow, self.logger)
            self._chains = known_internals.chains_of(self.dag, self.logger)
            self._job_specs = Specs(self._run_id, self._run_dir, self.command_of, self.logger.debug)
            self._pool = self._pool_of(world)
            offers = self._pool.open(self._run_context(), float(self._settings.startup_timeout))
            self._growing = self._growing_of(world, self._pool)
            if (deadline := deadline_of(self._settings)) is not None:
                minutes = deadline.ends_jobs_in_s / 60
                self.logger.info(f"daskmpi: {deadline.end_text()}; jobs have {minutes:.1f} minutes.")
                self._pool.watch(deadline)
            if self._drains is not None:
                self._pool.drain(self._drains)
        except BaseException:
            self._close()
            raise
        # The DAG stays until the end: each look of the garbage collector at that of 100,000 jobs takes a second.
        gc.freeze()
        self._offers = list(dict.fromkeys(offers.values()))
        introduction.tell_where_jobs_run(self.logger, world, offers, self.workflow.resource_settings.cores)
        introduction.tell_where_to_look(self.logger, self._settings, world, self._run_dir)
        self._comment = JobComment.of(os.environ, lambda: self._scheduler.count(len(self.dag)))

    def _launched(self) -> World:
        # Not at the top: ranks, and runs of other executors, start faster without.
        from snakemake_executor_plugin_daskmpi.launch.launchers import launch

        return launch(self._settings, self.dag, self._before_exec)

    def _growing_of(self, world: World, pool: Pool) -> Growing | None:
        # Not at the top, for the same reason.
        from snakemake_executor_plugin_daskmpi.client.growing import Growing

        return Growing.of(self._settings, world, pool, self._state, self._reports, self._run_dir)

    def _pool_of(self, world: World) -> Pool:
        self._state = RunState(
            JobQueue(max_cores=self.workflow.resource_settings.cores, bind=self._settings.bind == "cores"),
            is_world=bootstrap.current_world() is not None,
            is_slurm_step=bootstrap.is_in_slurm_step(),
            patience_s=float(self._settings.startup_timeout),
            may_grow=self._settings.grow > 0,
        )
        self._recorder = recorder = Recorder(self._run_dir)
        recorder.begin(self._run_id, self._first_run, world.description, self.workflow.resource_settings.cores)
        self._reports = Reports(
            self,
            self._scheduler,
            self._rounds,
            self._notes,
            recorder,
            self._leaving,
            str(self._run_dir),
            marks=incomplete.can_wait(self.workflow),
        )
        return Pool(world, self._state, self._reports, recorder)

    def _run_context(self) -> RunContext:
        workflow = self.workflow
        packed, self._spawn_all_because = packed_workflow(workflow, self._settings, self._notes.warn_once)
        return RunContext(
            run_id=self._run_id,
            run_dir=str(self._run_dir),
            workdir=workflow.workdir_init,
            job_dir=str(Path.cwd()),
            workflow=packed,
            snakefile=str(workflow.main_snakefile),
            memory=self._settings.memory,
            linger_s=self._settings.linger,
            shared_parse=self._settings.shared_parse,
        )

    def _listen_to_signals(self) -> None:
        """Handle signals, again before each round.

        Snakemake's own of SIGTERM, set after this was made, waits for ever for a lock whose holder it interrupts.
        """
        on_node = {"SLURM_JOB_ID", "SLURMD_NODENAME"} <= os.environ.keys()
        by_slurm, in_world = bootstrap.is_in_slurm_step() or on_node, bootstrap.current_world() is not None
        self._leaving.on_signals(by_slurm=by_slurm, has_keeper=in_world)

    def _on_drain(self, what: Drains) -> None:
        self._drains = what
        if self._pool is not None:
            self._pool.drain(what)

    def _on_hurry(self) -> None:
        if self._pool is not None:
            self._pool.hurry()

    def _before_exec(self) -> None:
        """Release what must not outlive this process when mpiexec replaces it."""
        self.workflow.persistence.unlock()
        self.workflow.tear_down()
        self.workflow.logger_manager.stop()

    # -- jobs to the pool --------------------------------------------------------------------

    def run_jobs(self, jobs: list[JobExecutorInterface]) -> None:
        """Submit all jobs that are ready."""
        self._leaving.interruption.mind()
        self._listen_to_signals()
        if self._rounds.is_limit_lifted and not self._leaving.has_jobs:
            self.logger.info(
                "daskmpi: Snakemake's default limit of 100 job starts a second is lifted; "
                "--max-jobs-per-timespan with another value limits them."
            )
        self._leaving.has_jobs = True
        if self._recorder is not None:
            self._recorder.dag(self.dag)
        self._job_specs.inherited = inherited.changes()
        # Snakemake gives them in no order, and the first ones start while others are handed over.
        n_behind = self._chains.n_behind
        super().run_jobs(sorted(jobs, key=lambda job: (-job.priority, -n_behind(job), -job.threads)))
        self._rounds.hold_another()

    def run_job(self, job: JobExecutorInterface) -> None:
        """Submit one job."""
        info = SubmittedJobInfo(job)
        self.report_job_submission(info, register_job=not self._reports.marks)
        self._submit(info, self._spawn_all_because or body.obstacle(job))

    def spawn_after_all(self, info: SubmittedJobInfo, obstacle: str) -> None:
        """Submit a job again that could not go warm."""
        self._submit(info, obstacle)

    def _submit(self, info: SubmittedJobInfo, obstacle: str) -> None:
        spec = self._job_specs.spec_of(info.job, obstacle)
        assert self._pool is not None  # noqa: S101 - without jobs there is no pool, and none without
        resources = tuple(info.job.resources.items())
        # 1 and True are equal, and not the same.
        request = self._request_of(resources, tuple(type(value) for _, value in resources))
        floor = least_of(info.job, request) if spec.units else request
        asked = limits.asked_by(info.job, request)
        is_theirs = self.workflow.resource_settings.cores is not None
        self._notes.oversized(spec.name, floor, floor if is_theirs else asked, self._offers)
        priority, n_behind = min(int(info.job.priority), 2**31), self._chains.n_behind(info.job)
        self._pool.submit(Job(spec, request, floor, priority, n_behind, info, asked))

    def _read_request(self, resources: tuple[tuple[str, object], ...], _types: tuple[type, ...]) -> JobResources:
        """Return what resources ask for, and tell of those that have no effect here."""
        asked = dict(resources)
        may_name = self._state.may_grow and self._settings.components is not None
        self._notes.foreign(asked, steered=may_name or self._state.queue.names_components)
        return JobResources.of(asked)

    def handle_job_success(self, job: JobExecutorInterface) -> None:
        """Take note that Snakemake, too, takes a job for done."""
        self._reports.confirm(job)

    def handle_job_error(self, job: JobExecutorInterface) -> None:
        """Take note that Snakemake takes a job for failed: its outputs are missing, for instance."""
        self._reports.reject(job)

    # -- the end -----------------------------------------------------------------------------

    def cancel(self) -> None:
        """End all running jobs, and those of local rules, then the run."""
        self._leaving.interruption.arrive()
        self.kill_local_jobs()
        with contextlib.suppress(Exception):
            if self._pool is not None:
                self._pool.cancel()
        self._close()

    def shutdown(self) -> None:
        """End the run, and with it the world if that was made for it; say what is left, if anything."""
        self._close()
        if self._leaving.has_jobs and not (self._leaving.has_begun or self._reports.is_broken):
            self._reports.close(self._state.why_draining, self._next_step())

    def _next_step(self) -> str:
        if self._settings.resubmit and self._settings.launcher == "sbatch":
            return "none: the next Slurm job is planned and submitted now (--daskmpi-resubmit)."
        launcher = self._settings.launcher
        return command_line.continuing_step(launcher, in_world=bootstrap.current_world() is not None)

    def _close(self) -> None:
        self._leaving.interruption.arrive()
        pool, self._pool = self._pool, None
        growing, self._growing = self._growing, None
        if growing is not None:
            with contextlib.suppress(Exception):
                growing.close()
        if pool is not None:
            self._reports.mark_what_is_left()
            with contextlib.suppress(Exception):
                pool.close()
        gc.unfreeze()
        if self._recorder is not None:
            # Of a run whose world did not stand there is no scheduler yet.
            begun, total = self._scheduler.is_there, len(self.dag)
            counts = self._scheduler.count(total) if begun else (0, total, 0)
            self._recorder.end(*counts, is_interrupted=self._leaving.has_begun or not begun)
            self._recorder.close()
        comment, self._comment = self._comment, None
        if comment is not None:
            comment.end()
        world, self._world = self._world, None
        if world is not None:
            world.close()
        if comment is not None:
            comment.wait()

    def kill_local_jobs(self) -> None:
        """Kill the processes of local rules."""
        local_jobs.kill(keep=self._world.pids if self._world else frozenset())
