"""Snakemake's executor: hand ready jobs to the pool, report their outcomes.

Runs on: rank 1, in Snakemake's main thread; outcomes arrive in the pool's thread.
Called by: Snakemake's scheduler.

Derived from RealExecutor, not RemoteExecutor: that one polls, and starts its thread before
``__post_init__``. Outcomes are pushed instead.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import os
import re
import shlex
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.real import RealExecutor
from snakemake_interface_executor_plugins.settings import ExecMode, SharedFSUsage
from snakemake_interface_executor_plugins.utils import format_cli_arg

from snakemake_executor_plugin_daskmpi import body, failure, rounds
from snakemake_executor_plugin_daskmpi.launch.launchers import launch
from snakemake_executor_plugin_daskmpi.leaving import Leaving
from snakemake_executor_plugin_daskmpi.messages import JobOutcome, JobSpec, OutcomeKind, RunContext
from snakemake_executor_plugin_daskmpi.pool import Pool
from snakemake_executor_plugin_daskmpi.resources import JobResources, foreign_resources
from snakemake_executor_plugin_daskmpi.settings import Settings
from snakemake_executor_plugin_daskmpi.world import bootstrap, rank_log

if TYPE_CHECKING:
    from collections.abc import Mapping

    from snakemake_interface_executor_plugins.jobs import JobExecutorInterface

    from snakemake_executor_plugin_daskmpi.link import World
    from snakemake_executor_plugin_daskmpi.resources import WorkerResources

#: Seconds within which Slurm's SIGTERM reaches all processes of a run; arbitrary.
_SIGTERM_SPREADS_S = 1.0


class Executor(RealExecutor):
    """Runs the jobs of one workflow on the workers of a world."""

    def __post_init__(self) -> None:
        """Get a world, unless there is nothing to do."""
        self._settings = self.executor_settings or Settings()
        self._submitted: dict[str, SubmittedJobInfo] = {}
        self._specs: dict[str, JobSpec] = {}
        self._numbers = itertools.count(1)
        self._said: set[str] = set()
        self._leaving = Leaving()
        self._handed_over = False
        #: Why no job goes warm, if none does.
        self._spawn_all_because = ""
        self._pool: Pool | None = None
        self._world: World | None = None
        if len(self.dag):
            self._open()

    def _open(self) -> None:
        self._leaving.on_signals(by_slurm=bootstrap.is_in_slurm_step())
        world: World = bootstrap.current_world() or launch(self._settings, self.dag, self._before_exec)
        self._world = world
        started = dt.datetime.now().astimezone()
        self._run_id = f"{started:%Y-%m-%dT%H%M%S.%f}-{os.getpid()}"
        self._run_dir = Path.cwd() / ".snakemake" / "daskmpi" / self._run_id
        try:
            rank_log.open_rank_log(str(self._run_dir))
            self._pool = Pool(world.link, self._on_outcome, self._on_broken, bind=self._settings.bind == "cores")
            offers = self._pool.open(world, self._run_context(), self._settings.startup_timeout or 300)
        except BaseException:
            self.shutdown()
            raise
        self.logger.info(f"daskmpi: {world.description}; {offers_text(offers)}.")
        self.logger.info(f"daskmpi: logs of ranks and jobs: {os.path.relpath(self._run_dir)}")

    def _run_context(self) -> RunContext:
        workflow = self.workflow
        return RunContext(
            run_id=self._run_id,
            run_dir=str(self._run_dir),
            workdir=workflow.workdir_init,
            workflow=self._packed_workflow(),
            snakefile=str(workflow.main_snakefile),
        )

    def _packed_workflow(self) -> bytes:
        """Return the workflow for the forkservers, empty if nothing of it goes warm."""
        if self._settings.no_warm:
            self._spawn_all_because = "--daskmpi-no-warm is set"
            return b""
        try:
            return body.pack_workflow(self.workflow)
        except Exception as error:  # noqa: BLE001 - whatever a setting's object raises: all jobs are spawned then
            self._spawn_all_because = f"the workflow's settings cannot be packed: {type(error).__name__}: {error}"
            self.logger.warning(f"daskmpi: jobs are spawned, which is slower: {self._spawn_all_because}")
            return b""

    def _before_exec(self) -> None:
        """Release what must not outlive this process when mpiexec replaces it."""
        self.workflow.persistence.unlock()
        self.workflow.tear_down()
        self.workflow.logger_manager.stop()

    # -- jobs to the pool --------------------------------------------------------------------

    def run_jobs(self, jobs: list[JobExecutorInterface]) -> None:
        """Submit all jobs that are ready."""
        self._leaving.on_signals(by_slurm=bootstrap.is_in_slurm_step())
        if not self._handed_over:
            self._handed_over = True
            if line := rounds.lighten(self.workflow):
                self.logger.info(line)
        # Snakemake gives them in no order, and the first ones start while the others are being handed over.
        super().run_jobs(sorted(jobs, key=lambda job: (-job.priority, -job.threads)))

    def run_job(self, job: JobExecutorInterface) -> None:
        """Submit one job."""
        info = SubmittedJobInfo(job)
        self._note_foreign_resources(job)
        self.report_job_submission(info)
        self._submit(info, self._spawn_all_because or body.obstacle(job))

    def _submit(self, info: SubmittedJobInfo, obstacle: str) -> None:
        job = info.job
        spec = self._spec(job, obstacle)
        self._submitted[spec.key], self._specs[spec.key] = info, spec
        priority = min(int(job.priority), 2**31)
        assert self._pool is not None  # noqa: S101 - without jobs there is no pool, and none without
        self._pool.submit(spec, JobResources.of(job.resources), priority)

    def _spec(self, job: JobExecutorInterface, obstacle: str) -> JobSpec:
        """Return what the worker gets: a warm body, or a command if there is an obstacle."""
        key = f"{self._run_id}-{next(self._numbers)}"
        folder = re.sub(r"[^\w.-]", "_", job.name)[:100]
        log = self._run_dir / "jobs" / folder / f"{job.jobid}-{job.attempt}.log"
        packed = None
        if not obstacle:
            try:
                packed = body.pack_job(job)
            except Exception as error:  # noqa: BLE001 - whatever a user's object raises: it is spawned then
                obstacle = f"it cannot be packed: {type(error).__name__}: {error}"
        if obstacle:
            self.logger.debug(f"daskmpi: {failure.job_text(job)} is spawned: {obstacle}")
        command = f"{self.format_job_exec(job)} {body.launcher_arguments(job)}".rstrip() if obstacle else None
        reusable = not obstacle and body.is_reusable(job)
        mpi = str(job.resources.get("mpi") or "")
        return JobSpec(key, failure.job_text(job), job.name, str(log), packed, command, reusable, mpi=mpi)

    def _note_foreign_resources(self, job: JobExecutorInterface) -> None:
        """Say once of each resource that does nothing here that this is so."""
        asked = set(job.resources.keys())
        steered = self._pool is not None and self._pool.names_components
        for name in sorted(foreign_resources(asked, steered=steered) - self._said):
            self._said.add(name)
            self.logger.info(f"daskmpi: resource {name} steers other executors and has no effect here.")
        own = "daskmpi_component"
        if own in asked and not steered and own not in self._said:
            self._said.add(own)
            self.logger.info(f"daskmpi: resource {own} has no effect here: --daskmpi-components names no components.")

    # -- outcomes from the pool (in its thread) ------------------------------------------------

    def _on_outcome(self, outcome: JobOutcome) -> None:
        if outcome.signal == signal.SIGTERM and bootstrap.is_in_slurm_step():
            # Slurm ends all processes of the run, perhaps: then jobs are no errors, and ours comes in a moment.
            timer = threading.Timer(_SIGTERM_SPREADS_S, self._report, [outcome])
            timer.daemon = True
            timer.start()
        else:
            self._report(outcome)

    def _report(self, outcome: JobOutcome) -> None:
        if self._leaving.has_begun and outcome.kind is not OutcomeKind.OK:
            return  # Snakemake holds its output for incomplete, as that of all jobs that are being ended
        info, spec = self._submitted.pop(outcome.key), self._specs.pop(outcome.key)
        if outcome.obstacle:
            self._spawn_after_all(info, outcome.obstacle)
            return
        if outcome.shadow_dir:
            info.job.shadow_dir = outcome.shadow_dir
        if outcome.kind is OutcomeKind.OK:
            self.report_job_success(info)
        elif outcome.kind is not OutcomeKind.CANCELLED:
            logs = [os.path.relpath(spec.log)] if Path(spec.log).exists() else []
            text = failure.text(outcome, info.job, spec)
            if info.job.is_group():
                self.logger.error(text)  # Snakemake does not print the message of a group
            self.report_job_error(info, msg=text, aux_logs=logs)

    def _spawn_after_all(self, info: SubmittedJobInfo, obstacle: str) -> None:
        if obstacle not in self._said:
            self._said.add(obstacle)
            self.logger.warning(f"daskmpi: jobs are spawned, which is slower: {obstacle}")
        self._submit(info, obstacle)

    def _on_broken(self, error: Exception) -> None:
        self.workflow.scheduler.executor_error_callback(error)

    # -- the end -----------------------------------------------------------------------------

    def cancel(self) -> None:
        """End all running jobs, and those of local rules, then the run."""
        self._kill_local_jobs()
        with contextlib.suppress(Exception):
            if self._pool is not None:
                self._pool.cancel()
        self.shutdown()

    def shutdown(self) -> None:
        """End the run, and with it the world if that was made for it."""
        pool, self._pool = self._pool, None
        if pool is not None:
            with contextlib.suppress(Exception):
                pool.close()
        world, self._world = self._world, None
        if world is not None:
            world.close()

    def _kill_local_jobs(self) -> None:
        """Kill the processes of local rules, which Snakemake runs on this rank and does not end itself."""
        import psutil

        ours = self._world.pids if self._world else frozenset()
        for child in psutil.Process().children():
            if child.pid not in ours:
                with contextlib.suppress(psutil.Error):
                    for process in (*child.children(recursive=True), child):
                        process.kill()

    # -- the command of a spawned job ------------------------------------------------------------

    @property
    def cores(self) -> str:
        """What Snakemake passes as ``--cores`` where nothing better is known."""
        return "all"

    def get_exec_mode(self) -> ExecMode:
        """Spawned jobs are remote jobs to Snakemake."""
        return ExecMode.REMOTE

    def get_python_executable(self) -> str:
        """Return this Python if workers share its installation, as they do in an allocation."""
        import sys

        shared = SharedFSUsage.SOFTWARE_DEPLOYMENT in self.workflow.storage_settings.shared_fs_usage
        return sys.executable if shared else "python"

    def get_job_exec_prefix(self, job: JobExecutorInterface) -> str:  # noqa: ARG002
        """Return the command that goes to the directory in which the Snakefile is parsed."""
        if not self.workflow.storage_settings.assume_common_workdir:
            return ""
        return f"cd {shlex.quote(self.workflow.workdir_init)}"

    def get_job_args(self, job: JobExecutorInterface, **kwargs: Any) -> str:
        """Return the arguments of a spawned job: its cores, and the files to wait for."""
        args = super().get_job_args(job, cores=max(1, JobResources.of(job.resources).cores), **kwargs)
        if SharedFSUsage.INPUT_OUTPUT not in self.workflow.storage_settings.shared_fs_usage:
            return str(args)
        return f"{args} {format_cli_arg('--wait-for-files', list(job.get_wait_for_files()))}"


def offers_text(offers: Mapping[str, WorkerResources]) -> str:
    """Return what the workers offer, alike ones counted.

    >>> from snakemake_executor_plugin_daskmpi.resources import WorkerResources as W
    >>> offers_text({"rank 2": W((0, 1), 4000, 10), "rank 3": W((2, 3), 4000, 10)})
    '2 workers with 2 cores, 4000 MB each'
    """
    counts: dict[str, int] = {}
    for offer in offers.values():
        gpus = f", {len(offer.gpus)} GPU{'s' * (len(offer.gpus) > 1)}" if offer.gpus else ""
        text = f"{len(offer.cores)} core{'s' * (len(offer.cores) != 1)}, {offer.mem_mb} MB{gpus}"
        counts[text] = counts.get(text, 0) + 1
    return "; ".join(f"{n} worker{'s' * (n > 1)} with {text}{' each' * (n > 1)}" for text, n in sorted(counts.items()))
