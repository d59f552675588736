"""The workflow of a run, packed for the forkservers; or why none of its jobs goes warm.

Runs on: rank 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from snakemake_executor_plugin_daskmpi.snakemake_internals import compatibility
from snakemake_executor_plugin_daskmpi.warm import body

if TYPE_CHECKING:
    from collections.abc import Callable

    from snakemake_executor_plugin_daskmpi.settings.flags import Settings


def packed_workflow(workflow: Any, settings: Settings, warn: Callable[[str], None]) -> tuple[bytes, str]:
    """Return the packed workflow, and ""; or nothing, and why all jobs are spawned."""
    if settings.no_warm:
        return b"", "--daskmpi-no-warm is set"
    if changes := compatibility.changes(workflow):
        why = f"this version of Snakemake differs from those we know: {'; '.join(changes)}"
    else:
        try:
            return body.pack_workflow(workflow), ""
        except Exception as error:  # noqa: BLE001 - whatever a setting's object raises: all jobs are spawned then
            why = f"the workflow's settings cannot be packed: {type(error).__name__}: {error}"
    warn(f"jobs are spawned, which is slower: {why}")
    return b"", why
