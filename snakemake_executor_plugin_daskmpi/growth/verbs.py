"""The verbs ``grow`` and ``shrink``: an order for a run that goes on, and what came of it.

Runs on: wherever the user types.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.errors import NoRunError
from snakemake_executor_plugin_daskmpi.growth import orders
from snakemake_executor_plugin_daskmpi.record.find import run_of
from snakemake_executor_plugin_daskmpi.record.liveness import Life, life_of
from snakemake_executor_plugin_daskmpi.record.run_view import RunView

if TYPE_CHECKING:
    from pathlib import Path

    from snakemake_executor_plugin_daskmpi.growth.orders import Order


def main(directory: Path, run_id: str, order: Order) -> int:
    """Give an order to a run, print what came of it, and return the exit code.

    Raises
    ------
    NoRunError
        If there is no run that goes on, or it does not answer.
    """
    run_dir = run_of(directory, run_id)
    view = RunView(run_dir)
    view.update()
    if (life := life_of(view)) is not Life.GOES_ON:
        raise NoRunError(
            f"The run {run_dir.name} {life.value}: nothing can join it.",
            seen="it is the newest one of this folder." if not run_id else "",
            next_step="start the workflow again; --daskmpi-grow lets it grow by itself.",
        )
    answer = orders.give(run_dir, order)
    print(answer.text, file=sys.stdout if answer.is_done else sys.stderr)
    return 0 if answer.is_done else 1
