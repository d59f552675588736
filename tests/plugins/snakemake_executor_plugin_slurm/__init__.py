"""The options of Snakemake's slurm executor plugin, for profiles that have them; no executor.

Runs on: the machine of the tests, in Snakemake.
Called by: tests that put this folder on PYTHONPATH. Names and types are those of version 2.8.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from snakemake_interface_executor_plugins.executors.base import AbstractExecutor
from snakemake_interface_executor_plugins.settings import CommonSettings, ExecutorSettingsBase

common_settings = CommonSettings(non_local_exec=True, implies_no_shared_fs=False, job_deploy_sources=False)


@dataclass
class ExecutorSettings(ExecutorSettingsBase):
    """Some of the options."""

    logdir: Optional[Path] = field(default=None, metadata={"help": "Logs."})
    init_seconds_before_status_checks: Optional[int] = field(default=40, metadata={"help": "Patience."})
    requeue: bool = field(default=False, metadata={"help": "Requeue."})
    no_requeue: bool = field(default=False, metadata={"help": "No requeue."})
    exclude_failed_nodes: Optional[str] = field(default=None, metadata={"help": "Nodes."})
    jobname_prefix: Optional[str] = field(default="", metadata={"help": "Name."})
    qos: Optional[str] = field(default=None, metadata={"help": "Quality of service."})
    reservation: Optional[str] = field(default=None, metadata={"help": "Reservation."})


class Executor(AbstractExecutor):
    """Nobody's."""
