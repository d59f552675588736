"""What a run says of its jobs' resources: each thing once, however many jobs it is true of.

Runs on: rank 1.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.resources import JobResources, foreign_resources, shortfalls

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from snakemake_interface_executor_plugins.logging import LoggerExecutorInterface

    from snakemake_executor_plugin_daskmpi.resources import WorkerResources

_FLAGS = {"threads": "--daskmpi-cores", "mem_mb": "--daskmpi-mem-mb", "gpu": "--daskmpi-gpus"}


class Notes:
    """Lines for the user."""

    def __init__(self, logger: LoggerExecutorInterface) -> None:
        self._logger = logger
        self._said: set[str] = set()

    def is_new(self, what: str) -> bool:
        """Say whether something was not said before, and take it for said from now on."""
        known = what in self._said
        self._said.add(what)
        return not known

    def warn_once(self, text: str) -> None:
        """Say something that jobs, or workers, may say many times."""
        if self.is_new(text):
            self._logger.warning(f"daskmpi: {text}")

    def oversized(self, name: str, floor: JobResources, asked: JobResources, offers: Sequence[WorkerResources]) -> None:
        """Tell that a job asks for more of a resource than the workers are assumed to have.

        Parameters
        ----------
        floor
            What it has to get, of which its threads may have been cut to what workers have.
        asked
            What its rule says.
        """
        wish = replace(floor, cores=asked.cores) if asked.cores > floor.cores else floor
        short = [shortfalls(wish, offer) for offer in offers]
        if not short or not all(short) or not all(offer.guessed for offer in offers):
            return
        for resource, wanted, offered in min(short, key=len):
            is_theirs = resource == "threads" and floor.cores < offered  # --max-threads, say, leaves less
            if resource in offers[0].guessed and not is_theirs and self.is_new(resource):
                found = f"and the largest worker was found to have {offered}; such jobs get all of that"
                flag = f"{_FLAGS[resource]} sets what there is"
                if resource == "threads" and floor.cores > offered:
                    flag += f"; --cores {offered} makes {{threads}} fit, which remains {wanted} without"
                self._logger.info(f"daskmpi: {name} asks for {resource}={wanted}, {found}. {flag}.")

    def foreign(self, asked: Mapping[str, object], *, steered: bool) -> None:
        """Tell which resources of a job have no effect here.

        Parameters
        ----------
        asked
            A job's resources.
        steered
            Whether ``--daskmpi-components`` names components.
        """
        found = foreign_resources(asked, steered=steered)
        named = [f"{part} in {name}" if part else name for name, part in found.items()]
        if new := [what for what in named if self.is_new(what)]:
            one, *others = new
            text = f"resource {one} steers other executors and has no effect here."
            if others:
                text = f"resources {', '.join(new)} steer other executors and have no effect here."
            self._logger.info(f"daskmpi: {text}")
        own = "daskmpi_component"
        if own in asked and not steered and self.is_new(own):
            why = "--daskmpi-components names no components"
            self._logger.info(f"daskmpi: resource {own} has no effect here: {why}.")
