"""Benchmarks are run by hand, now and then; what they stand on must not go away unseen."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmark"
#: Parts of the others.
PARTS = {"commands", "cpu_times", "mixes"}


@pytest.mark.parametrize("name", sorted({file.stem for file in BENCHMARKS.glob("*.py")} - PARTS))
def test_a_benchmark_starts_and_says_what_it_takes(name: str):
    command = [sys.executable, str(BENCHMARKS / f"{name}.py"), "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: ")
