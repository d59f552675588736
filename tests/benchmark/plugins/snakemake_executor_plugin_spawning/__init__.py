"""An executor that starts a Snakemake per job, as cluster executors do, for the throughput benchmark.

Runs on: the one process of a benchmark run.
Called by: Snakemake, through ``--executor spawning``, with this folder on ``PYTHONPATH``.

It is what a cluster executor would be on a cluster that costs nothing: no queue, no submission, no accounting, and
the end of a job noticed at once instead of at the next poll. What is left is ``python -m snakemake … --mode remote``.
"""

import os
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.real import RealExecutor
from snakemake_interface_executor_plugins.jobs import JobExecutorInterface
from snakemake_interface_executor_plugins.settings import CommonSettings, ExecMode

# As cluster executors: without the last one, each job would install a storage plugin.
common_settings = CommonSettings(
    non_local_exec=True,
    implies_no_shared_fs=False,
    job_deploy_sources=False,
    auto_deploy_default_storage_provider=False,
)


class Executor(RealExecutor):
    """Run each job's own Snakemake command, as many at a time as there are cores."""

    def __post_init__(self) -> None:
        """Start the pool of threads, each of which waits for one command at a time."""
        self.pool = ThreadPoolExecutor(max_workers=len(os.sched_getaffinity(0)))

    def run_job(self, job: JobExecutorInterface) -> None:
        """Queue the job's command and return."""
        info = SubmittedJobInfo(job)
        self.report_job_submission(info)
        command = self.format_job_exec(job)
        future = self.pool.submit(subprocess.run, command, shell=True, check=True)  # noqa: S604 - Snakemake's string
        future.add_done_callback(partial(self._report, info))

    def _report(self, info: SubmittedJobInfo, future: Future[subprocess.CompletedProcess]) -> None:
        """Tell Snakemake how the job ended, at the moment it does."""
        if future.cancelled() or future.exception() is not None:
            self.report_job_error(info)
        else:
            self.report_job_success(info)

    def shutdown(self) -> None:
        """Wait for the commands that run."""
        self.pool.shutdown()

    def cancel(self) -> None:
        """Drop the commands that wait, and wait for those that run."""
        self.pool.shutdown(cancel_futures=True)

    @property
    def cores(self) -> str:
        """Let a job use the cores that it finds, as cluster executors do."""
        return "all"

    def get_python_executable(self) -> str:
        """Run jobs with the interpreter that runs Snakemake."""
        return sys.executable

    def get_exec_mode(self) -> ExecMode:
        """Run jobs in the mode of cluster executors."""
        return ExecMode.REMOTE
