"""What warm bodies use of Snakemake's internals: all of it, and nothing else.

Runs on: rank 1 (``*_parts``, ``units``) and in the forkserver of ranks >= 2 (the others).
Called by: warm.body; specs; worker.child. The tables are read by warm.compatibility.

The idea: rank 1 has evaluated all that depends on the DAG (input functions, params, resources,
checkpoints). So the worker needs no DAG, only the parsed rules; it gets the evaluated job, rebuilds a
:class:`snakemake.jobs.Job` around it, and hands that to the very functions with which Snakemake's own
local executor prepares and runs a job.

None of this is promised by Snakemake: where a version lacks some of what the tables name, nothing goes warm.
"""

from __future__ import annotations

import copy
import os
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from snakemake_interface_executor_plugins.settings import DeploymentMethod, ExecMode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from snakemake.jobs import Job
    from snakemake.workflow import Workflow

#: Settings objects of a Snakemake workflow that its parsing and its jobs depend on.
_PARSE_SETTINGS = (
    "config_settings",
    "resource_settings",
    "storage_settings",
    "deployment_settings",
    "group_settings",
    "storage_provider_settings",
    "overwrite_workdir",
)
_JOB_SETTINGS = ("dag_settings", "execution_settings", "scheduling_settings", "remote_execution_settings")

#: What a job remembers, set in a rebuilt one.
JOB_STATE = frozenset(
    {"rule", "dag", "wildcards_dict", "wildcards", "_format_wildcards", "input", "output", "_params", "_log"}
    | {"_benchmark", "_resources", "_conda_env_spec", "_conda_env", "_container_img_url", "_attempt", "_is_updated"}
    | {"_aux_resources", "shadow_dir", "touch_output", "protected_output", "temp_output", "pipe_or_service_output"},
)
_CACHE = ("SNAKEMAKE_OUTPUT_CACHE",)
#: Attributes of a workflow, and of its DAG.
WORKFLOW_STATE = (*_JOB_SETTINGS, "_async_runners", "_async_executor", "_async_lock", "_executor_plugin", "linemaps")
DAG_STATE = ("_jobid", "dependencies", "container_imgs")
#: Functions and methods with the parameters that we give them.
FUNCTIONS = {
    "executors.local:Executor.job_args_and_prepare": ("job",),
    "executors.local:Executor.acached_or_run": ("job", "run_func"),
    "rules:Rule.expand_output": ("wildcards",),
    "rules:Rule.expand_params": ("wildcards", "input", "output", "job"),
    "rules:Rule.expand_resources": ("wildcards", "input", "attempt"),
    **dict.fromkeys(("dag:DAG.handle_touch", "dag:DAG.handle_log"), ("job",)),
    "dag:DAG.check_and_touch_output": ("job", "wait", "check_output_mtime"),
    "dag:DAG.unshadow_output": ("job", "only_log", "keep_shadow_dir"),
    "workflow:Workflow.include": ("snakefile", "overwrite_default_target", "print_compilation"),
    "workflow:Workflow.async_run": ("coro",),
    "workflow:Workflow._prepare_dag": ("forceall", "ignore_incomplete", "lock_warn_only", "nolock", "shadow_prefix"),
    "workflow:Workflow.__init__": (*_PARSE_SETTINGS, "workflow_settings", "output_settings", "logger_manager"),
    **dict.fromkeys(("executors.local:run_wrapper", "jobs:Job.prepare", "workflow:Workflow.check"), ()),
    **dict.fromkeys(("iocontainers:InputFiles._take_names", "iocontainers:InputFiles._plainstrings"), ()),
    **dict.fromkeys(("resources:Resources.default", "deployment.singularity:Singularity.check"), ()),
}


def workflow_parts(workflow: Workflow) -> dict[str, Any]:
    """Return what the forkserver needs to parse the same workflow; rank 1."""
    workflow_settings = copy.copy(workflow.workflow_settings)
    workflow_settings.runtime_source_cache_path = workflow.sourcecache.runtime_cache_path
    parts = {name: getattr(workflow, name) for name in _PARSE_SETTINGS + _JOB_SETTINGS}
    return parts | {
        "workflow_settings": workflow_settings,
        "output_settings": workflow.output_settings,
        "snakefile": workflow.main_snakefile,
        # Where the cache between workflows is, rank 1 may know alone: the world can be older than the run.
        "envvars": workflow.spawned_job_args_factory.envvars() | {n: os.environ[n] for n in _CACHE if n in os.environ},
        "sys_path": list(sys.path),
        "argv": list(sys.argv),
    }


