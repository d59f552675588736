"""What rank 1 sends of a job that it has evaluated.

Runs on: rank 1.

Rank 1 has evaluated all that depends on the DAG (input functions, params, resources, checkpoints), so the worker needs
no DAG. Where the body is one call of Snakemake's, which can be recorded, it needs no Snakefile either.

Like :mod:`rebuilt`, the other end, this stands on what Snakemake does not promise: where a version lacks some of
what the tables of :mod:`compatibility` name, nothing goes warm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from snakemake_interface_executor_plugins.settings import DeploymentMethod

from snakemake_executor_plugin_daskmpi.snakemake_internals.recorded import NotRecordableError, open_text, record

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What the body of a rule depends on, besides its function.
RULE_STATE = (
    *("shellcmd", "script", "notebook", "wrapper", "template_engine", "norun"),
    *("shadow_depth", "basedir", "env_modules"),
)
#: Sets of output files that a job keeps.
_KINDS = ("touch_output", "protected_output", "temp_output", "pipe_or_service_output")


def is_cached(job: Any) -> bool:
    """Say whether a job's output is shared with other workflows by a cache."""
    return bool(job.dag.workflow.enable_cache and job.rule.cache and job.rule.cache.output)


def job_parts(job: Any, *, params: bool, resources: bool) -> dict[str, Any]:
    """Return an evaluated job as plain objects, for :func:`rebuilt_job` in a workflow that was parsed; rank 1.

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


def recorded_parts(job: Any) -> dict[str, Any]:
    """Return an evaluated job with the call that its body is, for :func:`rebuilt_job` in a bare workflow; rank 1.

    Raises
    ------
    Exception
        If its body is not one call that can be made without the Snakefile: whatever the evaluation raises, or a
        NotRecordableError.
    """
    from snakemake.io import is_flagged

    rule, workflow = job.rule, job.dag.workflow
    if job.is_run or is_cached(job):
        raise NotRecordableError("it is user code" if job.is_run else "its cache asks for its rule")
    files = [*job.input, *job.output, *job.log, *filter(None, [job.benchmark])]
    if any(is_flagged(file, "storage_object") for file in files):
        raise NotRecordableError("its storage is declared in the Snakefile")
    is_shell = rule.shellcmd is not None
    left_open = _open_names(job)
    told_there = _told_there(job, left_open)
    call = record(rule.run_func, _known(job, told_there), workflow.linemaps, job.benchmark_repeats or 0)
    # A command already contains them; the table of a benchmark may need them, too.
    params = not is_shell or (job.benchmark is not None and workflow.output_settings.benchmark_extended)
    return job_parts(job, params=params, resources=True) | {
        "params": _params(job) if params else (),
        "call": call,
        "state": {name: getattr(rule, name) for name in RULE_STATE},
        "told_there": told_there,
        "open": {name: _open_resource(job, name) for name in rule.resources if name in left_open},
        "files": {"output": _packed(job.output), "log": _packed(job.log)},
        "benchmark": job.benchmark is not None and _packed_file(job.benchmark),
        "kinds": {kind: [file in getattr(job, kind) for file in job.output] for kind in _KINDS},
    }


def _known(job: Any, told_there: list[str]) -> dict[str, Any]:
    """Return what rank 1 knows of the parameters of a compiled rule."""
    from snakemake.iocontainers import ResourceList

    resources = dict(job.resources.items()) | {name: open_text(name) for name in told_there}
    return {
        "input": job.input._plainstrings(),  # noqa: SLF001
        "output": job.output._plainstrings(),  # noqa: SLF001
        "params": _params(job),
        "wildcards": job.wildcards,
        "threads": job.threads,
        "resources": ResourceList(fromdict=resources),
        "log": job.log._plainstrings(),  # noqa: SLF001
        "rule": job.rule.name,
        "jobid": job.jobid,
        "is_shell": job.rule.shellcmd is not None,
    }


def _open_names(job: Any) -> list[str]:
    """Return the resources that rank 1 leaves to the worker: ``tmpdir``, and what depends on files that come first."""
    from snakemake.common.tbdstring import TBDString

    return [name for name, value in job.resources.items() if isinstance(value, TBDString)]


def _told_there(job: Any, left_open: list[str]) -> list[str]:
    """Return the resources that a command gets on the worker: those left to it, and what starts MPI programs there."""
    return left_open + (["mpi"] if "mpi" in job.resources.keys() else [])  # noqa: SIM118 - no mapping


def _open_resource(job: Any, name: str) -> tuple[str, Any]:
    """Return a resource as it is sent to a worker: its value, an expression, or as one of the run's defaults."""
    resource = job.rule.resources[name]
    default = job.dag.workflow.resource_settings._parsed_default_resources.get(name)  # noqa: SLF001
    if not resource.is_evaluable():
        return "value", resource.value
    if default is not None and default._evaluator is resource._evaluator:  # noqa: SLF001
        return "default", None
    if isinstance(resource.raw, str):
        return "expression", resource.raw
    raise NotRecordableError(f"a function of the Snakefile says what {name} is on the node")


def _packed(files: Any) -> tuple[list[tuple[str, dict[str, Any]]], Any]:
    return [_packed_file(file) for file in files], list(files._get_names())  # noqa: SLF001


def _packed_file(file: Any) -> tuple[str, dict[str, Any]]:
    """Return a file as plain objects, without what only reports need."""
    flags = getattr(file._file, "flags", {})  # noqa: SLF001
    return str(file), {name: value for name, value in flags.items() if name != "report"}


def has_functions(job: Any) -> bool:
    """Say whether a function of the Snakefile says what a job's params or resources are."""
    evaluators = [resource._evaluator for resource in job.rule.resources.values()]  # noqa: SLF001
    # Those of Snakemake evaluate expressions of the command line.
    theirs = [function for function in evaluators if function and function.__module__ != "snakemake.resources"]
    return bool(theirs) or any(map(callable, job.rule.params))


def created_output(job: Any) -> tuple[str, ...]:
    """Return the output of all checkpoints that have run: what ``checkpoints.….get()`` asks in a body; rank 1."""
    return tuple(map(str, job.dag.workflow.checkpoints.created_output))


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


def note_tmpdir(job: Any, tmpdir: str) -> None:
    """Let the command that is recorded of a job name the folder that it had; rank 1."""
    from snakemake.iocontainers import ResourceList

    job._resources = ResourceList(fromdict=dict(job.resources.items()) | {"tmpdir": tmpdir})  # noqa: SLF001


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
