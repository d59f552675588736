"""File systems fail: the job fails with the reason, and its worker lives."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from harness import wait_until
from required import skip_or_fail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from harness import Run, Workflow

#: One worker of one core: all that is true of it after the failure is true of the worker that met it.
ONE = ("--keep-going", "--daskmpi-workers", "1", "--daskmpi-cores", "1")


@pytest.fixture
def mount(workflow: Workflow) -> Iterator[Callable[..., Path]]:
    """What makes a folder of the workflow a small file system of its own."""
    if os.geteuid() != 0:
        skip_or_fail("root", "only root mounts file systems; run the tests as root to lift this")
    mounted: list[Path] = []

    def mount_one(name: str, options: str = "size=64k") -> Path:
        folder = workflow.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "test", folder], check=True)
        mounted.append(folder)
        # Snakemake removes empty folders at the end of a run, which a mounted one is busy for.
        (folder / ".kept").touch()
        return folder

    yield mount_one
    for folder in reversed(mounted):
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder: Path) -> None:
    """Fill a file system."""
    with (folder / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


def remount(folder: Path, option: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{option}", folder], check=True)


def forkserver_starts(workflow: Workflow) -> int:
    """Return how often a forkserver of rank 2 got ready."""
    (log,) = workflow.folder.glob(".snakemake/daskmpi/*/rank-2.log")
    return log.read_text().count("forkserver ready")


# -- outputs -----------------------------------------------------------------------------------

OUTPUTS = """
    rule all:
        input: "small/shell", "small/run", "beside"

    rule shell:
        output: "small/shell"
        shell: "head -c 100000 /dev/zero > {output}"

    rule run:
        output: "small/run"
        run: open(output[0], "wb").write(bytes(100000))

    rule beside:
        output: "beside"
        priority: -1
        shell: "touch {output}"
"""


@pytest.mark.parametrize("option", ["rw", "ro"])
def test_jobs_whose_outputs_cannot_be_written_fail_with_the_reason(workflow: Workflow, mount, option: str):
    workflow.write("Snakefile", OUTPUTS)
    small = mount("small")
    remount(small, option)
    run = workflow.run(*ONE)
    run.ends_with(1)
    reason = {"rw": "No space left on device", "ro": "Read-only file system"}[option]
    assert run.text.count(reason) >= 2
    assert run.text.count("Next: ") == 2
    assert "Traceback" not in run.text
    assert workflow.has("beside"), "the worker lives"
    assert forkserver_starts(workflow) == 1
    subprocess.run(["mount", "-o", "remount,rw,size=1m", small], check=True)
    workflow.run(*ONE).ends_with(0)


LATE = """
    rule late:
        output: "late"
        shell: "touch begun"
"""


#: A job that fails when half of its output is written, to a file system that does not let go of it.
HALF = """
rule half:
    output: "small/out.txt"
    shell: "{config[half]}echo whole > {output}"
"""


def test_half_an_output_that_cannot_be_removed_does_not_pass_for_a_whole_one(workflow: Workflow, mount):
    small = mount("small")
    workflow.write("Snakefile", HALF)
    freeze = f"echo half > small/out.txt && mount -o remount,ro {small} && false; "
    workflow.run("--config", f"half={freeze}").ends_with(1)
    remount(small, "rw")
    assert (small / "out.txt").read_text() == "half\n"
    refused = workflow.run("--config", "half=true; ")
    refused.ends_with(1)
    assert "incomplete" in refused.text
    workflow.run("--rerun-incomplete", "--config", "half=true; ").ends_with(0)
    assert (small / "out.txt").read_text() == "whole\n"


def test_an_output_that_appears_late_is_waited_for(workflow: Workflow):
    workflow.write("Snakefile", LATE)
    run = workflow.start(*ONE, "--latency-wait", "30")
    wait_until(lambda: run.has_ended or "Waiting at most 30 seconds" in run.text, on_timeout=lambda: run.text)
    workflow.write("late", "")
    run.ends_with(0)


def test_an_output_that_does_not_appear_is_a_failure_that_says_so(workflow: Workflow):
    workflow.write("Snakefile", LATE)
    run = workflow.run(*ONE, "--latency-wait", "1")
    run.ends_with(1)
    assert "late (missing locally)" in run.text


# -- logs --------------------------------------------------------------------------------------

#: Five jobs in turn, of which one waits for what the test does to the folder of the logs.
LOGS = """
    rule all:
        input: expand("out/{n}", n=range(5))

    rule first:
        output: "out/1"
        priority: 1
        shell: "touch ran.1; until [ -e go ]; do sleep 0.05; done; echo much to say; touch {output}"

    rule turn:
        output: "out/{n}"
        wildcard_constraints: n="[0234]"
        shell: "touch ran.{wildcards.n}; echo much to say; touch {output}"
