"""Which lost workers come back, as ``--daskmpi-respawn`` says.

Runs on: rank 1, in the link's thread.

In an MPI world the keeper of a rank starts its worker anew, in a local world this process does; neither needs rank 1's
word. Here it is known what to wait for.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snakemake_interface_executor_plugins.logging import LoggerExecutorInterface

    from snakemake_executor_plugin_daskmpi.messages import WorkerInfo
    from snakemake_executor_plugin_daskmpi.world.link import World


class Comebacks:
    """The lost workers of a run.

    Parameters
    ----------
    at_most
        How often each of them is started anew.
    """

    def __init__(self, world: World, logger: LoggerExecutorInterface, at_most: int) -> None:
        self._world, self._logger, self._at_most = world, logger, at_most
        self._losses: Counter[str] = Counter()
        self._awaited: set[str] = set()

    def note_loss(self, info: WorkerInfo) -> bool:
        """Take note of a loss, and say whether the worker comes back."""
        self._losses[info.name] += 1
        times = self._losses[info.name]
        if times > self._at_most:
            return False
        self._awaited.add(info.name)
        self._logger.warning(
            f"daskmpi: worker {info.name} on {info.host} was lost, and is started anew ({times} of {self._at_most})."
        )
        self._world.respawn(info.name)
        return True

    def note_return(self, info: WorkerInfo) -> None:
        """Take note of a worker that is there again."""
        self._awaited.discard(info.name)
        self._logger.info(f"daskmpi: worker {info.name} on {info.host} is back.")

    def give_up(self, name: str) -> bool:
        """Wait for a worker no more; say whether it was waited for."""
        if name not in self._awaited:
            return False
        self._awaited.discard(name)
        self._logger.warning(f"daskmpi: worker {name} did not come back in time (--daskmpi-startup-timeout).")
        return True
