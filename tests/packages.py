"""Packages of PyPI in folders of their own: beside ours, an installed plugin would be imported at each start.

Runs on: the machine of the tests.
Called by: snakemakes, integration.test_loggers.
"""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def install(folder: Path, *requirements: str) -> str:
    """Install packages into a folder, without what they need; return what went wrong."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
    done = subprocess.run([*command, *requirements], capture_output=True, text=True, check=False, timeout=200)
    return "" if done.returncode == 0 else done.stderr
