"""Modules that are started as programs are imported by nobody: Python would load them twice, and say so."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import snakemake_executor_plugin_daskmpi

FOLDER = Path(snakemake_executor_plugin_daskmpi.__file__).parent
#: By the names with which they are started.
PROGRAMS = sorted(
    ".".join(path.relative_to(FOLDER.parent).with_suffix("").parts)
    for path in FOLDER.rglob("*.py")
    if path.name != "__main__.py"
    and any(isinstance(node, ast.If) and "__main__" in ast.unparse(node) for node in ast.parse(path.read_text()).body)
)


def test_there_are_some():
    assert len(PROGRAMS) > 3


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_starts_without_a_word_of_pythons_about_its_imports(name: str):
    command = [sys.executable, "-P", "-W", "error::RuntimeWarning", "-m", name]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60)
    assert "RuntimeWarning" not in done.stderr
