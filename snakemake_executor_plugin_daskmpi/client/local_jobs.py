"""The jobs of local rules, which Snakemake runs on rank 1 and does not end itself.

Runs on: rank 1.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container


def kill(keep: Container[int]) -> None:
    """Kill the processes below this one, but for some and what is below them."""
    import psutil

    for child in psutil.Process().children():
        if child.pid not in keep:
            with contextlib.suppress(psutil.Error):
                for process in (*child.children(recursive=True), child):
                    process.kill()
