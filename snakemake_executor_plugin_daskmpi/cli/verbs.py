"""What the verbs of ``snakemake-daskmpi`` do.

Runs on: the login node, in a batch script, or on a laptop; ``doctor`` also on every rank.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from snakemake_executor_plugin_daskmpi.cli import commands, texts
from snakemake_executor_plugin_daskmpi.settings.flags import Settings

if TYPE_CHECKING:
    import argparse


def plan(options: argparse.Namespace, others: list[str]) -> NoReturn:
    """Show the Slurm job that a workflow would get, or its script."""
    from snakemake_executor_plugin_daskmpi import command_line

    command_line.stand_for(commands.planned_command(others))
    _become(commands.plan_command(others, script=options.script))


def submit(_: argparse.Namespace, others: list[str]) -> NoReturn:
    """Submit that job and follow it."""
    _become(commands.snakemake_command(others, "sbatch"))


def _become(command: list[str]) -> NoReturn:
    """Replace this process, so that signals, output and exit code need no forwarding."""
    os.execv(command[0], command)  # noqa: S606


def follow(options: argparse.Namespace, _: list[str]) -> int:
    """Follow a job that was submitted."""
    from snakemake_executor_plugin_daskmpi.slurm.submission import follow

    return follow.attach(Path(options.directory).absolute())


def advise(options: argparse.Namespace, _: list[str]) -> int:
    """Print or write the profile of the next run."""
    from snakemake_executor_plugin_daskmpi.advise import advise
    from snakemake_executor_plugin_daskmpi.profile import profile

    text = advise.profile_of(Path(options.directory), options.runs)
    if options.output is None:
        print(text, end="")
        return 0
    path = profile.write_profile(text, Path(options.output), force=options.force, verb="advise")
    print(f"{path} is written. Read it, then: snakemake --profile {path.parent}", file=sys.stderr)
    return 0


def status(options: argparse.Namespace, _: list[str]) -> int:
    """Show what a run does now."""
    from snakemake_executor_plugin_daskmpi.view import status

    return status.main(Path(options.directory).absolute(), options.run_id)


def watch(options: argparse.Namespace, _: list[str]) -> int:
    """Show it for as long as it goes on."""
    from snakemake_executor_plugin_daskmpi.view import watch

    return watch.main(Path(options.directory).absolute(), options.run_id)


def explain(options: argparse.Namespace, _: list[str]) -> int:
    """Say why a job waits, or what became of it."""
    from snakemake_executor_plugin_daskmpi.view import explain

    return explain.main(Path(options.directory).absolute(), options.run_id, options.subject)


def grow(options: argparse.Namespace, _: list[str]) -> int:
    """Have a run that goes on joined by a further Slurm job."""
    from snakemake_executor_plugin_daskmpi.growth import orders, verbs
    from snakemake_executor_plugin_daskmpi.planning.further import Size

    names = ("workers", "cores", "mem_mb", "gpus", "partition", "walltime")
    order = orders.Order("grow", size=Size(**{name: getattr(options, name) for name in names}))
    return verbs.main(Path(options.directory).absolute(), options.run_id, order)


def shrink(options: argparse.Namespace, _: list[str]) -> int:
    """End a further Slurm job of a run that goes on."""
    from snakemake_executor_plugin_daskmpi.growth import orders, verbs

    return verbs.main(Path(options.directory).absolute(), options.run_id, orders.Order("shrink", job=options.job))


def doctor(options: argparse.Namespace, _: list[str]) -> int:
    """Check this site."""
    from snakemake_executor_plugin_daskmpi.doctor import doctor

    names = (*texts.DOCTOR_SETTINGS, "launcher")
    settings = Settings(**{name: getattr(options, name) for name in names}, startup_timeout=options.timeout)
    settings.check()
    return doctor.main(settings, as_json=options.json, join=options.join)


def profile(options: argparse.Namespace, _: list[str]) -> int:
    """Print or write a starter profile."""
    from snakemake_executor_plugin_daskmpi.doctor import survey
    from snakemake_executor_plugin_daskmpi.profile import profile, recipes
    from snakemake_executor_plugin_daskmpi.slurm import surroundings

    if options.recipe:
        print(recipes.data_text(options.recipe), end="")
        return 0
    mpi = survey.mpi_facts(Settings(), os.environ)
    found = surroundings.ask_surroundings(mpi.kind, mpi.pmi_library, has_mpiexec=mpi.has_own_mpiexec)
    text = profile.render_profile(found)
    if options.output is None:
        print(text, end="")
        return 0
    path = profile.write_profile(text, Path(options.output), force=options.force)
    # Without Slurm, there is nothing to plan for.
    program = "snakemake-daskmpi plan" if found.site else "snakemake"
    print(f"{path} is written. Read it, then: {program} --profile {path.parent}", file=sys.stderr)
    return 0


def report(options: argparse.Namespace, _: list[str]) -> int:
    """Make a page of what runs have done with their cores."""
    from snakemake_executor_plugin_daskmpi.report import verb

    return verb.main(Path(options.directory).absolute(), options.runs, options.output, options.json, options.csv)
