"""What the ranks of a world that did not form, and their launcher, said about it.

Runs on: wherever the doctor was started. Pure.
"""

from __future__ import annotations

from typing import NamedTuple

from snakemake_executor_plugin_daskmpi.errors import printable

#: Lines of what was said that are shown.
_LINES = 12


class Refusal(NamedTuple):
    """Why a launcher started nothing, and what to do."""

    why: str
    next_step: str


def last_lines(text: str) -> str:
    r"""Return the end of what was said. Open MPI writes a NUL byte after it.

    >>> last_lines("Sorry.\n\0\n")
    'Sorry.'
    """
    lines = [line for line in printable(text.replace("\0", "")).splitlines() if line.strip()]
    return "\n".join(lines[-_LINES:])


def refusal_of(text: str, mpiexec: str, n_ranks: int) -> Refusal | None:
    """Return what is meant by the many lines of a launcher that starts nothing; None for what is not known.

    Parameters
    ----------
    mpiexec
        The command that was taken, as it is typed.
    n_ranks
        Number of ranks that it was to start.
    """
    # Open MPI counts a slot for each core, unless a file of hosts, --host or a batch system says otherwise.
    if "not enough slots" in text:
        return Refusal(
            f"Open MPI's mpiexec has too few slots here for {n_ranks} ranks.",
            f"--daskmpi-mpiexec '{mpiexec} --map-by :OVERSUBSCRIBE', since ranks 0 and 1 need no core of their own; "
            "or fewer ranks.",
        )
    if "run as root" in text:
        return Refusal(
            "Open MPI's mpiexec does not start ranks for root.",
            "do it as another user; or export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1, in a "
            "container.",
        )
    return None
