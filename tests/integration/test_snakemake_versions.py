"""Warm bodies stand on internals of Snakemake: in the oldest version that we allow, and where one has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from required import skip_or_fail
from snakemakes import install, oldest

if TYPE_CHECKING:
    from pathlib import Path

    from harness import Run, Workflow

SNAKEFILE = """
    import snakemake.common

    rule all:
        input: "shadow.txt", "group.txt", "logged.txt"

    rule first:
        output: temp("first.txt"), touch("touched")
        group: "g"
        benchmark: "first.tsv"
        shell: "echo {snakemake.common.__version__} > {output[0]}"

    rule second:
        input: "first.txt", "touched"
        output: "group.txt"
        group: "g"
        params: text=lambda wildcards, input: open(input[0]).read()
        script: "second.py"

    rule shadow:
        output: "shadow.txt"
        params: functions=lambda wildcards: {"next": lambda number: number + 1}
        shadow: "minimal"
        run:
            with open(output[0], "w") as file:
                print(params.functions["next"](1), file=file)

    checkpoint folder:
        output: directory("folder")
        shell: "mkdir {output}; touch {output}/a"

    rule logged:
        input: lambda wildcards: os.path.join(checkpoints.folder.get().output[0], "a")
        output: "logged.txt"
        log: "logged.log"
        retries: 1
        shell: "(test -e tried || (touch tried; exit 1)) > {log} && touch {output}"
"""

#: Python imports this at its start. Snakemake goes on as ever, but for a method that we give arguments by name.
CHANGED = """
    import sys

    if "snakemake" in " ".join(sys.orig_argv):
        import snakemake.api
        from snakemake.workflow import Workflow

        def _prepare_dag(self, *arguments, _original=Workflow._prepare_dag, **more):
            return _original(self, *arguments, **more)

        Workflow._prepare_dag = _prepare_dag
"""

#: A later version whose jobs are asked for something that they do not have today.
GROWN = """
    import sys

    if "snakemake" in " ".join(sys.orig_argv):
        import snakemake.api
        from snakemake.jobs import Job

        async def prepare(self, _original=Job.prepare):
            self.of_another_version
            await _original(self)

        def __init__(self, *arguments, _original=Job.__init__, **more):
            self.of_another_version = True
            _original(self, *arguments, **more)

        # It sets what the original sets.
        names = __init__.__code__.co_names + Job.__init__.__code__.co_names
        __init__.__code__ = __init__.__code__.replace(co_names=names)
        Job.prepare, Job.__init__ = prepare, __init__
"""


@pytest.fixture(scope="module")
def oldest_snakemake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("snakemake")
    if error := install(oldest(), folder):
        skip_or_fail("snakemakes", f"Snakemake {oldest()} cannot be installed; pip says {error}")
    return folder


def start(workflow: Workflow, path: Path) -> Run:
    """Run the workflow with a folder before all others on Python's path."""
    workflow.write("Snakefile", SNAKEFILE)
    workflow.write("second.py", "open(snakemake.output[0], 'w').write(snakemake.params.text)")
    run = workflow.start("--verbose", "--daskmpi-cores", "2", env={"PYTHONPATH": str(path)})
    run.ends_with(0)
    assert workflow.read("shadow.txt") == "2\n"
    assert not workflow.has("first.txt")
    return run


def test_the_oldest_version_runs_warm(workflow: Workflow, oldest_snakemake: Path):
    run = start(workflow, oldest_snakemake)
    assert workflow.read("group.txt").strip() == oldest(), "it was that one"
    assert "is spawned" not in run.text


@pytest.mark.nightly
def test_the_installed_version_runs_warm(workflow: Workflow):
    run = start(workflow, workflow.folder)
    assert "is spawned" not in run.text


def test_where_an_internal_has_changed_jobs_are_spawned_with_one_warning(workflow: Workflow):
    workflow.write("later/sitecustomize.py", CHANGED)
    run = start(workflow, workflow.folder / "later")
    assert run.text.count("jobs are spawned, which is slower") == 1
    assert "Workflow._prepare_dag takes no forceall any more" in run.text


@pytest.mark.nightly
def test_where_a_job_is_asked_for_something_new_it_is_spawned_with_one_warning(workflow: Workflow):
    workflow.write("later/sitecustomize.py", GROWN)
    run = start(workflow, workflow.folder / "later")
    assert run.text.count("jobs are spawned, which is slower") == 1
    assert "Snakemake asks for of_another_version of a job, which is new" in run.text
