"""Warm is a matter of speed only: a quick campaign of workflows that both executors have to end alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from compare import DIFFERENCES, compare
from generator import FOLDERS, Plan, plan_of
from required import at_night

if TYPE_CHECKING:
    from pathlib import Path

    from harness import Workflow

#: Few, since a body of the local executor is a start of Snakemake: 8 s each on two cores. campaign.py runs any.
SEEDS = range(6)


def plans() -> list[Plan]:
    return [plan_of(seed, quick=True) for seed in SEEDS]


@pytest.mark.parametrize("plan", [*plans()[:4], *at_night(plans()[4:])], ids=lambda plan: str(plan.seed))
def test_a_workflow_ends_as_under_the_local_executor(plan: Plan, tmp_path: Path):
    found, _ = compare(plan, tmp_path, "local")
    assert found == [], f"of {plan}"


def test_a_seed_gives_the_same_workflow_each_time():
    assert plan_of(3) == plan_of(3)
    assert plan_of(3).files != plan_of(4).files


def test_what_the_local_executor_never_ends_ends_here(workflow: Workflow):
    assert "sys.exit() in run" in DIFFERENCES
    for name in FOLDERS:
        (workflow.folder / name).mkdir()
    workflow.write(
        "Snakefile",
        """
        import sys

        rule all:
            input: "out/0", "out/3"

        rule exits:
            output: "out/{code}"
            run:
                open(output[0], "w").close()
                sys.exit(int(wildcards.code))
        """,
    )
    run = workflow.run("--keep-going")
    run.ends_with(1)
    assert workflow.has("out/0")
    assert not workflow.has("out/3")
