"""MPI's communicator for the process that does the work of a rank, and must not hold MPI.

Runs on: every rank of an MPI world, in the child of its keeper (world.keeper), which makes the calls.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from snakemake_executor_plugin_daskmpi.rank import roles

if TYPE_CHECKING:
    from multiprocessing.connection import Connection


class KeeperGoneError(Exception):
    """The world did not form; one rank says why."""


class KeeperHangsError(Exception):
    """The world does not form: the keeper waits in MPI for others, where nothing but a signal ends it."""


@dataclass(frozen=True, slots=True)
class KeptComm:
    """MPI's communicator for the child, which must not hold MPI: its keeper makes the calls.

    Each call raises a KeeperGoneError if the keeper has gone, and a KeeperHangsError if it does not return in time.
    """

    seat: roles.Seat
    connection: Connection
    #: Seconds that a call may take.
    patience_s: float

    def Get_rank(self) -> int:  # noqa: N802 - as mpi4py has it, for dask-mpi
        """Return the rank."""
        return self.seat.rank

    def Get_size(self) -> int:  # noqa: N802
        """Return the number of ranks, or 3 where there are fewer: dask-mpi, which asks, insists on a worker.

        A world that may grow has its workers come later.
        """
        return max(self.seat.size, roles.MIN_RANKS)

    def allgather(self, item: Any) -> list[Any]:
        """Return what all ranks gave, by rank."""
        return list(self._call("allgather", item))

    def bcast(self, item: Any, root: int = 0) -> Any:
        """Return what one rank gave."""
        return self._call("bcast", item, root)

    def Barrier(self) -> None:  # noqa: N802
        """Wait for all ranks. The last call: after it, there is no MPI any more."""
        self._call("Barrier")

    def _call(self, name: str, *arguments: Any) -> Any:
        try:
            self.connection.send((name, arguments))
            if not self.connection.poll(self.patience_s):
                raise KeeperHangsError
            return self.connection.recv()
        except (EOFError, ConnectionError):
            raise KeeperGoneError from None