"""


def logs_of(workflow: Workflow) -> Path:
    return workflow.folder / ".snakemake" / "daskmpi"


def start_logging(workflow: Workflow, *args: str) -> Run:
    """Start the workflow, and return when the job runs that waits."""
    workflow.write("Snakefile", LOGS)
    run = workflow.start(*ONE, *args)
    workflow.wait_for("ran.1", run=run)
    return run


def test_jobs_whose_logs_are_full_fail_for_what_they_cannot_write_and_the_worker_lives(workflow: Workflow, mount):
    logs = mount(".snakemake/daskmpi", "size=128k")
    run = start_logging(workflow)
    fill(logs)
    workflow.write("go", "")
    run.ends_with(1)
    assert "Next: " in run.text
    assert "died" not in run.text
    assert "Traceback" not in run.text
    assert forkserver_starts(workflow) == 1
    (logs / "filler").unlink()
    workflow.run(*ONE).ends_with(0)


def test_jobs_whose_logs_cannot_be_opened_fail_with_the_reason(workflow: Workflow, mount):
    logs = mount(".snakemake/daskmpi", "nr_inodes=40")
    run = start_logging(workflow)
    with contextlib.suppress(OSError):
        for n in range(100):
            (logs / f"filler{n}").touch()
    workflow.write("go", "")
    run.ends_with(1)
    assert "its process failed: OSError: [Errno 28] No space left on device" in run.text
    assert "died" not in run.text
    assert forkserver_starts(workflow) == 1


def test_a_forkserver_starts_again_where_it_cannot_write_its_log(workflow: Workflow, mount):
    logs = mount(".snakemake/daskmpi", "size=128k")
    run = start_logging(workflow, "--retries", "2")
    fill(logs)
    shutil.rmtree(next(path for path in logs.iterdir() if path.is_dir()))
    (forkserver,) = workflow.rank(2).children()
    forkserver.kill()
    (logs / "filler").unlink()
    workflow.write("go", "")
    run.ends_with(0)


def test_a_removed_folder_of_the_run_comes_back_with_the_next_job(workflow: Workflow):
    run = start_logging(workflow)
    shutil.rmtree(logs_of(workflow))
    workflow.write("go", "")
    run.ends_with(0)


def test_a_run_whose_logs_cannot_be_written_at_all_says_so_before_it_starts(workflow: Workflow, mount):
    workflow.write("Snakefile", LOGS)
    remount(mount(".snakemake/daskmpi"), "ro")
    run = workflow.run(*ONE)
    run.ends_with(1)
    assert "The logs of this run cannot be written." in run.text
    assert "Next: df -h" in run.text
    assert "Traceback" not in run.text


# -- scratch -----------------------------------------------------------------------------------


def test_a_removed_scratch_folder_of_the_worker_ends_nothing(workflow: Workflow):
    run = start_logging(workflow)
    (scratch,) = workflow.tmpdir.glob("daskmpi-*")
    shutil.rmtree(scratch)
    workflow.write("go", "")
    run.ends_with(0)


def test_a_job_whose_folder_for_temporary_files_is_gone_fails_with_the_reason(workflow: Workflow):
    workflow.write(
        "Snakefile",
        """
        rule all:
            input: "first", "second"

        rule first:
            output: "first"
            priority: 1
            shell: "rm -r {resources.tmpdir}; echo no > {resources.tmpdir}; touch {output}"

        rule second:
            output: "second"
            run:
                import tempfile
                with tempfile.TemporaryFile(dir=resources.tmpdir):
                    open(output[0], "w").close()
        """,
    )
    scratch = workflow.tmpdir / "jobs"
    scratch.mkdir()
    run = workflow.run(*ONE, "--default-resources", f"tmpdir='{scratch}'")
    run.ends_with(1)
    assert workflow.has("first")
    assert "Next: " in run.text
    assert "Traceback" not in run.text
