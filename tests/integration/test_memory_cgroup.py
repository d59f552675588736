"""A control group that has less memory than its worker offers: that is the limit, and the kernel keeps it."""

from __future__ import annotations

import re
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness import wait_until
from required import skip_or_fail

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness import Run, Workflow

# The memory that a fork shares is charged to the group of the process that it is a fork of.
pytestmark = pytest.mark.program

MOUNT = Path("/sys/fs/cgroup")
LIMIT_MB = 1500

#: The hog takes 500 MB a second at most: what takes the whole group between two looks is the kernel's to end.
SNAKEFILE = """
    rule all:
        input: "hog", "honest"

    rule honest:
        output: "honest"
        resources: mem_mb=300
        shell: "while [ ! -e go ]; do sleep 0.05; done; touch {output}"

    rule hog:
        output: "hog"
        resources: mem_mb=200
        shell: "python hog.py; touch {output}"
"""

HOG = """
    import time

    taken = []
    for _ in range(160):
        taken.append(b"x" * 25_000_000)
        time.sleep(0.05)
"""


@pytest.fixture
def group() -> Iterator[Path]:
    """A control group of 1500 MB, below the one that this process is in, or below the root of version 2."""
    lines = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    own = next((MOUNT / "memory" / path[1:] for _, names, path in lines if "memory" in names.split(",")), MOUNT)
    folder, limit = own / f"dm-{uuid.uuid4().hex}", "memory.max" if own == MOUNT else "memory.limit_in_bytes"
    try:
        folder.mkdir()
        (folder / limit).write_text(str(LIMIT_MB * 1_000_000))
    except OSError as error:
        if folder.exists():
            folder.rmdir()
        skip_or_fail("cgroup", f"no control group for memory can be made here ({error}); root on the host can")
    yield folder
    # Its processes have gone, as the kernel will see in a moment.
    wait_until(lambda: not (folder / "cgroup.procs").read_text(), on_timeout=(folder / "cgroup.procs").read_text)
    folder.rmdir()


def run_in(group: Path, workflow: Workflow, *args: str) -> Run:
    """Run the workflow in a group, on a worker that offers more than that has, until the hog has ended."""
    workflow.write("Snakefile", SNAKEFILE)
    workflow.write("hog.py", HOG)
    run = workflow.start("--keep-going", "--daskmpi-mem-mb", "4000", "--daskmpi-cores", "2", *args)
    # Before it starts anything: what it starts is in the group, too.
    (group / "cgroup.procs").write_text(str(run.process.pid))
    wait_until(lambda: "Next: " in run.text or run.has_ended, on_timeout=lambda: run.text)
    workflow.write("go", "")
    run.ends_with(1)
    assert workflow.has("honest")
    assert not workflow.has("hog")
    assert run.text.count("Next: ") == 1
    assert re.search(r"Next: resources: mem_mb=lambda wildcards, attempt: \d+00 \* attempt; with --retries 1", run.text)
    return run


def test_the_hog_is_ended_before_the_group_is_full(workflow: Workflow, group: Path):
    run = run_in(group, workflow)
    assert re.search(r"when \d+ of the control group's 1[45]\d\d MB were used", run.text)
    assert re.search(r"^oom_kill 0$", kills(group), re.MULTILINE), "the kernel had to kill nothing"


@pytest.mark.parametrize(
    "args", [(), pytest.param(("--daskmpi-no-warm",), marks=pytest.mark.nightly)], ids=["warm", "spawned"]
)
def test_a_job_that_the_kernel_kills_is_told_so(workflow: Workflow, group: Path, args: tuple[str, ...]):
    run = run_in(group, workflow, "--daskmpi-memory", "ignore", *args)
    assert re.search(r"Rule hog \(jobid \d+\) ran out of memory on worker rank 2 ", run.text)
    assert ": just before it ended, the kernel killed a process of this worker's control group for memory." in run.text
    assert re.search(r"^oom_kill 1$", kills(group), re.MULTILINE), "and nobody else"


def kills(group: Path) -> str:
    return next(file.read_text() for name in ("memory.events", "memory.oom_control") if (file := group / name).exists())
