"""The plan of a Slurm job, for the MPI that its ranks will load.

Runs on: the login node.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.errors import LaunchError
from snakemake_executor_plugin_daskmpi.mpi.library import mpi_library_of
from snakemake_executor_plugin_daskmpi.mpi.pmi import NAMES
from snakemake_executor_plugin_daskmpi.planning.planner import plan_of
from snakemake_executor_plugin_daskmpi.settings.flags import Settings
from snakemake_executor_plugin_daskmpi.slurm.surroundings import slurm_version
from snakemake_executor_plugin_daskmpi.world import node_order

if TYPE_CHECKING:
    from snakemake_executor_plugin_daskmpi.planning.demand import Demand
    from snakemake_executor_plugin_daskmpi.slurm.plan import Plan
    from snakemake_executor_plugin_daskmpi.slurm.site import Site


def planned(demand: Demand, site: Site, settings: Settings) -> Plan:
    """Return the Slurm job for a demand; of one component where some orders of several ones' nodes would be fatal.

    Raises
    ------
    LaunchError
        If there can be none.
    SettingsError
        If the walltime is none.
    """
    plan = plan_of(demand, site, settings)
    # What this Python loads says nothing of an image.
    if len(plan.components) == 1 or settings.container:
        return plan
    try:
        kind = mpi_library_of(sys.executable).kind
    except LaunchError:
        # A plan can be looked at where no MPI is loaded, and --daskmpi-pmi spares the question: ranks check it, too.
        return plan
    if node_order.bears_any(kind, slurm_version()):
        return plan
    because = f"{NAMES[kind]} cannot start where the nodes of several are in another order than their names"
    try:
        # Snakemake's own settings enter a world when they are made.
        alone = plan_of(demand, site, Settings(**{**asdict(settings), "max_components": 1}))
    except LaunchError:
        note = f"{because}; Slurm may choose such nodes, and the job then ends at once. MPICH starts on any."
        return replace(plan, notes=(*plan.notes, note))
    return replace(alone, why=f"One component: {because}, and MPICH alone starts on any.")
