"""The warm body: a job packed on rank 1 and run by a fork of a pre-parsed workflow.

Runs on: rank 1 (``obstacle``, ``pack_*``) and in the forkserver of ranks >= 2 (``load_workflow``, ``run``).
Called by: executor and worker.forkserver.

This is the one file that knows Snakemake's internals. The idea: rank 1 has evaluated all
that depends on the DAG (input functions, params, resources, checkpoints). So the worker needs
no DAG, only the parsed rules; it gets the evaluated job, rebuilds a :class:`snakemake.jobs.Job`
around it without evaluating anything again, and hands that to the very functions with which
Snakemake's own local executor prepares and runs a job.
"""

from __future__ import annotations

import copy
import io
import os
import pickle
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from snakemake_interface_executor_plugins.settings import SharedFSUsage
from snakemake_interface_executor_plugins.utils import format_cli_arg

if TYPE_CHECKING:
    from collections.abc import Callable

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


def obstacle(job: Any) -> str:
    """Return why a job cannot go warm yet, or an empty string if it can."""
    if job.is_group():
        return "it is a group job"
    workflow = job.dag.workflow
    deployment = {method.name.lower() for method in workflow.deployment_settings.deployment_method}
    reasons = (
        (job.is_cwl, "it runs a CWL tool"),
        (
            workflow.enable_cache and getattr(job.rule.cache, "output", job.rule.cache),
            "its output is cached between workflows",
        ),
        (job.is_pipe or job.is_service, "it is part of a pipe or service"),
        ("conda" in deployment and job.conda_env_spec, "it uses a conda environment"),
        ("apptainer" in deployment and job.container_img_url, "it uses a container"),
        (any(f.is_storage for f in (*job.input, *job.output, *job.log)), "it uses storage"),
        (_workflow_obstacle(workflow), _workflow_obstacle(workflow)),
    )
    return next((text for applies, text in reasons if applies), "")


def _workflow_obstacle(workflow: Workflow) -> str:
    """Return why no job of a workflow can go warm."""
    if len(workflow.storage_settings.shared_fs_usage) < len(SharedFSUsage):
        return "not everything is on a shared file system"
    if workflow.remote_execution_settings.precommand:
        return "--precommand is set"
    return ""


def pack_workflow(workflow: Workflow) -> bytes:
    """Pack what the forkserver needs to parse the same workflow.

    By cloudpickle, since the settings hold closures.
    """
    import cloudpickle

    workflow_settings = copy.copy(workflow.workflow_settings)
    workflow_settings.runtime_source_cache_path = workflow.sourcecache.runtime_cache_path
    parts = {name: getattr(workflow, name) for name in _PARSE_SETTINGS + _JOB_SETTINGS}
    parts |= {
        "workflow_settings": workflow_settings,
        "output_settings": workflow.output_settings,
        "snakefile": workflow.main_snakefile,
        "envvars": dict(workflow.spawned_job_args_factory.envvars()),
        "sys_path": list(sys.path),
        "argv": list(sys.argv),
    }
    return bytes(cloudpickle.dumps(parts))


def load_workflow(packed: bytes) -> Workflow:
    """Parse the workflow in the current directory, as ``python -m snakemake --mode remote`` would."""
    from snakemake.logging import LoggerManager, logger
    from snakemake.settings.enums import Quietness
    from snakemake.workflow import Workflow
    from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry
    from snakemake_interface_executor_plugins.settings import ExecMode

    parts = pickle.loads(packed)  # noqa: S301 - from rank 1, over Dask's connection
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
    _snakefile_globals.update(workflow.globals)
    for name in _JOB_SETTINGS:
        setattr(workflow, name, parts[name])
    # Here, jobs run where they are: what a local run evaluates, this process evaluates.
    workflow._executor_plugin = ExecutorPluginRegistry().get_plugin("local")  # noqa: SLF001
    # An empty DAG and a persistence without lock: what Job.prepare() asks them is answered.
    workflow._prepare_dag(forceall=False, ignore_incomplete=True, lock_warn_only=True, nolock=True)  # noqa: SLF001
    workflow.persistence.deactivate_cache()
    workflow.iocache.deactivate()
    return workflow


def is_reusable(job: Any) -> bool:
    """Say whether a job's body only starts other programs and runs no user code in its own process."""
    return bool(job.is_shell or job.is_script or job.is_wrapper)


def after_fork(workflow: Workflow) -> None:
    """Give a fork its own event loops: those that it was born with belong to its parent too."""
    from concurrent.futures import ThreadPoolExecutor
    from threading import Lock

    workflow._async_runners = {}  # noqa: SLF001
    workflow._async_executor = ThreadPoolExecutor()  # noqa: SLF001
    workflow._async_lock = Lock()  # noqa: SLF001


def pack_job(job: Any) -> bytes:
    """Pack an evaluated job.

    Raises
    ------
    Exception
        Whatever a parameter of the job raises that cannot be pickled: such a job is spawned.
    """
    parts = {
        "rule": job.rule.name,
        "wildcards": job.wildcards_dict,
        "format_wildcards": dict(job._format_wildcards.items()),  # noqa: SLF001
        "input": job.input._plainstrings(),  # noqa: SLF001
        "params": job.params,
        "resources": dict(job.resources.items()),
        "attempt": job.attempt,
        "jobid": job.jobid,
    }
    return _dumps(parts)


