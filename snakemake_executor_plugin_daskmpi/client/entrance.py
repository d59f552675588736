"""The moment at which a process learns what it is: Snakemake, another rank of a world, or a process of a local world.

Runs on: every process that a user or a launcher starts as ``snakemake --executor daskmpi``.

Snakemake makes the plugin's settings after it has read the command line and the profile, and before it locks the
working directory and reads the Snakefile. Nothing of the user's has run by then.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi import apart, command_line, inherited
from snakemake_executor_plugin_daskmpi.client import requeue
from snakemake_executor_plugin_daskmpi.launch import launchers
from snakemake_executor_plugin_daskmpi.slurm.submission import record
from snakemake_executor_plugin_daskmpi.world import bootstrap, prefork

if TYPE_CHECKING:
    from snakemake_executor_plugin_daskmpi.settings.flags import Settings


def enter(settings: Settings) -> None:
    """Go on only where Snakemake belongs: on rank 1, or outside a world.

    Raises
    ------
    SettingsError
        For values that cannot be.
    WorldError
        On one rank only, if the ranks cannot form a world.
    """
    settings.check()
    # 1. Remember where this was typed, and which modules are nobody's Snakefile's.
    command_line.remember_folder()
    apart.remember_path()
    # 2. A Slurm job that was requeued goes on where its earlier life was cut off. May become the same program again.
    requeue.resume(sys.argv[1:])
    # 3. Ranks of a launcher's world part here: this returns on rank 1, in a fork of it, and never on the others.
    bootstrap.enter_world(settings)
    if bootstrap.current_world() is None:
        # 4. Outside one, the processes of a local world are forked as long as there is nothing of the user's in them.
        if launchers.is_local(settings):
            prefork.fork_ahead(settings)
        # 5. From the login node, a job of the same working directory that waits or runs already is told of.
        if settings.launcher == "sbatch":
            record.notice(sys.argv[1:])
    # 6. What changes from here on is the user's doing, and what his jobs inherit.
    inherited.remember()
