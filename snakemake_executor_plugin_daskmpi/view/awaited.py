"""A run that is about to start: Snakemake has its lock, and rank 1 has no record yet.

Runs on: wherever somebody looks at a run.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.errors import NoRunError
from snakemake_executor_plugin_daskmpi.record.find import run_of
from snakemake_executor_plugin_daskmpi.record.liveness import Life, life_of
from snakemake_executor_plugin_daskmpi.view.status import opened

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from snakemake_executor_plugin_daskmpi.record.run_view import RunView

#: Seconds for which a run is awaited, and between two looks.
FOR_S, _EVERY_S = 60.0, 0.5


def is_locked(directory: Path) -> bool:
    """Say whether Snakemake has locked a folder."""
    try:
        return any((directory / ".snakemake" / "locks").iterdir())
    except OSError:
        return False


def newest(directory: Path, say: Callable[[str], None], for_s: float = FOR_S) -> RunView:
    """Return the newest run; if none goes on and Snakemake has its lock, wait for one that starts.

    Parameters
    ----------
    say
        Is told that it waits, if it does.
    for_s
        For so many seconds at most.

    Raises
    ------
    NoRunError
        If there is none, and none has come.
    """
    until = time.monotonic() + for_s
    said = False
    while True:
        found = _newest(directory)
        if found is not None and life_of(found) is Life.GOES_ON:
            return found
        if not is_locked(directory) or time.monotonic() >= until:
            return found or opened(run_of(directory))
        if not said:
            say(
                f"No run goes on yet, and Snakemake has its lock here: waiting up to {for_s:.0f} s for one that starts."
            )
            said = True
        time.sleep(_EVERY_S)


def _newest(directory: Path) -> RunView | None:
    try:
        return opened(run_of(directory))
    except NoRunError:
        return None
