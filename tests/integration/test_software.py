"""Software of rules: conda environments and containers, made once by rank 1 and used warm by jobs.

Neither conda nor Apptainer can be installed where the tests run, so scripts on PATH stand in for them, which do what
Snakemake asks of the real ones, and write down what that was.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from harness import REFERENCE
from required import at_night

if TYPE_CHECKING:
    from harness import Run, Workflow

CONDA = """\
#!/bin/bash
echo "$@" >> "$CALLS"
root=$(dirname "$(dirname "$0")")
case "$*" in
    "info --json") printf '{"conda_prefix": "%s", "platform": "linux-64", "envs": ["%s/envs/named"]}' "$root" "$root" ;;
    --version) echo conda 99.0.0 ;;
    config*) echo '{"get": {"channel_priority": "strict"}}' ;;
    "env create"*)
        while [ "$1" != --prefix ]; do shift; done
        mkdir -p "$2/bin"
        printf '#!/bin/sh\\necho the tool of %s\\n' "$(basename "$2")" > "$2/bin/tool"
        chmod +x "$2/bin/tool" ;;
esac
"""
ACTIVATE = """\
export CONDA_PREFIX=$1 PATH=$1/bin:$PATH
"""
APPTAINER = """\
#!/bin/bash
echo "$1" >> "$CALLS"
[ "$1" = --version ] && { echo apptainer version 1.3.0; exit; }
while [ "$1" != exec ]; do shift; done
shift
while true; do
    case $1 in
        --pwd) cd "$2" && shift 2 ;;
        --home | --bind) shift 2 ;;
        --*) shift ;;
        *) break ;;
    esac
done
export CONTAINER=$1
shift
exec "$@"
"""
SNAKEFILE = """
    rule all:
        input: expand("file.{n}.txt", n=range(5)), "named.txt", "script.txt", "group.txt", "container.txt", "run.txt"

    rule by_file:
        output: "file.{n}.txt"
        conda: "env.yaml"
        shell: "(tool; echo $(basename $CONDA_PREFIX)) > {output}"

    rule named:
        output: "named.txt"
        conda: "named"
        shell: "echo $(basename $CONDA_PREFIX) > {output}"

    rule script:
        output: "script.txt"
        conda: "env.yaml"
        script: "script.sh"

    rule first_of_group:
        output: "first.txt"
        group: "g"
        conda: "env.yaml"
        shell: "tool > {output}"

    rule second_of_group:
        input: "first.txt"
        output: "group.txt"
        group: "g"
        container: "image.sif"
        shell: "(cat {input}; echo ${{CONTAINER-none}}) > {output}"

    rule container:
        output: "container.txt"
        container: "image.sif"
        shadow: "minimal"
        shell: "echo ${{CONTAINER-none}} > {output}"

    rule run:
        output: "run.txt"
        container: "image.sif"
        run:
            shell("echo ${{CONTAINER-none}} > {output}")
"""


def start(workflow: Workflow, *arguments: str, launcher: str) -> Run:
    """Run the workflow with the stand-ins first on PATH."""
    for name, text in {"conda": CONDA, "activate": ACTIVATE, "apptainer": APPTAINER}.items():
        workflow.write(f"base/bin/{name}", text).chmod(0o755)
    (workflow.folder / "base/envs/named/bin").mkdir(parents=True)
    (workflow.folder / "base/envs/named/conda-meta").mkdir()
    workflow.write("Snakefile", SNAKEFILE)
    workflow.write("env.yaml", "channels: [conda-forge]\ndependencies: [tool]\n")
    workflow.write("script.sh", "tool > ${snakemake_output[0]}\n")
    workflow.write("image.sif", "an image")
    path = f"{workflow.folder}/base/bin:{os.environ['PATH']}"
    environ = {"PATH": path, "CALLS": str(workflow.folder / "calls")}
    run = workflow.start("--sdm", "conda", "apptainer", *arguments, launcher=launcher, env=environ)
    run.ends_with(0)
    return run


@pytest.fixture
def reference(tmp_path_factory: pytest.TempPathFactory, workflow: Workflow) -> Workflow:
    """The workflow after Snakemake's local executor has run it."""
    reference = type(workflow)(tmp_path_factory.mktemp("reference"))
    start(reference, "--cores", "2", launcher=REFERENCE)
    reference.close()
    return reference


@pytest.mark.parametrize("launcher", ["local", *at_night(["mpich"])])
def test_environments_are_made_once_and_used_warm_as_are_containers(workflow: Workflow, reference: Workflow, launcher):
    run = start(workflow, "--verbose", "--daskmpi-cores", "2", launcher=launcher)
    names = [*(f"file.{n}.txt" for n in range(5)), "named.txt", "script.txt", "container.txt", "run.txt"]
    for name in [*names, "group.txt"]:
        # The name of an environment is made of where it lies, too.
        ours, theirs = (re.sub(r"\b[0-9a-f]{32}_", "env", each.read(name)) for each in (workflow, reference))
        assert ours == theirs.replace(str(reference.folder), str(workflow.folder)), name
    assert workflow.read("script.txt").startswith("the tool of ")
    assert workflow.read("named.txt") == "named\n"
    assert workflow.read("container.txt").endswith("image.sif\n")
    assert "is spawned" not in run.text
    calls = workflow.lines("calls")
    assert len([call for call in calls if call.startswith("env create")]) == 1
    assert calls.count("--version") <= 1 + 3, "conda is asked once, Apptainer by rank 1 and each worker"