def parsed_workflow(parts: dict[str, Any]) -> Workflow:
    """Parse the workflow in the current directory, as ``python -m snakemake --mode remote`` would."""
    from snakemake.deployment.singularity import Singularity
    from snakemake.logging import LoggerManager, logger
    from snakemake.settings.enums import Quietness
    from snakemake.shell import shell
    from snakemake.workflow import Workflow
    from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

    os.environ.update(parts["envvars"])
    sys.path[:], sys.argv[:] = parts["sys_path"], parts["argv"]
    parts["workflow_settings"].exec_mode = ExecMode.REMOTE
    output = copy.copy(parts["output_settings"])
    # A job's log holds its own output, as with Snakemake's cluster executors: no
    # progress, no rule headers, no log file of its own, no logger plugins.
    output.quiet = frozenset({Quietness.PROGRESS, Quietness.RULES, Quietness.HOST})
    output.nocolor, output.enable_file_logging, output.skip_plugin_handlers = True, False, True
    workflow = Workflow(
        **{name: parts[name] for name in _PARSE_SETTINGS},
        workflow_settings=parts["workflow_settings"],
        output_settings=output,
        logger_manager=LoggerManager(logger, output),
    )
    workflow.include(parts["snakefile"], overwrite_default_target=True, print_compilation=False)
    workflow.check()
    for name in _JOB_SETTINGS:
        setattr(workflow, name, parts[name])
    # Here, jobs run where they are: what a local run evaluates, this process evaluates.
    workflow._executor_plugin = ExecutorPluginRegistry().get_plugin("local")  # noqa: SLF001
    shell.conda_block_conflicting_envvars = not workflow.deployment_settings.conda_not_block_search_path_envvars
    # An empty DAG and a persistence without lock: what Job.prepare() asks them is answered.
    shadows = workflow.execution_settings.shadow_prefix
    waive = dict.fromkeys(("ignore_incomplete", "lock_warn_only", "nolock"), True)
    workflow._prepare_dag(forceall=False, shadow_prefix=shadows, **waive)  # noqa: SLF001
    workflow.persistence.deactivate_cache()
    workflow.iocache.deactivate()
    if DeploymentMethod.APPTAINER in workflow.deployment_settings.deployment_method:
        Singularity().check()  # finds out what its name is here; forks would not
    return workflow


def after_fork(workflow: Workflow) -> None:
    """Give a fork its own event loops: those that it was born with belong to its parent too."""
    from concurrent.futures import ThreadPoolExecutor
    from threading import Lock

    workflow._async_runners = {}  # noqa: SLF001
    workflow._async_executor = ThreadPoolExecutor()  # noqa: SLF001
    workflow._async_lock = Lock()  # noqa: SLF001


def is_cached(job: Any) -> bool:
    """Say whether a job's output is shared with other workflows by a cache."""
    return bool(job.dag.workflow.enable_cache and job.rule.cache and job.rule.cache.output)


def job_parts(job: Any, *, params: bool, resources: bool) -> dict[str, Any]:
    """Return an evaluated job as plain objects, for :func:`rebuilt_job`; rank 1.

    Parameters
    ----------
    params, resources
        Whether these are sent as they are. Else the worker evaluates them when it needs them.
    """
    methods = job.dag.workflow.deployment_settings.deployment_method
    parts = {
        "rule": job.rule.name,
        "wildcards": job.wildcards_dict,
        "format_wildcards": dict(job._format_wildcards.items()),  # noqa: SLF001
        "input": job.input._plainstrings(),  # noqa: SLF001
        "params": _params(job) if params else None,
        "resources": dict(job.resources.items()) if resources else None,
        "attempt": job.attempt,
        "jobid": job.jobid,
    }
    cached = is_cached(job)
    if DeploymentMethod.CONDA in methods and (env := job.conda_env):
        content = {"content": env.content, "container_img_url": env.container_img_url} if cached else {}
        parts["conda"] = {"address": env.address, **content}
    if DeploymentMethod.APPTAINER in methods and job.container_img:
        parts["container"] = (job.container_img_url, job.container_img_path)
    if cached:
        parts["upstream"] = _upstream(job)
    return parts


def _params(job: Any) -> Any:
    """Return a job's params; in a further attempt anew, as they may be made of its resources."""
    again = job.attempt > 1
    return job.rule.expand_params(job.wildcards_dict, job.input, job.output, job)[0] if again else job.params


def _upstream(job: Any) -> list[tuple[dict[str, Any], set[str]]]:
    """Return the jobs that a job depends on, all the way up: they make up its key in the cache."""
    return [
        (job_parts(dep, params=True, resources=False) | {"upstream": _upstream(dep)}, {str(file) for file in files})
        for dep, files in job.dag.dependencies[job].items()
    ]


