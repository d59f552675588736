"""Every rank inside an image: Charliecloud's own ch-run, and the command line of Apptainer, on a real Slurm."""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from batch_runs import TWO, batch_of, recorded, submit
from harness import require
from image import MARKER, TMP, host_folders, make_image, require_ch_run
from required import at_night
from snakemake_executor_plugin_daskmpi.settings.flags import Settings
from snakemake_executor_plugin_daskmpi.slurm.script.container import Container

if TYPE_CHECKING:
    from harness import Workflow
    from slurm_cluster import SlurmCluster

SNAKEFILE = f"""\
rule all:
    input: expand("out/{{i}}", i=range(4))

rule inside:
    output: "out/{{i}}"
    shell: "cat {MARKER} > {{output}}; touch $TMPDIR/x"
"""


def ch_run_container(workflow: Workflow, image: Path, **settings: str) -> Container:
    """Return the container of settings that name an image for ch-run and what of the host it needs."""
    asked = Settings(
        container=str(image), container_runtime="ch-run", container_bind=",".join(host_folders()), **settings
    )
    container = Container.of(asked, str(workflow.folder))
    assert container
    return container


def image_for(workflow: Workflow, folder: Path) -> Path:
    """Make an image in which the workflow can run."""
    # What is below the host's is there already.
    places = [place for place in (*host_folders(), str(workflow.folder)) if not place.startswith(f"{TMP}/")]
    return make_image(folder, *places)


def test_all_ranks_and_jobs_run_inside_an_image_of_charliecloud(workflow: Workflow, slurm: SlurmCluster):  # noqa: ARG001
    require("mpich")
    require_ch_run()
    image = image_for(workflow, workflow.folder / "image")
    workflow.write("Snakefile", SNAKEFILE)
    batch = batch_of(workflow, container=ch_run_container(workflow, image))
    # ch-run shows TMPDIR as /tmp; this test's working directory may be below the latter.
    run = submit(workflow, TWO, batch, TMPDIR=TMP, USER="")
    run.ends_with(0)
    assert [workflow.read(f"out/{i}") for i in range(4)] == ["seen from inside\n"] * 4
    assert "4 ranks on" in run.text
    assert recorded(batch) == "0"


@pytest.mark.nightly
def test_scratch_of_the_node_is_the_tmp_of_an_image_of_charliecloud(workflow: Workflow, slurm: SlurmCluster):  # noqa: ARG001
    require_ch_run()
    # Not below /tmp, which is another one inside.
    with tempfile.TemporaryDirectory(dir=f"/var{TMP}", prefix="daskmpi-test-") as elsewhere:
        workdir = Path(elsewhere)
        image = make_image(workdir / "image", *host_folders(), elsewhere)
        asked = Settings(
            container=str(image), container_runtime="ch-run", container_bind=",".join([*host_folders(), elsewhere])
        )
        look = "import os, tempfile; print(os.environ['TMPDIR'], *os.listdir(tempfile.gettempdir()))"
        batch = batch_of(
            workflow,
            workdir=elsewhere,
            srun=("srun", "--het-group=0-1"),
            command=(sys.executable, "-c", look),
            container=Container.of(asked, elsewhere),
            scratch=f"{elsewhere}/scratch/$SLURM_JOB_ID",
        )
        run = submit(workflow, TWO, batch)
        run.ends_with(0)
        # An empty folder of its own for each rank.
        assert run.text.splitlines() == [TMP] * 4
        assert list((workdir / "scratch").iterdir()) == []


APPTAINER = """\
#!/bin/bash
# Checks how it was called as apptainer, writes it down, and runs the image's run script: python with the arguments.
fail() {{ echo "apptainer: $1" >&2; exit 97; }}
[ "$1" = run ] || fail "not told to run: $1"
[ "$2" = {image} ] || fail "not the image: $2"
[ "$3 $4" = "-m snakemake" ] || fail "not arguments of python: $3 $4"
[ "$(pwd)" = {workdir} ] || fail "not in the working directory: $(pwd)"
[ "$I_MPI_PMI_LIBRARY" = {library} ] || fail "not Slurm's library: $I_MPI_PMI_LIBRARY"
[ -n "$PMI_FD" ] || fail "no PMI"
printf '%s' "${variable}" >"binds of $SLURM_PROCID"
shift 2
export {inside}="$I_MPI_PMI_LIBRARY"
exec {python} "$@"
"""


@pytest.mark.parametrize(
    ("runtime", "variable"), [("apptainer", "APPTAINER_BIND"), *at_night([("singularity", "SINGULARITY_BIND")])]
)
def test_all_ranks_are_run_by_apptainer_with_all_that_they_need(
    workflow: Workflow,
    slurm: SlurmCluster,  # noqa: ARG001
    tmp_path: Path,
    runtime: str,
    variable: str,
):
    require("mpich")
    workflow.write("Snakefile", "rule all:\n    shell: 'echo $SEEN_BY_APPTAINER > seen; echo $TMPDIR > tmpdir'\n")
    library = workflow.write("slurm/lib64/libpmi2.so", "")
    workflow.write("image.sif", "")
    program = tmp_path / "bin" / runtime
    program.parent.mkdir()
    program.write_text(
        APPTAINER.format(
            image=shlex.quote(f"{tmp_path}/image.sif"),
            workdir=shlex.quote(str(workflow.folder)),
            library=shlex.quote(str(library)),
            variable="{" + variable + "}",
            inside="SEEN_BY_APPTAINER",
            python=shlex.quote(sys.executable),
        )
    )
    program.chmod(0o755)
    asked = Settings(container="image.sif", container_runtime=runtime, container_bind="/data:/mnt")
    scratch = f"{tmp_path}/scratch/$SLURM_JOB_ID"
    container = Container.of(asked, str(workflow.folder), str(library))
    batch = batch_of(workflow, container=container, scratch=scratch)
    path = os.pathsep.join([str(program.parent), os.environ["PATH"]])
    run = submit(workflow, TWO, replace(batch, setup=f"export PATH={shlex.quote(path)} {variable}=/site"))
    run.ends_with(0)
    for rank in range(4):
        *fixed, own_scratch = workflow.read(f"binds of {rank}").split(",")
        assert fixed == ["/site", str(library.parent), str(workflow.folder), "/data:/mnt"]
        assert own_scratch.startswith(f"{tmp_path}/scratch/{run.job_id}/daskmpi-")
    # Jobs are inside, too.
    assert workflow.read("seen").strip() == str(library)
    assert workflow.read("tmpdir").startswith(f"{tmp_path}/scratch/{run.job_id}/daskmpi-")
