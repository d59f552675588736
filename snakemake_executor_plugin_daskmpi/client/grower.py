"""What the pool tells whoever lets a run grow: its interface, without knowing it.

Runs on: rank 1, in the link's thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from snakemake_executor_plugin_daskmpi.messages import WorkerInfo


class Grower(Protocol):
    """Decides when a run gets further allocations, and when it lets their workers go.

    It acts on the pool from the same thread: :meth:`Pool.dismiss`, :meth:`Pool.refuse_held`.
    """

    def on_sweep(self) -> None:
        """Look at the state of the run; once a second."""

    def on_worker_added(self, info: WorkerInfo) -> None:
        """Take note of a worker that takes jobs from now on."""

    def on_worker_gone(self, info: WorkerInfo, *, lost: bool) -> None:
        """Take note of a worker that has left, or was lost."""
