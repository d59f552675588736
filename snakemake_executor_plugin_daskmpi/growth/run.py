"""A run, as growth sees it.

Runs on: rank 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from snakemake_executor_plugin_daskmpi.growth.further_job import FurtherJob
    from snakemake_executor_plugin_daskmpi.planning.demand import Shape
    from snakemake_executor_plugin_daskmpi.resources import WorkerResources


class Run(Protocol):
    """The run. All of this is called in the thread of the link's event loop."""

    @property
    def takes_workers(self) -> bool:
        """Whether further workers could be of any use: False while the run drains, and when it is over."""

    def shapes(self) -> tuple[list[Shape], list[Shape]]:
        """Return what waits, and what runs."""

    def held(self) -> list[tuple[Shape, list[str]]]:
        """Return which of what waits no worker that is there can hold, with the keys of the jobs."""

    def offers(self) -> list[WorkerResources]:
        """Return what the workers offer that take jobs."""

    def idle(self) -> set[str]:
        """Return the addresses of workers that run nothing."""

    def dismiss(self, addresses: Iterable[str], why: str) -> None:
        """Have workers leave when they run nothing."""

    def expel(self, addresses: Iterable[str]) -> None:
        """Take workers for lost whose Slurm job has ended."""

    def refuse(self, keys: Iterable[str], why: str) -> None:
        """Report jobs as failed that no worker can hold, now or later."""

    def say(self, text: str, *, is_warning: bool = False) -> None:
        """Tell the user."""

    def note(self, job: FurtherJob, *, why: str = "") -> None:
        """Record how far a further job is."""
