"""The commands of Snakemake that verbs stand for. Pure.

Runs on: the login node, in a batch script, or on a laptop.
"""

from __future__ import annotations

import sys


def parted(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Return what stands before ``--``, and that with what follows: only targets of Snakemake."""
    at = arguments.index("--") if "--" in arguments else len(arguments)
    return arguments[:at], arguments[at:]


def snakemake_command(arguments: list[str], launcher: str, *others: str) -> list[str]:
    """Return the command of Snakemake with our executor and a launcher, whatever the profile or the user says.

    The last of two equal options counts, and what follows ``--`` are targets.

    >>> snakemake_command(["-k", "--", "all"], "plan")[1:]
    ['-m', 'snakemake', '-k', '--executor', 'daskmpi', '--daskmpi-launcher', 'plan', '--', 'all']
    """
    options, targets = parted(arguments)
    ours = ["--executor", "daskmpi", "--daskmpi-launcher", launcher]
    return [sys.executable, "-m", "snakemake", *options, *ours, *others, *targets]


def plan_command(arguments: list[str], *, script: bool) -> list[str]:
    """Return the command that prints a plan, or its batch script.

    It takes no lock, and what a run that is going on has not completed yet is planned, not complained about.
    """
    launcher = "script" if script else "plan"
    return _launch_command(arguments, launcher, "--nolock", "--rerun-incomplete")


def planned_command(arguments: list[str]) -> list[str]:
    """Return the command that a plan is made for, which its batch script runs."""
    return _launch_command(arguments, "sbatch")


def _launch_command(arguments: list[str], launcher: str, *others: str) -> list[str]:
    """Return the command of a launcher. A plan starts nothing, so a dry-run would only keep it from being made."""
    options, targets = parted(arguments)
    options = [option for option in options if option not in ("-n", "--dry-run", "--dryrun")]
    says_jobs = any(option == "--jobs" or option.startswith(("--jobs=", "-j")) for option in options)
    jobs = [] if says_jobs else ["--jobs", "unlimited"]
    return snakemake_command([*options, *targets], launcher, *others, *jobs)
