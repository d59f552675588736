"""The workflow of a warm body: what of it rank 1 sends, and what the workers make of that.

Runs on: rank 1 (:func:`workflow_parts`), in the forkserver of ranks >= 2 (:func:`bare_workflow`) and in the processes
of its jobs (:func:`parsed_workflow`).

Like :mod:`evaluated`, this stands on what Snakemake does not promise; :mod:`compatibility` has the tables.
"""

from __future__ import annotations

import copy
import dataclasses
import os
import sys
from typing import TYPE_CHECKING, Any

from snakemake_interface_executor_plugins.settings import DeploymentMethod, ExecMode

from snakemake_executor_plugin_daskmpi import inherited

if TYPE_CHECKING:
    from snakemake.workflow import Workflow

#: Settings objects of a Snakemake workflow that its parsing depends on, and those that only its jobs do.
PARSE_SETTINGS = (
    "config_settings",
    "resource_settings",
    "storage_settings",
    "deployment_settings",
    "group_settings",
    "storage_provider_settings",
    "overwrite_workdir",
)
JOB_SETTINGS = ("dag_settings", "execution_settings", "scheduling_settings", "remote_execution_settings")

_CACHE = ("SNAKEMAKE_OUTPUT_CACHE",)


def workflow_parts(workflow: Workflow) -> dict[str, Any]:
    """Return what makes up a workflow before its Snakefile is parsed; rank 1."""
    workflow_settings = copy.copy(workflow.workflow_settings)
    workflow_settings.runtime_source_cache_path = workflow.sourcecache.runtime_cache_path
    parts = {name: getattr(workflow, name) for name in PARSE_SETTINGS + JOB_SETTINGS}
    return parts | {
        "workflow_settings": workflow_settings,
        "output_settings": workflow.output_settings,
        "snakefile": workflow.main_snakefile,
        # Only rank 1 may know where the cache between workflows is: the world can be older than the run.
        "envvars": workflow.spawned_job_args_factory.envvars() | {n: os.environ[n] for n in _CACHE if n in os.environ},
        "sys_path": inherited.sys_path_of_a_fresh_snakemake(workflow.workdir_init),
        "argv": list(sys.argv),
    }


def bare_workflow(parts: dict[str, Any], workdir: str) -> Workflow:
    """Return a workflow with a run's settings and without rules: enough for calls that rank 1 has recorded.

    Parameters
    ----------
    workdir
        Where jobs run: the ``workdir:`` of the Snakefile, if it has one. From now on this process's directory, too.
    """
    from snakemake.deployment.singularity import Singularity
    from snakemake.logging import LoggerManager, logger
    from snakemake.settings.enums import Quietness

    os.environ.update(parts["envvars"])
    parts["workflow_settings"].exec_mode = ExecMode.REMOTE
    output = copy.copy(parts["output_settings"])
    # A job's log holds its own output, as with Snakemake's cluster executors: no
    # progress, no rule headers, no log file of its own, no logger plugins.
    output.quiet = frozenset({Quietness.PROGRESS, Quietness.RULES, Quietness.HOST})
    output.nocolor, output.enable_file_logging, output.skip_plugin_handlers = True, False, True
    parts["output_settings"], parts["logger_manager"] = output, LoggerManager(logger, output)
    workflow = _new_workflow(parts)
    os.chdir(workdir)
    _make_ready(workflow, parts)
    if DeploymentMethod.APPTAINER in workflow.deployment_settings.deployment_method:
        Singularity().check()  # finds out what its name is here; forks would not
    return workflow


def parsed_workflow(parts: dict[str, Any]) -> Workflow:
    """Parse the workflow in the current directory, as ``python -m snakemake`` for a single job would.

    Parameters
    ----------
    parts
        With which a :func:`bare_workflow` was made in this process, or in the one that it was forked from.
    """
    sys.path[:], sys.argv[:] = parts["sys_path"], parts["argv"]
    # Reads the files of --configfile, which may have changed.
    workflow = _new_workflow(parts | {"config_settings": dataclasses.replace(parts["config_settings"])})
    workflow.include(parts["snakefile"], overwrite_default_target=True, print_compilation=False)
    workflow.check()
    _make_ready(workflow, parts)
    return workflow


def _new_workflow(parts: dict[str, Any]) -> Workflow:
    from snakemake.workflow import Workflow

    names = (*PARSE_SETTINGS, "workflow_settings", "output_settings", "logger_manager")
    return Workflow(**{name: parts[name] for name in names})


def _make_ready(workflow: Workflow, parts: dict[str, Any]) -> None:
    """Let a workflow run jobs: with an empty DAG, and a persistence without lock."""
    from snakemake.shell import shell
    from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

    for name in JOB_SETTINGS:
        setattr(workflow, name, parts[name])
    # Jobs run in this process, so that it evaluates what a local run evaluates.
    workflow._executor_plugin = ExecutorPluginRegistry().get_plugin("local")  # noqa: SLF001
    shell.conda_block_conflicting_envvars = not workflow.deployment_settings.conda_not_block_search_path_envvars
    shadows = workflow.execution_settings.shadow_prefix
    waive = dict.fromkeys(("ignore_incomplete", "lock_warn_only", "nolock"), True)
    workflow._prepare_dag(forceall=False, shadow_prefix=shadows, **waive)  # noqa: SLF001
    workflow.persistence.deactivate_cache()
    workflow.iocache.deactivate()


def after_fork(workflow: Workflow) -> None:
    """Give a fork its own event loops: those that it was born with belong to its parent too."""
    from concurrent.futures import ThreadPoolExecutor
    from threading import Lock

    workflow._async_runners = {}  # noqa: SLF001
    workflow._async_executor = ThreadPoolExecutor()  # noqa: SLF001
    workflow._async_lock = Lock()  # noqa: SLF001
