"""Fixtures of all tests."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

collect_ignore_glob = ["integration/bodies/*"]

# Tests are no package, and pytest's importlib mode does not put their folder on the path.
sys.path.insert(0, str(Path(__file__).parent))

from harness import Workflow  # noqa: E402 - found since just now

if TYPE_CHECKING:
    from collections.abc import Iterator

# A shell starts background programs with SIGINT ignored, which children inherit. Ours are to be interrupted.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def workflow(tmp_path: Path) -> Iterator[Workflow]:
    """A workflow in a fresh folder; after the test, nothing of it may be left."""
    workflow = Workflow(tmp_path)
    try:
        yield workflow
        workflow.assert_nothing_left()
    finally:
        workflow.close()
