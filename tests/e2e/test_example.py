"""The example workflow, as its README says, with each way to run it."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness import REFERENCE
from looks import look_at_all
from required import skip_or_fail
from snakemake_executor_plugin_daskmpi import cli

if TYPE_CHECKING:
    from harness import Workflow

EXAMPLE = Path(__file__).parents[2] / "example-workflow"


@pytest.fixture(autouse=True)
def _needs_its_libraries() -> None:
    try:
        import matplotlib as mpl
        import sklearn  # noqa: F401

        assert mpl
    except ImportError:
        reason = "the example needs pip install '.[example]'"
        skip_or_fail("example", reason)


def copy_example(folder: Path) -> None:
    """Copy the example as a clone has it; times too, since Snakemake reruns what has newer scripts."""
    ignored = shutil.ignore_patterns("results", "logs", "benchmarks", ".snakemake", "__pycache__")
    shutil.copytree(EXAMPLE, folder, ignore=ignored, dirs_exist_ok=True)


@pytest.mark.long
def test_it_draws_its_figure_in_a_world_of_ranks(workflow: Workflow, tmp_path: Path) -> None:
    copy_example(tmp_path)
    # A quarter of its 168 short jobs, which are alike; all of them at night.
    few = ("--config", "repeats=1")
    workflow.run(*few, launcher="mpich").ends_with(0)
    width, height = struct.unpack(">II", (tmp_path / "results" / "figure.png").read_bytes()[16:24])
    assert width > 2000
    assert height > 1000
    again = workflow.run(*few, launcher="local")
    again.ends_with(0)
    assert "Nothing to be done" in again.text
    assert "shifted_kernel" in workflow.read("results/answer.csv")
    page = tmp_path / "report.html"
    assert cli.main(["report", "-d", str(tmp_path), "-o", str(page)]) == 0
    look_at_all(page, "report-example", workflow.tmpdir)


@pytest.mark.nightly
def test_it_comes_to_what_snakemakes_executor_does(workflow: Workflow, tmp_path: Path) -> None:
    copy_example(tmp_path)
    workflow.run(launcher="mpich").ends_with(0)
    # Snakemake's executor starts Python and reads the Snakefile anew for each of 150 jobs, so a part has to do.
    predictions = sorted(tmp_path.glob("results/predictions/**/*.csv"))
    some = {str(path.relative_to(tmp_path)): path.read_text() for path in predictions[::12]}
    for launcher, arguments in [("local", ("--daskmpi-workers", "2")), (REFERENCE, ("--jobs", "2"))]:
        shutil.rmtree(tmp_path / ".snakemake")
        shutil.rmtree(tmp_path / "results")
        workflow.run(*arguments, *some, launcher=launcher).ends_with(0)
        assert {name: workflow.read(name) for name in some} == some


def test_its_profile_makes_plain_snakemake_use_the_plugin(workflow: Workflow, tmp_path: Path) -> None:
    import sys

    copy_example(tmp_path)
    # One job is enough to see who runs it.
    run = workflow.start_command([sys.executable, "-m", "snakemake", "results/digits.npz"], workflow.environ())
    run.ends_with(0)
    assert "daskmpi: 1 worker process on this machine" in run.text
    assert "1 worker with 4 cores" in run.text