def run(workflow: Workflow, packed: bytes, on_shadow: Callable[[str], None], mpi: str = "") -> None:
    """Prepare and run a packed job in this process.

    Parameters
    ----------
    on_shadow
        Told the job's shadow directory before the body starts, if it has one.
    mpi
        The launcher of MPI programs here, in place of the rule's own word in ``resources.mpi``.

    Raises
    ------
    Unpackable
        If the job cannot be rebuilt here; nothing has been touched then.
    Exception
        Whatever the body raises, as with Snakemake's local executor.
    """
    from snakemake.executors.local import Executor, run_wrapper

    try:
        parts = pickle.loads(packed)  # noqa: S301 - from rank 1, over Dask's connection
        parts["resources"] |= {"mpi": mpi} if mpi else {}
        job = _rebuilt_job(workflow, parts)
    except Exception as error:
        raise UnpackableError(f"{type(error).__name__}: {error}") from error
    arguments = Executor.job_args_and_prepare(SimpleNamespace(workflow=workflow, dag=workflow.dag), job)
    if job.shadow_dir:
        on_shadow(job.shadow_dir)
    run_wrapper(*arguments)


class UnpackableError(Exception):
    """A packed job could not be rebuilt in the forkserver. Never leaves the worker."""


def _rebuilt_job(workflow: Workflow, parts: dict[str, Any]) -> Job:
    """Return a Job that answers what the local executor asks, without evaluating its rule again."""
    from snakemake.io import IOFile
    from snakemake.iocontainers import InputFiles, Wildcards
    from snakemake.jobs import Job

    rule = workflow.get_rule(parts["rule"])
    job: Any = Job.__new__(Job)
    job.rule, job.dag = rule, workflow.dag
    job.wildcards_dict = parts["wildcards"]
    job.wildcards = Wildcards(fromdict=parts["wildcards"])
    job._format_wildcards = Wildcards(fromdict=parts["format_wildcards"])  # noqa: SLF001
    job.input = InputFiles(IOFile(f, rule=rule) for f in parts["input"])
    job.input._take_names(parts["input"]._get_names())  # noqa: SLF001
    job.output, _ = rule.expand_output(parts["wildcards"])
    job._params, job._log, job._benchmark = parts["params"], None, None  # noqa: SLF001
    job._attempt, job._aux_resources = parts["attempt"], {}  # noqa: SLF001
    job._conda_env_spec = job._conda_env = job._container_img_url = None  # noqa: SLF001
    job._is_updated, job.shadow_dir, job.pipe_or_service_output = False, None, set()  # noqa: SLF001
    job._resources = _resources_here(job, parts["resources"])  # noqa: SLF001
    workflow.dag._jobid[job] = parts["jobid"]  # noqa: SLF001
    return job


def _resources_here(job: Any, resources: dict[str, Any]) -> Any:
    """Return a job's resources with those filled in that rank 1 left to this node (``tmpdir``)."""
    from snakemake.common.tbdstring import TBDString
    from snakemake.iocontainers import ResourceList

    left_open = {name for name, value in resources.items() if isinstance(value, TBDString)}
    if left_open:
        known = set(job.rule.resources.keys()) - left_open - {"_cores"}
        here = job.rule.expand_resources(job.wildcards_dict, job.input, job._attempt, skip_evaluation=known)  # noqa: SLF001
        resources |= {name: here.get(name) for name in left_open}
    return ResourceList(fromdict=resources)


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


def _dumps(parts: dict[str, Any]) -> bytes:
    """Pickle by the standard library's fast pickler if it can, else by cloudpickle (lambdas, closures)."""
    import cloudpickle
    from snakemake.io import _IOFile

    def reduced(obj: Any) -> Any:
        # An _IOFile drags its rule, and with it the whole workflow, along. Job.input goes
        # to bodies as plain strings too.
        if isinstance(obj, _IOFile):
            return str, (str(obj),)
        # Classes of the Snakefile say of no module that they are in it; the worker has them too.
        if isinstance(obj, type) and obj.__module__ is None:
            return _class_of_snakefile, (obj.__qualname__,)
        return NotImplemented

    class Fast(pickle.Pickler):
        def reducer_override(self, obj: Any) -> Any:
            return reduced(obj)

    class Thorough(cloudpickle.Pickler):
        def reducer_override(self, obj: Any) -> Any:
            short = reduced(obj)
            return super().reducer_override(obj) if short is NotImplemented else short

    try:
        return _pickled(Fast, parts)
    except Exception:  # noqa: BLE001 - a raise of the second attempt is the outcome
        return _pickled(Thorough, parts)


#: In the forkserver: what the Snakefile defined.
_snakefile_globals: dict[str, Any] = {}


def _class_of_snakefile(name: str) -> type:
    """Return a class that the Snakefile of this forkserver defined; KeyError if it did not."""
    found: type = _snakefile_globals[name]
    return found


def _pickled(pickler: type[pickle.Pickler], obj: Any) -> bytes:
    buffer = io.BytesIO()
    pickler(buffer, protocol=pickle.HIGHEST_PROTOCOL).dump(obj)
    return buffer.getvalue()
