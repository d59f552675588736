"""In which order the nodes of a step may be for its ranks to become one MPI world.

Runs on: every rank before MPI is initialised, and the login node.

Ranks are numbered by component, and Slurm tells which of them share a node in the order of the nodes' names. Where
these differ, Intel MPI hangs for ever unless the numbers of ranks by node come out alike; Open MPI fails or hangs with
Slurm 22.05, and does neither with 24.11; MPICH is told not to share memory. No setting was found that cures the others.
A step of one component is always in order.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.errors import WorldError
from snakemake_executor_plugin_daskmpi.mpi import pmi
from snakemake_executor_plugin_daskmpi.rank import roles
from snakemake_executor_plugin_daskmpi.slurm.surroundings import slurm_version

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: The first version of Slurm with which Open MPI was seen to start in any order.
_OPEN_MPI_STARTS = (24, 11)


def bears_any(kind: str, slurm: str) -> bool:
    """Say whether ranks of an MPI meet in any order of the nodes.

    Parameters
    ----------
    kind
        Of the MPI, as in mpi.pmi. Of "other" ones nothing is known, and nothing is refused.
    slurm
        Slurm's version, "" if it is not known.

    >>> bears_any("openmpi", "22.05.8"), bears_any("openmpi", "24.11.5"), bears_any("intel", "24.11.5")
    (False, True, False)
    """
    if kind == "openmpi":
        return tuple(map(int, re.findall(r"\d+", slurm)[:2])) >= _OPEN_MPI_STARTS
    return kind != "intel"


def check(library_version: str, environ: Mapping[str, str], version: Callable[[], str] = slurm_version) -> None:
    """Raise a WorldError if a library would not get over the order of a step's nodes.

    Parameters
    ----------
    version
        Returns Slurm's; is asked only if the nodes are out of order.
    """
    kind = pmi.kind_of(library_version)
    by_name = roles.hosts_of(environ.get("SLURM_STEP_NODELIST", ""))
    components = (
        roles.hosts_of(environ.get(f"SLURM_JOB_NODELIST_HET_GROUP_{n}", "")) for n in range(roles.n_components(environ))
    )
    by_rank = [node for nodes in components for node in nodes if node in by_name]
    if len(by_rank) != len(by_name) or by_rank == by_name:
        return
    n_ranks = dict(zip(by_name, _numbers(environ.get("SLURM_STEP_TASKS_PER_NODE", "")), strict=False))
    if kind == "intel" and [n_ranks.get(node) for node in by_rank] == [n_ranks.get(node) for node in by_name]:
        return
    if bears_any(kind, version() if kind == "openmpi" else ""):
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
