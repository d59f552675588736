"""A body finds the same world as under Snakemake's local executor, whatever kind it is."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness import MARKER, REFERENCE, Workflow
from mpis import SAMPLED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness import Run

#: A workflow with a rule for each thing that a body can be or use.
BODIES = Path(__file__).parent / "bodies"

THREADS = "OMP_NUM_THREADS"


def start(workflow: Workflow, *args: str, launcher: str, **env: str) -> Run:
    """Start the workflow of BODIES in the given folder."""
    shutil.copytree(BODIES, workflow.folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    env |= {"TESTED_TOKEN": "a 'secret' $1"}
    tmpdir = workflow.folder / "of-jobs"
    tmpdir.mkdir()
    defaults = ("--default-resources", f"tmpdir='{tmpdir}'", "mem_mb=50")
    return workflow.start("--config", "answer=41", *defaults, *args, launcher=launcher, env=env)


def comparable(metadata: dict) -> dict:
    """Return records without the addresses of objects, as they stand in params."""
    return json.loads(re.sub(r"0x[0-9a-f]+", "0x…", json.dumps(metadata)))


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workflow]:
    """The workflow after Snakemake's local executor has run it, which takes its time."""
    workflow = Workflow(tmp_path_factory.mktemp("reference"))
    start(workflow, "--cores", "2", launcher=REFERENCE).ends_with(0)
    yield workflow
    workflow.close()


# In a local world, the corpus shows it.
@pytest.mark.parametrize("launcher", SAMPLED)
@pytest.mark.nightly
def test_every_kind_of_body_does_as_under_the_local_executor(workflow: Workflow, reference: Workflow, launcher: str):
    pytest.importorskip("numpy", reason="numpy is not installed; pip install numpy lifts this")
    run = start(workflow, "--daskmpi-cores", "2", "--verbose", launcher=launcher)
    run.ends_with(0)
    assert len(workflow.tree("out")) > 35
    assert workflow.tree("out", "logs", "clumps") == reference.tree("out", "logs", "clumps")
    assert comparable(workflow.metadata()) == comparable(reference.metadata())
    assert workflow.incomplete() == set()
    assert not workflow.has("out/temporary.txt")
    assert not list(workflow.folder.rglob("left-behind-*")), "what a shadow directory is for"
    assert (workflow.folder / "out/protected.txt").stat().st_mode & 0o222 == 0
    for benchmark, lines in (("benchmarks/once.tsv", 2), ("benchmarks/twice.tsv", 3)):
        mine, theirs = workflow.lines(benchmark), reference.lines(benchmark)
        assert len(mine) == len(theirs) == lines
        assert mine[0] == theirs[0], "the same columns"
    assert len({line for n in range(4) for line in workflow.read(f"seen/random.{n}").split()}) == 8
    check_environments(workflow, reference)
    assert spawned(run) == [], "all of these go warm"


def spawned(run: Run) -> list[str]:
    """Return what a run with --verbose says of jobs that do not go warm."""
    return [line for line in run.text.splitlines() if "is spawned" in line]


def check_environments(workflow: Workflow, reference: Workflow):
    """Check that jobs see nothing of our world, all of the user's, and their number of threads."""
    for way in ("shell", "run"):
        mine, theirs = (environment(each, f"seen/{way}.env") for each in (workflow, reference))
        ranks = [name for name in mine if name.startswith(("PMI", "OMPI_", "HYDRA_", "HYDI_", "MPIR_", "DASK_"))]
        # What the user has set for an mpiexec is the user's.
        assert set(ranks) <= {"OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"}
        assert mine[THREADS] == "2"
        assert mine[MARKER] == workflow.test_id
        assert mine["PATH"] == theirs["PATH"]
        assert mine["HOME"] == theirs["HOME"]
        # The last one is set by polars, which Snakemake may have imported.
        missing = theirs.keys() - mine.keys() - {"OLDPWD", "_", "SHLVL", "_RJEM_MALLOC_CONF"}
        assert not missing, f"{way} bodies lack {missing}"


def environment(workflow: Workflow, name: str) -> dict[str, str]:
    """Return an environment that a job has written down."""
    return dict(entry.split("=", 1) for entry in workflow.read(name).split("\0") if entry)


def test_a_workdir_directive_is_followed(workflow: Workflow):
    workflow.write("rules/one.smk", "rule one:\n    output: 'one.txt'\n    script: 'one.py'\n")
    workflow.write("rules/one.py", "open(snakemake.output[0], 'w').write(open('../data.txt').read())\n")
    workflow.write("data.txt", "data\n")
    snakefile = """
        workdir: "elsewhere"

        include: "rules/one.smk"

        rule all:
            default_target: True
            input: "one.txt", "two.txt"

        rule two:
            output: "two.txt"
            run:
                shell("pwd > {output}")
    """
    workflow.write("Snakefile", snakefile)
    run = workflow.start("--verbose")
    run.ends_with(0)
    assert workflow.read("elsewhere/one.txt") == "data\n"
    assert workflow.read("elsewhere/two.txt").strip() == str(workflow.folder / "elsewhere")
    assert spawned(run) == []
    assert workflow.has("elsewhere/.snakemake/daskmpi")
    assert not workflow.has(".snakemake/daskmpi")


def test_directory_and_snakefile_may_be_elsewhere(workflow: Workflow):
    workflow.write("code/Snakefile", "rule all:\n    output: 'a.txt'\n    script: 'a.py'\n")
    workflow.write("code/a.py", "open(snakemake.output[0], 'w').write('a')\n")
    run = workflow.start("--directory", "results here", "--snakefile", "code/Snakefile", "--verbose")
    run.ends_with(0)
    assert workflow.read("results here/a.txt") == "a"
    assert spawned(run) == []
