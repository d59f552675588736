"""The example workflow, as its README says, with each way to run it."""

from __future__ import annotations

import os
import shutil
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness import REFERENCE

if TYPE_CHECKING:
    from harness import Workflow

EXAMPLE = Path(__file__).parents[2] / "example-workflow"

#: What any executor has to come to, to the byte. The map is left out: t-SNE depends on the machine.
SAME = ("answer.csv", "learning_curves.csv", "finalists.csv", "hardest.csv", "importance.csv")


@pytest.fixture(autouse=True)
def _needs_its_libraries() -> None:
    try:
        import matplotlib as mpl
        import sklearn  # noqa: F401

        assert mpl
    except ImportError:
        reason = "the example needs pip install '.[example]'"
        if "example" in os.environ.get("DASKMPI_REQUIRE", "").split(","):
            pytest.fail(reason)
        pytest.skip(reason)


def copy_example(folder: Path) -> None:
    """Copy the example as a clone has it; times too, since Snakemake reruns what has newer scripts."""
    ignored = shutil.ignore_patterns("results", "logs", "benchmarks", ".snakemake", "__pycache__")
    shutil.copytree(EXAMPLE, folder, ignore=ignored, dirs_exist_ok=True)


def results_of(folder: Path) -> dict[str, str]:
    files = [folder / "results" / name for name in SAME]
    files += sorted((folder / "results" / "scores").rglob("*.csv"))
    return {str(file.relative_to(folder)): file.read_text() for file in files}


# Snakemake's executor starts Python and reads the Snakefile anew for each of 150 jobs.
@pytest.mark.timeout(600)
def test_it_comes_to_the_same_in_a_world_of_ranks_on_this_machine_and_with_snakemakes_executor(
    workflow: Workflow, tmp_path: Path
) -> None:
    results = []
    for launcher, arguments in [("mpich", ()), ("local", ("--daskmpi-workers", "2")), (REFERENCE, ("--jobs", "2"))]:
        copy_example(tmp_path)
        workflow.run(*arguments, launcher=launcher).ends_with(0, timeout_s=300)
        results.append(results_of(tmp_path))
        width, height = struct.unpack(">II", (tmp_path / "results" / "figure.png").read_bytes()[16:24])
        assert width > 2000
        assert height > 1000
        if launcher != REFERENCE:
            again = workflow.run(*arguments, launcher=launcher)
            again.ends_with(0)
            assert "Nothing to be done" in again.text
            shutil.rmtree(tmp_path / ".snakemake")
            shutil.rmtree(tmp_path / "results")
    in_a_world, here, with_snakemake = results
    assert in_a_world == here == with_snakemake
    assert "shifted_kernel" in in_a_world["results/answer.csv"]


def test_its_profile_makes_plain_snakemake_use_the_plugin(workflow: Workflow, tmp_path: Path) -> None:
    import sys

    copy_example(tmp_path)
    # One job is enough to see who runs it.
    run = workflow.start_command([sys.executable, "-m", "snakemake", "results/digits.npz"], workflow.environ())
    run.ends_with(0)
    assert "daskmpi: 1 worker process on this machine" in run.text
    assert "1 worker with 4 cores" in run.text
