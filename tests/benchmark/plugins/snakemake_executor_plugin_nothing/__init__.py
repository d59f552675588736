"""An executor that runs nothing: Snakemake's own ceiling, for the throughput benchmark.

Runs on: the one process of a benchmark run.
Called by: Snakemake, through ``--executor nothing``, with this folder on ``PYTHONPATH``.

What is left when jobs cost nothing is what Snakemake itself spends on each of them: selecting it, printing it,
checking its output, writing its metadata. No executor can be faster than that, because all of it happens in one
thread of the main process.
"""

from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.real import RealExecutor
from snakemake_interface_executor_plugins.jobs import JobExecutorInterface
from snakemake_interface_executor_plugins.settings import CommonSettings, ExecMode

common_settings = CommonSettings(non_local_exec=True, implies_no_shared_fs=False, job_deploy_sources=False)


class Executor(RealExecutor):
    """Report each job as submitted and as finished in one breath.

    Success is reported from the scheduler's own thread and not from another one. The scheduler then finds all jobs
    finished in a single round and no second thread competes for the interpreter's lock, so this is the highest
    ceiling: one that an executor whose jobs end one by one cannot quite reach.
    """

    def run_job(self, job: JobExecutorInterface) -> None:
        """Create the job's output files, empty, since Snakemake insists on them."""
        for path in job.output:
            open(path, "w").close()  # the cheapest way there is, in a measurement
        info = SubmittedJobInfo(job)
        self.report_job_submission(info)
        self.report_job_success(info)

    def shutdown(self) -> None:
        """Have nothing to end."""

    def cancel(self) -> None:
        """Have nothing to cancel."""

    @property
    def cores(self) -> str:
        """Say, as cluster executors do, that a job may use the cores that it finds."""
        return "all"

    def get_python_executable(self) -> str:
        """Name no interpreter that anybody will start."""
        return "python"

    def get_exec_mode(self) -> ExecMode:
        """Name the mode that a job would be started in."""
        return ExecMode.REMOTE
