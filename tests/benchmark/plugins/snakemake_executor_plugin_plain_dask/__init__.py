"""An executor that hands each job to Dask as it comes, for the benchmark of the field.

Runs on: the one process of a benchmark run, which starts Dask's local cluster.
Called by: Snakemake, through ``--executor plain-dask``, with this folder on ``PYTHONPATH``.

It is what one writes in an afternoon: a ``python -m snakemake … --mode remote`` for each job is a task of Dask's, and
Dask's own resources say how many run at a time.
"""

import os
import subprocess
import sys
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
    """Run each job's own Snakemake command as a task of Dask's."""

    def __post_init__(self) -> None:
        """Start two workers, which share the slots."""
        import distributed

        slots = int(os.environ["BENCHMARK_SLOTS"])
        self.cluster = distributed.LocalCluster(
            n_workers=2, threads_per_worker=slots // 2, resources={"cores": slots // 2}, dashboard_address=None
        )
        self.client = distributed.Client(self.cluster)

    def run_job(self, job: JobExecutorInterface) -> None:
        """Submit the job's command and return."""
        info = SubmittedJobInfo(job)
        self.report_job_submission(info)
        command = ["/bin/sh", "-c", self.format_job_exec(job)]
        resources = {"cores": job.threads}
        future = self.client.submit(subprocess.run, command, check=True, pure=False, resources=resources)
        future.add_done_callback(partial(self._report, info))

    def _report(self, info: SubmittedJobInfo, future: object) -> None:
        """Tell Snakemake how the job ended."""
        if future.status == "finished":
            self.report_job_success(info)
        else:
            self.report_job_error(info)

    def shutdown(self) -> None:
        """End the cluster."""
        self.client.close()
        self.cluster.close()

    def cancel(self) -> None:
        """End the cluster."""
        self.shutdown()

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
