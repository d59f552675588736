"""What a job's process makes of what rank 1 has sent of a job.

Runs on: ranks >= 2, in the processes of jobs.

A :class:`snakemake.jobs.Job` is rebuilt around what :mod:`evaluated` says of it, and handed to the very functions
with which Snakemake's own local executor prepares and runs a job.
"""

from __future__ import annotations

import copy
import os
import tempfile
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from snakemake_executor_plugin_daskmpi.snakemake_internals.evaluated import is_cached

if TYPE_CHECKING:
    from collections.abc import Callable

    from snakemake.jobs import Job
    from snakemake.workflow import Workflow


class _SameLines(dict[int, int]):
    """Maps each line to itself."""

    def __missing__(self, line: int) -> int:
        return line


_SAME_LINES = _SameLines()


def rebuilt_job(workflow: Workflow, parts: dict[str, Any]) -> Job:
    """Return a Job that answers what the local executor asks, evaluating no more of its rule than it must."""
    from snakemake.io import is_flagged
    from snakemake.iocontainers import InputFiles, Wildcards
    from snakemake.jobs import Job

    job: Any = Job.__new__(Job)
    job.dag = dag = workflow.dag
    job.wildcards_dict = parts["wildcards"]
    job.wildcards = Wildcards(fromdict=parts["wildcards"])
    job._format_wildcards = Wildcards(fromdict=parts["format_wildcards"])  # noqa: SLF001
    job._params, job._log, job._benchmark = parts["params"], None, None  # noqa: SLF001
    if "call" in parts:
        _take_recorded(workflow, job, parts)
    else:
        job.rule = workflow.get_rule(parts["rule"])
        job.output, patterns = job.rule.expand_output(parts["wildcards"])
        for kind in ("touch", "protected", "temp"):
            setattr(job, f"{kind}_output", {f for f in job.output if is_flagged(patterns[f], kind)})
        job.pipe_or_service_output = {f for f in job.output if is_flagged(f, "pipe") or is_flagged(f, "service")}
    job.input = InputFiles(_file((path, {}), job.rule) for path in parts["input"])
    job.input._take_names(parts["input"]._get_names())  # noqa: SLF001
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
    if "call" in parts:
        on_node = {name: job.resources.get(name, "") for name in parts["told_there"]}
        job.rule.run_func = parts["call"].function(on_node)
    workflow.checkpoints.created_output.update(parts.get("created", ()))
    for upstream, files in parts.get("upstream", ()):
        dag.dependencies[job][rebuilt_job(workflow, upstream)] = {f for f in job.input if f in files}
    return job


def _take_recorded(workflow: Workflow, job: Any, parts: dict[str, Any]) -> None:
    """Give a job the rule and the files that rank 1 sent: no Snakefile was parsed here."""
    from snakemake.iocontainers import Log, OutputFiles
    from snakemake.resources import Resources
    from snakemake.rules import Rule

    call = parts["call"]
    job.rule = rule = Rule(parts["rule"], workflow, lineno=call.line, snakefile=call.file)
    # Used for folders whose names Snakemake has already put through the rule's path variables.
    rule.pathvars = workflow.pathvars
    for name, value in parts["state"].items():
        setattr(rule, name, value)
    rule.resources = Resources(
        {name: _resource(workflow, name, how, value) for name, (how, value) in parts["open"].items()}
    )
    job.output = rule._output = _unpacked(OutputFiles, parts["files"]["output"], rule)  # noqa: SLF001
    job._log = _unpacked(Log, parts["files"]["log"], rule)  # noqa: SLF001
    job._benchmark = _file(parts["benchmark"], rule) if parts["benchmark"] else None  # noqa: SLF001
    for kind, are in parts["kinds"].items():
        setattr(job, kind, {file for file, is_one in zip(job.output, are, strict=True) if is_one})
    # The lines of a call are the Snakefile's own.
    workflow.linemaps[call.file] = _SAME_LINES


def _resource(workflow: Workflow, name: str, how: str, value: Any) -> Any:
    from snakemake.resources import Resource

    if how == "default":
        return workflow.resource_settings._parsed_default_resources[name]  # noqa: SLF001
    return Resource.from_cli_expression(name, value) if how == "expression" else Resource(name, value)


def _unpacked(kind: Any, packed: tuple[list[tuple[str, dict[str, Any]]], Any], rule: Any) -> Any:
    files, names = packed
    unpacked = kind(_file(file, rule) for file in files)
    unpacked._take_names(names)  # noqa: SLF001
    return unpacked


def _file(packed: tuple[str, dict[str, Any]], rule: Any) -> Any:
    from snakemake.io import AnnotatedString, IOFile

    annotated = AnnotatedString(packed[0])
    annotated.flags = packed[1]
    # Rank 1 has already put its name through the rule's path variables.
    file = IOFile(annotated, rule=None)
    file.rule = rule
    return file


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
    if left_open == {"tmpdir"} and asked["tmpdir"].raw == "system_tmpdir":
        # Snakemake's default; evaluating its text takes a hundred times as long.
        resources |= {"tmpdir": tempfile.gettempdir()}
    elif left_open:
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


def prepared(workflow: Workflow, job: Any) -> Callable[[], None]:
    """Prepare a rebuilt job as Snakemake's local executor does, and return what runs its body."""
    from snakemake.executors.local import Executor, run_wrapper

    if workflow.resource_settings.cores is None:
        # As with Snakemake's cluster executors, which say --cores all. Only now: it would limit the job's threads.
        workflow.global_resources["_cores"] = len(os.sched_getaffinity(0))
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
