"""A user's module that is called as one of ours, or of Python's, is the user's in the Snakefile, and never ours."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness import REFERENCE, require
from mpis import MPIS
from required import at_night

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness import Workflow
    from runs import Run

pytestmark = pytest.mark.program

#: What the world imports, and Snakemake does not.
NAMES = ("dask", "distributed", "msgpack", "cryptography")
#: What Snakemake has imported itself before it reads a Snakefile, which gets that.
SNAKEMAKES_NAMES = ("psutil", "logging", "queue")

#: Imports nothing of the user's.
PLAIN = """
    rule all:
        output: "out.txt"
        shell: "echo done > {output}"
"""

#: Imports the module wherever user code runs: in the Snakefile, a handler, a ``run`` block, a script, a function.
IMPORTING = """
    import {name}

    def whose():
        import {name}

        return getattr({name}, "WHOSE", "somebody else's")

    def tell(where, text):
        with open(where, "w") as file:
            print(text, file=file)

    tell("parsed.txt", getattr({name}, "WHOSE", "somebody else's"))

    onsuccess:
        tell("handler.txt", whose())

    rule all:
        input: "run.txt", "script.txt", "local.txt"

    rule run:
        output: "run.txt"
        params: whose=lambda wildcards: whose()
        run: tell(output[0], f"{{params.whose}} {{whose()}}")

    rule script:
        output: "script.txt"
        script: "body.py"

    rule local:
        output: "local.txt"
        localrule: True
        run: tell(output[0], whose())
"""

#: As above, but nothing is imported before Snakemake has an executor.
LATE = IMPORTING.replace("    import {name}\n\n", "", 1).replace(
    'tell("parsed.txt", getattr({name}, "WHOSE", "somebody else\'s"))', ""
)

BODY = """
    import {name}

    with open(snakemake.output[0], "w") as file:
        print(getattr({name}, "WHOSE", "somebody else's"), file=file)
"""

TOLD = ("parsed.txt", "handler.txt", "run.txt", "script.txt", "local.txt")


def start(
    workflow: Workflow, launcher: str, snakemake: Sequence[str] = (str(Path(sys.executable).parent / "snakemake"),)
) -> Run:
    """Start Snakemake as users do: by its console script, which puts no folder of theirs into the path."""
    environ, command = workflow.environ(), [*snakemake, "--cores", "2", "--forceall"]
    if launcher == REFERENCE:
        return workflow.start_command(command, environ)
    command += ["--executor", "daskmpi", "--jobs", "unlimited"]
    if launcher not in MPIS:
        return workflow.start_command([*command, "--daskmpi-launcher", launcher], environ)
    require(launcher)
    mpi = MPIS[launcher]
    return workflow.start_command([str(mpi.mpiexec), "-n", "3", *command], {**environ, **mpi.environ})


def told(workflow: Workflow) -> dict[str, list[str]]:
    """Return what user code has said, wherever it ran, and forget it."""
    answers = {name: workflow.lines(name) for name in TOLD}
    for name in TOLD:
        (workflow.folder / name).unlink(missing_ok=True)
    return answers


def compare(workflow: Workflow, name: str, snakefile: str, launcher: str, module: str = "{name}.py") -> None:
    """Check that user code gets the same module as with Snakemake's own executor."""
    workflow.write("Snakefile", snakefile.format(name=name))
    workflow.write("body.py", BODY.format(name=name))
    workflow.write(module.format(name=name), 'WHOSE = "the user\'s"\n')
    reference = start(workflow, REFERENCE)
    code, expected = reference.wait(), told(workflow)
    run = start(workflow, launcher)
    run.ends_with(code)
    assert told(workflow) == expected, run.text
    if code == 0:
        assert "spawned, which is slower" not in run.text


@pytest.mark.parametrize("launcher", ["local", *at_night(["mpich"])])
def test_modules_that_nobody_imports_are_not_imported(workflow: Workflow, launcher: str):
    workflow.write("Snakefile", PLAIN)
    for name in (
        *NAMES,
        *SNAKEMAKES_NAMES,
        "tornado",
        "dask_mpi",
        "cloudpickle",
        "packaging",
        "click",
        "numpy",
        "mpi4py",
    ):
        workflow.write(f"{name}.py", f"raise RuntimeError('{name} is the user\\'s')\n")
    run = start(workflow, launcher)
    run.ends_with(0)
    assert "the user's" not in run.text


@pytest.mark.parametrize("name", ["dask", *at_night(["msgpack"])])
def test_a_snakefile_gets_its_own_module(workflow: Workflow, name: str):
    compare(workflow, name, IMPORTING, "local")


@pytest.mark.parametrize("name", ["logging"])
def test_a_module_that_snakemake_has_itself_is_not_the_users(workflow: Workflow, name: str):
    # No comparison: Snakemake starts a ``run`` block by python -m, which puts the working directory first, and breaks
    # there by a logging.py.
    workflow.write("Snakefile", IMPORTING.format(name=name))
    workflow.write("body.py", BODY.format(name=name))
    workflow.write(f"{name}.py", 'WHOSE = "the user\'s"\n')
    run = start(workflow, "local")
    run.ends_with(0)
    assert "the user's" not in str(told(workflow)), run.text


@pytest.mark.nightly
def test_a_snakefile_gets_its_own_module_in_an_mpi_world(workflow: Workflow):
    compare(workflow, "distributed", IMPORTING, "mpich")


@pytest.mark.parametrize("launcher", ["local", *at_night(["mpich"])])
@pytest.mark.nightly
def test_a_function_that_imports_later_gets_the_users_module(workflow: Workflow, launcher: str):
    compare(workflow, "dask", LATE, launcher)


@pytest.mark.nightly
def test_a_snakefile_gets_its_own_package_and_what_is_in_it(workflow: Workflow):
    workflow.write("dask/__init__.py", "")
    compare(workflow, "dask.config", IMPORTING, "local", "dask/config.py")


@pytest.mark.parametrize("launcher", ["local", *at_night(["mpich"])])
def test_a_module_where_snakemake_is_started_as_a_module(workflow: Workflow, launcher: str):
    # Python puts the working directory first, before Snakemake itself is imported.
    workflow.write("Snakefile", PLAIN)
    for name in ("dask", "distributed", "dask_mpi", "msgpack"):
        workflow.write(f"{name}.py", "raise RuntimeError('this is the user\\'s')\n")
    start(workflow, launcher, [sys.executable, "-m", "snakemake"]).ends_with(0)


@pytest.mark.nightly
def test_a_folder_in_pythonpath_is_none_of_the_worlds_if_one_stands_in_it(workflow: Workflow):
    workflow.write("Snakefile", PLAIN)
    workflow.write("dask.py", "raise RuntimeError('this is the user\\'s')\n")
    inherited = workflow.environ().get("PYTHONPATH", "")
    run = workflow.start(launcher="local", env={"PYTHONPATH": f"{workflow.folder}:{inherited}"})
    run.ends_with(0)


@pytest.mark.nightly
def test_a_module_in_the_folder_of_an_included_snakefile(workflow: Workflow):
    workflow.write("rules/dask.py", 'WHOSE = "the user\'s"\n')
    workflow.write("rules/rules.smk", 'import dask\nopen("parsed.txt", "w").write(dask.WHOSE)\n')
    workflow.write("Snakefile", 'rule all:\n    output: "a"\n    shell: "touch a"\n\ninclude: "rules/rules.smk"\n')
    for launcher in (REFERENCE, "local", "mpich"):
        start(workflow, launcher).ends_with(0)
        assert told(workflow)["parsed.txt"] == ["the user's"]
