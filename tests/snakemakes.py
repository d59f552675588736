"""The Snakemakes that are tested: the installed one, and the oldest that the package allows.

Runs on: the machine of the tests.
Called by: integration.test_snakemake_versions.
"""

from __future__ import annotations

import importlib.metadata
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

import packages

if TYPE_CHECKING:
    from pathlib import Path

PACKAGE = "snakemake-executor-plugin-daskmpi"


def oldest() -> str:
    """Return the oldest version that the package's requirements allow."""
    requirements = [Requirement(text) for text in importlib.metadata.requires(PACKAGE) or ()]
    bounds = next(r.specifier for r in requirements if r.name == "snakemake")
    return next(bound.version for bound in bounds if bound.operator == ">=")


def install(version: str, folder: Path) -> str:
    """Install a Snakemake into a folder, with what the newest one needs, which is there; return what went wrong."""
    return packages.install(folder, f"snakemake=={version}")
