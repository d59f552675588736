"""What ``report`` tells of real runs, as JSON.

Called by: the tests of runs that are several, on Slurm and elsewhere.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from snakemake_executor_plugin_daskmpi import cli

if TYPE_CHECKING:
    from harness import Workflow


def reported_runs(workflow: Workflow, *names: str) -> list[dict[str, Any]]:
    """Return the runs of the report that somebody gets who names some, or none."""
    file = workflow.folder / "report.json"
    assert cli.main(["report", "-d", str(workflow.folder), *names, "--json", str(file)]) == 0
    return json.loads(file.read_text())["runs"]
