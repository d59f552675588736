"""Whether the installed Snakemake still is what warm bodies are made for.

Runs on: rank 1, before a run.
Called by: executor.
"""

from __future__ import annotations

import importlib
import inspect
from typing import TYPE_CHECKING, Any

from snakemake_executor_plugin_daskmpi.warm import internals

if TYPE_CHECKING:
    from snakemake.workflow import Workflow


def changes(workflow: Workflow) -> list[str]:
    """Return what warm bodies need and this version of Snakemake does not have, in words."""
    from snakemake.jobs import Job

    found = [text for name, parameters in internals.FUNCTIONS.items() if (text := _lack(name, parameters))]
    set_by_job = Job.__init__.__code__.co_names
    found += [f"Job has no {name} any more" for name in sorted(internals.JOB_STATE) if name not in set_by_job]
    for owner, names in ((workflow, internals.WORKFLOW_STATE), (workflow.dag, internals.DAG_STATE)):
        found += [f"{type(owner).__name__} has no {name} any more" for name in names if not hasattr(owner, name)]
    return found


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
