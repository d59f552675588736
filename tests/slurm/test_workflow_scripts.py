"""The example's batch script for its workflow, as it stands there; a part of the workflow is enough to see it work."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness import require
from mpis import MPIS
from required import skip_or_fail

if TYPE_CHECKING:
    from harness import Workflow
    from slurm_cluster import SlurmCluster

EXAMPLE = Path(__file__).parents[2] / "example-workflow"

#: Needs a job of four threads, and a dozen that share its result.
TARGET = "results/importance.csv"


@pytest.mark.nightly
def test_a_part_of_the_example_runs_in_a_heterogeneous_job(workflow: Workflow, slurm: SlurmCluster):  # noqa: ARG001
    require("mpich")
    if importlib.util.find_spec("sklearn") is None:
        skip_or_fail("example", "the example needs pip install '.[example]'")
    ignored = shutil.ignore_patterns("results", "logs", "benchmarks", ".snakemake", "__pycache__")
    shutil.copytree(EXAMPLE, workflow.folder, ignore=ignored, dirs_exist_ok=True)
    # What stands behind a script is the script's own.
    run = workflow.sbatch(TARGET, "slurm/workflow-hetjob.sl", env=MPIS["mpich"].environ)
    run.ends_with(0)
    assert "4 ranks on " in run.text
    assert "2 workers with 4 cores" in run.text
    assert len(workflow.lines(TARGET)) > 1
