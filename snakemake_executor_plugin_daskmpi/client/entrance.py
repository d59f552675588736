"""The moment at which a process learns what it is: Snakemake, another rank of a world, or a process of a local world.

Runs on: every process that a user or a launcher starts as ``snakemake --executor daskmpi``.

Snakemake makes the plugin's settings after it has read the command line and the profile, and before it locks the
working directory and reads the Snakefile. Nothing of the user's has run by then.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi import apart, command_line, inherited
from snakemake_executor_plugin_daskmpi.client import interruption, requeue
from snakemake_executor_plugin_daskmpi.client.exit_code import is_command_line
from snakemake_executor_plugin_daskmpi.rank.roles import LAUNCHED, seat_of
from snakemake_executor_plugin_daskmpi.settings.choices import check_flags
from snakemake_executor_plugin_daskmpi.settings.slurm_plugin import take_over
from snakemake_executor_plugin_daskmpi.slurm.controller import say
from snakemake_executor_plugin_daskmpi.snakemake_internals.said import said_by, tell_no_profiles
from snakemake_executor_plugin_daskmpi.world import bootstrap

if TYPE_CHECKING:
    from snakemake_executor_plugin_daskmpi.settings.flags import Settings


def hush() -> None:
    """Leave it to one process to tell which profiles are used: Snakemake does so before it makes any settings.

    Of the ranks of a world it is the one that speaks, unless the process was that has started them on this terminal.
    """
    seat = seat_of(os.environ)
    if seat is not None and not (seat.speaks and os.environ.get(LAUNCHED) in (None, "sbatch")):
        tell_no_profiles()


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
    check_flags(sys.argv[1:], settings.flags())
    # 1. Remember where the command was typed, and the search path before any Snakefile changes it.
    command_line.remember_folder()
    apart.remember_path()
    # 2. Continue a Slurm job that was requeued. May replace this process by the same program with --rerun-incomplete.
    requeue.resume(sys.argv[1:])
    is_first = LAUNCHED not in os.environ
    # 3. Here the ranks of a launcher's world part: this returns on rank 1 only, in a fork of it.
    bootstrap.enter_world(settings)
    # 4. The process that Snakemake goes on in: what profiles say, also one that was written for another executor.
    if is_command_line():
        _heed_profiles(settings, is_first=is_first)
    if bootstrap.current_world() is None:
        # Not at the top: ranks, and runs of other executors, start faster without.
        from snakemake_executor_plugin_daskmpi.launch import launchers
        from snakemake_executor_plugin_daskmpi.slurm.submission import record
        from snakemake_executor_plugin_daskmpi.world import dashboard, prefork

        # Ranks in another environment look there.
        if launchers.is_local(settings) or not (settings.container or settings.conda_env):
            dashboard.check(settings)

        # 5. Outside a world: fork the processes of a local one before they could inherit anything of the user's.
        if launchers.is_local(settings):
            prefork.fork_ahead(settings)
        # 6. On the login node: tell the user of a job of this working directory that already waits or runs.
        if settings.launcher == "sbatch":
            record.notice(sys.argv[1:])
    # 7. Snakemake drops a Ctrl-C that comes while it logs: remember it for the executor.
    interruption.remember()
    # 8. Whatever changes from here on is the user's doing, and jobs inherit it.
    inherited.remember()


def _heed_profiles(settings: Settings, *, is_first: bool) -> None:
    """Take over what options of other executors mean here, and name those that mean nothing.

    Parameters
    ----------
    is_first
        Whether the user has started this process, and no launcher that has named them before.
    """
    said = said_by(sys.argv[1:], "daskmpi")
    check_flags([f"--{key}" for key in said.in_profiles], settings.flags())
    unheeded = take_over(settings, said.to_others)
    if unheeded and is_first:
        verb = "is for other executors, and has" if len(unheeded) == 1 else "are for other executors, and have"
        say(f"{', '.join(unheeded)} {verb} no effect here.")
