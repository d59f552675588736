"""The doctor's judgement: all facts in, all checks out, in the order in which they are read.

Runs on: wherever the doctor was started. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.doctor import node_checks, site_checks, world_checks
from snakemake_executor_plugin_daskmpi.doctor.verdict import Check, skipped

if TYPE_CHECKING:
    from collections.abc import Callable

    from snakemake_executor_plugin_daskmpi.doctor.facts import Facts, WorldFacts

#: Checks of a world that has formed.
_OF_A_WORLD: dict[str, Callable[[WorldFacts], Check]] = {
    "working directory": node_checks.folder_check,
    "environments": node_checks.environment_check,
    "clocks": node_checks.clock_check,
    "ports": world_checks.ports_check,
    "encryption": world_checks.encryption_check,
    "scratch": node_checks.scratch_check,
    "GPUs": node_checks.gpu_check,
    "test program": world_checks.program_check,
}


def checks_of(facts: Facts) -> list[Check]:
    """Return the verdict on everything that was seen."""
    mpi, world = facts.mpi, facts.world
    checks = [
        site_checks.python_check(facts),
        site_checks.packages_check(facts.requirements),
        site_checks.mpi_library_check(mpi, in_slurm=facts.allocation is not None),
        site_checks.pmi_check(mpi, slurm=facts.slurm),
        site_checks.pmi_library_check(mpi, slurm=facts.slurm),
        site_checks.mpiexec_check(mpi, slurm=facts.slurm),
        world_checks.world_check(world),
        world_checks.components_check(world, facts.allocation, slurm=facts.slurm, program=facts.program),
    ]
    if world.error:
        checks += [skipped(name, "there is no world to look at") for name in _OF_A_WORLD]
    else:
        checks += [judge(world) for judge in _OF_A_WORLD.values()]
    return [*checks, site_checks.further_job_check(facts.further_job, slurm=facts.slurm)]
