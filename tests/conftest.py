"""Fixtures of all tests."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

collect_ignore_glob = ["integration/bodies/*", "workflows/*"]

# Tests are no package, and pytest's importlib mode does not put their folder on the path.
sys.path.insert(0, str(Path(__file__).parent))

from harness import Workflow, wait_until  # noqa: E402 - found since just now
from required import NIGHT, skip_or_fail  # noqa: E402
from slurm_cluster import SlurmCluster, missing  # noqa: E402
from terminal import Terminal  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

# A shell starts background programs with SIGINT ignored, which children inherit. Ours are to be interrupted.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is for the night, and put first what takes long, so that nothing long is left for the end."""
    later = [] if NIGHT else [item for item in items if item.get_closest_marker("nightly")]
    if later:
        config.hook.pytest_deselected(items=later)
        items[:] = [item for item in items if not item.get_closest_marker("nightly")]
    items.sort(key=lambda item: (item.get_closest_marker("long") is None, "tests/slurm/" not in item.nodeid))


@pytest.fixture
def workflow(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Workflow]:
    """A workflow in a fresh folder; after the test, nothing of it may be left."""
    workflow = Workflow(tmp_path)
    workflow.starts_programs |= request.node.get_closest_marker("program") is not None
    try:
        yield workflow
        workflow.assert_nothing_left()
    finally:
        workflow.close()


@pytest.fixture
def terminal(workflow: Workflow) -> Iterator[Terminal]:
    """A terminal in the workflow's folder."""
    if shutil.which("tmux") is None:
        skip_or_fail("tmux", "tmux is not installed; apt-get install tmux lifts this")
    terminal = Terminal(workflow)
    try:
        yield terminal
    finally:
        terminal.close()


@pytest.fixture(scope="session")
def slurm_of_the_session() -> Iterator[SlurmCluster]:
    """One Slurm for all tests; starting it takes two seconds."""
    if reason := missing():
        skip_or_fail("slurm", reason)
    cluster = SlurmCluster()
    try:
        cluster.up()
        yield cluster
    finally:
        cluster.down()
        cluster.wipe()


@pytest.fixture
def slurm(slurm_of_the_session: SlurmCluster, workflow: Workflow) -> Iterator[SlurmCluster]:
    """A real idle Slurm, which the runs of the test's workflow see; after the test, no job may be left."""
    workflow.slurm = slurm_of_the_session
    try:
        yield slurm_of_the_session
        wait_until(lambda: not slurm_of_the_session.squeue(), on_timeout=slurm_of_the_session.squeue)
    finally:
        slurm_of_the_session.clear()


@pytest.fixture
def stranger() -> list[str]:
    """Return the start of a command that runs it as another user."""
    if os.geteuid() or shutil.which("setpriv") is None:
        skip_or_fail("other-user", "only root can become another user; running the tests as root lifts this")
    stranger = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"]
    if subprocess.run([*stranger, sys.executable, "-c", ""], capture_output=True, check=False).returncode:
        skip_or_fail("other-user", f"another user cannot start {sys.executable}")
    return stranger
