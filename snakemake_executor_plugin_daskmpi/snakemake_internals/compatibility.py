"""Whether the installed Snakemake still has the internals that this package uses, which nobody has promised.

Runs on: rank 1, before a run.

Where something has changed, the run does without, and says so: its bodies are spawned (:func:`changes`), its rounds are
Snakemake's, its end is that of a run with failed jobs (:func:`lacks_of_scheduler`), outputs are marked when their jobs
are handed over (:func:`incomplete.can_wait`), jobs go by their size only (:func:`lacks_of_dag`).
"""

from __future__ import annotations

import importlib
import inspect
from typing import TYPE_CHECKING, Any

from snakemake_executor_plugin_daskmpi.snakemake_internals import evaluated, workflows
from snakemake_executor_plugin_daskmpi.snakemake_internals.recorded import CALLED

if TYPE_CHECKING:
    from collections.abc import Collection

    from snakemake.workflow import Workflow

#: What a job remembers, set in a rebuilt one.
JOB_STATE = frozenset(
    {"rule", "dag", "wildcards_dict", "wildcards", "_format_wildcards", "input", "output", "_params", "_log"}
    | {"_benchmark", "_resources", "_conda_env_spec", "_conda_env", "_container_img_url", "_attempt", "_is_updated"}
    | {"_aux_resources", "shadow_dir", "touch_output", "protected_output", "temp_output", "pipe_or_service_output"},
)
#: What a rule remembers, set in one that was not parsed.
RULE_STATE = frozenset({*evaluated.RULE_STATE, "_output", "_pathvars", "resources", "run_func"})
#: Attributes of a workflow, and of its DAG.
WORKFLOW_STATE = (
    *workflows.JOB_SETTINGS,
    *("_async_runners", "_async_executor", "_async_lock", "_executor_plugin", "linemaps", "checkpoints"),
)
DAG_STATE = ("_jobid", "dependencies", "container_imgs")
#: Functions and methods with the parameters that we give them.
FUNCTIONS = {
    "executors.local:Executor.job_args_and_prepare": ("job",),
    "executors.local:Executor.acached_or_run": ("job", "run_func"),
    "rules:Rule.__init__": ("name", "workflow", "lineno", "snakefile"),
    "rules:Rule.expand_output": ("wildcards",),
    "rules:Rule.expand_params": ("wildcards", "input", "output", "job"),
    "rules:Rule.expand_resources": ("wildcards", "input", "attempt"),
    **dict.fromkeys(("dag:DAG.handle_touch", "dag:DAG.handle_log"), ("job",)),
    "dag:DAG.check_and_touch_output": ("job", "wait", "check_output_mtime"),
    "dag:DAG.unshadow_output": ("job", "only_log", "keep_shadow_dir"),
    "workflow:Workflow.include": ("snakefile", "overwrite_default_target", "print_compilation"),
    "workflow:Workflow.async_run": ("coro",),
    "workflow:Workflow._prepare_dag": ("forceall", "ignore_incomplete", "lock_warn_only", "nolock", "shadow_prefix"),
    "workflow:Workflow.__init__": (*workflows.PARSE_SETTINGS, "workflow_settings", "output_settings", "logger_manager"),
    **dict.fromkeys(("executors.local:run_wrapper", "jobs:Job.prepare", "workflow:Workflow.check"), ()),
    **dict.fromkeys(("iocontainers:InputFiles._take_names", "iocontainers:InputFiles._plainstrings"), ()),
    **dict.fromkeys(("deployment.singularity:Singularity.check", "checkpoints:Checkpoints.created_output"), ()),
    "resources:Resources.default": (),
    "resources:Resource.from_cli_expression": ("name", "value"),
    "utils:format": ("_pattern", "stepout"),
    **dict.fromkeys(("shell:shell._process_args", "shell:shell._process_prefix", "shell:shell._process_suffix"), ()),
    **{f"{module.removeprefix('snakemake.')}:{name}": () for module, name in CALLED.values()},
}


def changes(workflow: Workflow) -> list[str]:
    """Return what warm bodies need and this version of Snakemake does not have, in words."""
    from snakemake.jobs import Job
    from snakemake.rules import Rule

    found = [text for name, parameters in FUNCTIONS.items() if (text := _lack(name, parameters))]
    for owner, state in ((Job, JOB_STATE), (Rule, RULE_STATE)):
        set_at_birth = owner.__init__.__code__.co_names
        found += [f"{owner.__name__} has no {name} any more" for name in sorted(state) if name not in set_at_birth]
    for owner, names in ((workflow, WORKFLOW_STATE), (workflow.dag, DAG_STATE)):
        found += [f"{type(owner).__name__} has no {name} any more" for name in names if not hasattr(owner, name)]
    return found


def lacks_of_scheduler(names: Collection[str]) -> list[str]:
    """Return which attributes and methods Snakemake's scheduler does not have any more, in words."""
    return _lacks_of_class("scheduling.job_scheduler", "JobScheduler", names)


def lacks_of_dag(names: Collection[str]) -> list[str]:
    """Return which attributes and methods Snakemake's DAG does not have any more, in words."""
    return _lacks_of_class("dag", "DAG", names)


def lacks_of_limit(names: Collection[str]) -> list[str]:
    """Return what Snakemake's limit of job starts does not have any more, in words."""
    limiter = _lacks_of_class("scheduling.job_scheduler", "JobRateLimiter", names)
    return [*limiter, *_lacks_of_class("settings.types", "MaxJobsPerTimespan", {"max_jobs", "timespan"})]


def _lacks_of_class(module: str, name: str, names: Collection[str]) -> list[str]:
    """Return which attributes a class does not have, nor sets at an object's birth."""
    try:
        found: Any = getattr(importlib.import_module(f"snakemake.{module}"), name)
    except (ImportError, AttributeError):
        return [f"there is no {name} in snakemake.{module} any more"]
    there = {*dir(found), *found.__init__.__code__.co_names}
    return [f"{name} has no {each} any more" for each in sorted(names) if each not in there]


def _lack(name: str, parameters: tuple[str, ...]) -> str:
    """Return what is wrong with one of the functions that we call, empty if nothing is."""
    module, _, path = name.partition(":")
    try:
        found: Any = importlib.import_module(f"snakemake.{module}")
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError):
        return f"there is no {path} in snakemake.{module} any more"
    missing = [p for p in parameters if p not in inspect.signature(found).parameters] if parameters else []
    return f"{path} takes no {missing[0]} any more" if missing else ""
