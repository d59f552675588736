"""The command of a job that does not go warm: ``python -m snakemake``, as cluster executors run it.

Runs on: rank 1.
"""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING, Any

from snakemake_interface_executor_plugins.executors.real import RealExecutor
from snakemake_interface_executor_plugins.settings import ExecMode, SharedFSUsage
from snakemake_interface_executor_plugins.utils import format_cli_arg

from snakemake_executor_plugin_daskmpi.messages import PYTHON_VARIABLE
from snakemake_executor_plugin_daskmpi.resources import JobResources

if TYPE_CHECKING:
    from snakemake_interface_executor_plugins.jobs import JobExecutorInterface


_WORKERS_PYTHON = f'"${PYTHON_VARIABLE}"'


class SpawningExecutor(RealExecutor):
    """What Snakemake asks of an executor whose jobs are processes of its own kind."""

    def command_of(self, job: JobExecutorInterface) -> str:
        """Return the command line of a job, for ``/bin/bash``."""
        command = " ".join(filter(None, (self.format_job_exec(job), launcher_arguments(job), self._own_copies(job))))
        # Snakemake takes the first python on PATH for this one, whatever we say.
        return command.replace("python -m snakemake --deploy", f"{_WORKERS_PYTHON} -m snakemake --deploy")

    def _own_copies(self, job: JobExecutorInterface) -> str:
        """Return the argument that gives a job its own place for local copies of stored files, if these are not shared.

        A job removes its copies when it has ended, and jobs of a worker would have them in one place.
        """
        settings = self.workflow.storage_settings
        if SharedFSUsage.STORAGE_LOCAL_COPIES in settings.shared_fs_usage:
            return ""
        prefix = settings.remote_job_local_storage_prefix or settings.local_storage_prefix
        own = prefix / f"{job.jobid}-{job.attempt}"
        return str(format_cli_arg("--local-storage-prefix", str(own), base64_encode=True))

    @property
    def cores(self) -> str:
        """What Snakemake passes as ``--cores`` where nothing better is known."""
        return "all"

    def get_exec_mode(self) -> ExecMode:
        """Spawned jobs are remote jobs to Snakemake."""
        return ExecMode.REMOTE

    def get_python_executable(self) -> str:
        """Return this Python if workers share its installation, as they do in an allocation; else the worker's."""
        shared = SharedFSUsage.SOFTWARE_DEPLOYMENT in self.workflow.storage_settings.shared_fs_usage
        return sys.executable if shared else _WORKERS_PYTHON

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


def launcher_arguments(job: Any) -> str:
    """Return the arguments by which a spawned job takes its ``resources.mpi`` from $DASKMPI_MPI; "" if it has none.

    Snakemake heeds only the last ``--set-resources`` of a command, so the user's own are repeated.
    """
    jobs = list(job.jobs) if job.is_group() else [job]
    ours = {f"{each.rule.name}:mpi": "$DASKMPI_MPI" for each in jobs if each.resources.get("mpi")}
    if not ours:
        return ""
    theirs = jobs[0].dag.workflow.resource_settings._parsed_overwrite_resources  # noqa: SLF001
    set_by_user = {f"{rule}:{name}": r.raw for rule, resources in theirs.items() for name, r in resources.items()}
    assignments = [f"{name}={value}" for name, value in (set_by_user | ours).items()]
    return str(format_cli_arg("--set-resources", assignments, base64_encode=True))