def rebuilt_job(workflow: Workflow, parts: dict[str, Any]) -> Job:
    """Return a Job that answers what the local executor asks, evaluating no more of its rule than it must."""
    from snakemake.io import IOFile, is_flagged
    from snakemake.iocontainers import InputFiles, Wildcards
    from snakemake.jobs import Job

    rule, dag = workflow.get_rule(parts["rule"]), workflow.dag
    job: Any = Job.__new__(Job)
    job.rule, job.dag = rule, dag
    job.wildcards_dict = parts["wildcards"]
    job.wildcards = Wildcards(fromdict=parts["wildcards"])
    job._format_wildcards = Wildcards(fromdict=parts["format_wildcards"])  # noqa: SLF001
    job.input = InputFiles(IOFile(f, rule=rule) for f in parts["input"])
    job.input._take_names(parts["input"]._get_names())  # noqa: SLF001
    job.output, patterns = rule.expand_output(parts["wildcards"])
    for kind in ("touch", "protected", "temp"):
        setattr(job, f"{kind}_output", {f for f in job.output if is_flagged(patterns[f], kind)})
    job.pipe_or_service_output = {f for f in job.output if is_flagged(f, "pipe") or is_flagged(f, "service")}
    job._params, job._log, job._benchmark = parts["params"], None, None  # noqa: SLF001
    job._attempt, job._aux_resources = parts["attempt"], {}  # noqa: SLF001
    job._is_updated, job.shadow_dir = False, None  # noqa: SLF001
    job._conda_env_spec = job._conda_env = job._container_img_url = None  # noqa: SLF001
    if "conda" in parts:
        job._conda_env_spec, job._conda_env = "of rank 1", SimpleNamespace(**parts["conda"])  # noqa: SLF001
    if "container" in parts:
        job._container_img_url, path = parts["container"]  # noqa: SLF001
        dag.container_imgs[job._container_img_url] = SimpleNamespace(path=path)  # noqa: SLF001
    dag._jobid[job] = parts["jobid"]  # noqa: SLF001
    job._resources = None  # noqa: SLF001
    if parts["resources"] is not None:
        job._resources = _resources_here(job, parts["resources"])  # noqa: SLF001
    for upstream, files in parts.get("upstream", ()):
        dag.dependencies[job][rebuilt_job(workflow, upstream)] = {f for f in job.input if f in files}
    return job


def _resources_here(job: Any, resources: dict[str, Any]) -> Any:
    """Return a job's resources with those filled in that rank 1 left to this node.

    These are ``tmpdir``, and for a ``run`` block what Snakemake takes for granted of memory and disk where the rule
    does not say: with its own executors such a block runs in a process of its own, which adds them.
    """
    from snakemake.common.tbdstring import TBDString
    from snakemake.iocontainers import ResourceList
    from snakemake.resources import Resources

    asked = dict(job.rule.resources)
    if job.is_run:
        asked = {**Resources.default("full"), **asked}
    left_open = {name for name in asked if isinstance(resources.get(name, TBDString()), TBDString)} - {"_cores"}
    if left_open:
        # A rule that asks for nothing else: functions of a checkpoint would find no checkpoint here.
        rule = copy.copy(job.rule)
        rule.resources = Resources({name: asked[name] for name in left_open})
        rule.resources["_cores"] = resources["_cores"]
        here = rule.expand_resources(job.wildcards_dict, job.input, job._attempt)  # noqa: SLF001
        known = {name: value for name, value in resources.items() if not isinstance(value, TBDString)}
        resources = dict(here.items()) | known
    return ResourceList(fromdict=resources)


def tmpdir_to_tell(job: Any) -> str:
    """Return the folder for temporary files if a job's command names it, for :func:`note_tmpdir`."""
    return str(job.resources.get("tmpdir", "")) if "tmpdir" in (job.rule.shellcmd or "") else ""


def note_tmpdir(job: Any, tmpdir: str) -> None:
    """Let the command that is recorded of a job name the folder that it had; rank 1."""
    from snakemake.iocontainers import ResourceList

    job._resources = ResourceList(fromdict=dict(job.resources.items()) | {"tmpdir": tmpdir})  # noqa: SLF001


def prepared(workflow: Workflow, job: Any) -> Callable[[], None]:
    """Prepare a rebuilt job as Snakemake's local executor does, and return what runs its body."""
    from snakemake.executors.local import Executor, run_wrapper

    arguments = Executor.job_args_and_prepare(SimpleNamespace(workflow=workflow, dag=workflow.dag), job)
    if not is_cached(job):
        return lambda: run_wrapper(*arguments)
    cached = Executor.acached_or_run(SimpleNamespace(workflow=workflow), job, run_wrapper, *arguments)
    return lambda: workflow.async_run(cached)


def settle(workflow: Workflow, job: Any, *, failed: bool) -> None:
    """Do after the body what has to be done before other members of its group start.

    Of outputs: touched, checked, moved out of the shadow directory; logs also if the body failed.
    """
    dag, settings = workflow.dag, workflow.execution_settings

    async def settled() -> None:
        if not failed:
            dag.handle_touch(job)
        await dag.handle_log(job)
        if not failed:
            await dag.check_and_touch_output(job, wait=settings.latency_wait, check_output_mtime=False)
        dag.unshadow_output(job, only_log=failed, keep_shadow_dir=failed and settings.keep_incomplete)

    workflow.async_run(settled())


def units(group: Any) -> Iterator[tuple[list[Any], set[Any]]]:
    """Yield the jobs of a group that have to run at the same time, and those that have to end before; rank 1.

    Pipes and services tie jobs together; any other job is on its own.
    """
    tied: dict[Any, list[Any]] = {}
    for job in group:
        tied.setdefault(job.pipe_group or job, []).append(job)
    for jobs in tied.values():
        before = {dep for job in jobs for dep in job.dag.dependencies[job] if dep in group.jobs}
        yield jobs, before.difference(jobs)
