"""Runs that grow on the tests' Slurm: how they are started, and what their records say of further jobs.

Runs on: the machine of the tests.
Called by: slurm.test_grow*.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from runs import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from harness import Workflow
    from runs import Run, SlurmRun
    from slurm_cluster import SlurmCluster

#: Nothing of ours stays in the queue for longer, whatever ends a run.
LEFT_WITHIN_S = 60.0


def events(workflow: Workflow, kind: str) -> list[dict[str, Any]]:
    """Return the events of a kind of the newest run, as far as its record has come."""
    records = sorted(workflow.folder.glob(".snakemake/daskmpi/*/events.jsonl"))
    lines = records[-1].read_text().splitlines() if records else []
    return [event for line in lines if (event := json.loads(line))["event"] == kind]


def phases(workflow: Workflow) -> dict[str, list[str]]:
    """Return the phases of each further Slurm job, by its id."""
    found: dict[str, list[str]] = {}
    for event in events(workflow, "allocation"):
        found.setdefault(event["allocation"], []).append(event["phase"])
    return found


def further_name(workflow: Workflow) -> str:
    """Return the name of the further Slurm jobs of a workflow's runs."""
    return f"snakemake-{workflow.folder.name}-further"


def joined(workflow: Workflow) -> list[str]:
    """Return the ids of the further jobs that have joined."""
    return [job for job, of_it in phases(workflow).items() if "joined" in of_it]


def wait_for_joined(workflow: Workflow, run: Run | SlurmRun, number: int = 1) -> list[str]:
    """Wait until so many further jobs have joined, and return their ids."""
    wait_until(
        lambda: len(joined(workflow)) >= number or run.has_ended,
        on_timeout=lambda: f"{phases(workflow)}:\n{run.text}\n{outputs(workflow)}",
    )
    assert len(joined(workflow)) >= number, f"{run.text}\n{outputs(workflow)}"
    return joined(workflow)


def outputs(workflow: Workflow) -> str:
    """Return what further jobs have written."""
    paths: list[Path] = sorted(workflow.folder.glob(".snakemake/daskmpi/*/further/*/output.log"))
    return "\n".join(f"{path.parent.name}: {path.read_text()}" for path in paths)


def nothing_is_left(slurm: SlurmCluster) -> None:
    """Check that the queue is empty soon."""
    wait_until(lambda: not slurm.squeue(), on_timeout=slurm.squeue, timeout_s=LEFT_WITHIN_S)
