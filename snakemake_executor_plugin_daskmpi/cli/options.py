"""The options of each verb of ``snakemake-daskmpi``.

Runs on: the login node, in a batch script, or on a laptop.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, get_args

from snakemake_executor_plugin_daskmpi.cli import texts
from snakemake_executor_plugin_daskmpi.settings.choices import choice
from snakemake_executor_plugin_daskmpi.settings.flags import Settings

if TYPE_CHECKING:
    import argparse

#: The launchers that make sense for the doctor.
_DOCTOR_LAUNCHERS = ("auto", "local", "mpiexec", "srun")


def of_plan(parser: argparse.ArgumentParser) -> None:
    """Add those of plan."""
    parser.add_argument("--script", action="store_true", help="print the batch script instead of the table")


def of_submit(_: argparse.ArgumentParser) -> None:
    """Add nothing: all arguments are Snakemake's."""


def of_follow(parser: argparse.ArgumentParser) -> None:
    """Add those of follow."""
    parser.add_argument(
        "-d", "--directory", metavar="DIR", default=".", help="the workflow's folder (default: this one)"
    )


def of_advise(parser: argparse.ArgumentParser) -> None:
    """Add those of advise."""
    parser.add_argument("runs", metavar="RUN", nargs="*", help="a run, by its id or a part of it")
    parser.add_argument(
        "-d", "--directory", metavar="DIR", default=".", help="the workflow's folder (default: this one)"
    )
    parser.add_argument("--output", metavar="DIR", help="write DIR/config.yaml instead of printing it")
    parser.add_argument("--force", action="store_true", help="overwrite it if it is there")


def of_view(parser: argparse.ArgumentParser) -> None:
    """Add those of status and of watch."""
    parser.add_argument("run_id", metavar="RUN", nargs="?", default="", help=texts.RUN)
    of_follow(parser)


def of_explain(parser: argparse.ArgumentParser) -> None:
    """Add those of explain."""
    parser.add_argument("subject", metavar="JOB|RULE|FILE", help="a job's id, a rule, or a file that a job makes")
    parser.add_argument("--run", dest="run_id", metavar="RUN", default="", help=texts.RUN)
    of_follow(parser)


def of_grow(parser: argparse.ArgumentParser) -> None:
    """Add those of grow."""
    of_view(parser)
    for flag, what in (
        ("--workers", "number of workers (default: planned from what waits)"),
        ("--cores", "cores of each worker (default: planned, or those of a node)"),
        ("--mem-mb", "memory of each worker in MB (default: its share of a node)"),
        ("--gpus", "GPUs of each worker (default: planned, or none)"),
    ):
        parser.add_argument(flag, type=whole_number, metavar="N", help=what)
    parser.add_argument("--partition", metavar="NAME", help="the partition (default: as for the run)")
    parser.add_argument("--walltime", metavar="TIME", help="the most time that it gets: 90m, 2h, 1:30:00")


def of_shrink(parser: argparse.ArgumentParser) -> None:
    """Add those of shrink."""
    parser.add_argument("job", metavar="JOBID", help="Slurm's id of the further job, as the run and 'status' name it")
    parser.add_argument("--run", dest="run_id", metavar="RUN", default="", help=texts.RUN)
    of_follow(parser)


def whole_number(text: str) -> int:
    """Return a number that is at least 1; ValueError else."""
    if (number := int(text)) < 1:
        raise ValueError(text)
    return number


def of_doctor(parser: argparse.ArgumentParser) -> None:
    """Add those of doctor."""
    parser.add_argument("--json", action="store_true", help="print one JSON document, with all that was seen")
    parser.add_argument(
        "--timeout", metavar="SECONDS", type=int, default=120, help="give up on the ranks after so long (default: 120)"
    )
    parser.add_argument(
        "--join",
        metavar="SRUN_OPTIONS",
        nargs="?",
        const="",
        help="also have Slurm start a job of a minute, with these options, that tries to reach this host: what "
        "--daskmpi-grow needs",
    )
    group = parser.add_argument_group("settings, as for a run")
    group.add_argument(
        "--daskmpi-launcher",
        dest="launcher",
        metavar="{" + ",".join(_DOCTOR_LAUNCHERS) + "}",
        type=choice("--daskmpi-launcher", _DOCTOR_LAUNCHERS),
        default="auto",
        help="how to get ranks (default: srun in an allocation, else mpiexec, else local)",
    )
    fields = {field.name: field for field in dataclasses.fields(Settings)}
    for name, text in texts.DOCTOR_SETTINGS.items():
        field = fields[name]
        group.add_argument(
            "--daskmpi-" + name.replace("_", "-"),
            dest=name,
            metavar=field.metadata["metavar"],
            type=field.metadata.get("parse_func", next(iter(get_args(field.type)), field.type)),
            default=field.default,
            help=text,
        )


def of_profile(parser: argparse.ArgumentParser) -> None:
    """Add those of profile."""
    parser.add_argument("--output", metavar="DIR", help="write DIR/config.yaml instead of printing it")
    parser.add_argument("--force", action="store_true", help="overwrite it if it is there")
    for name, what in (("container.def", "definition of a container image"), ("environment.yml", "conda environment")):
        flag = {"container.def": "--container-definition", "environment.yml": "--conda-environment"}[name]
        parser.add_argument(flag, dest="recipe", action="store_const", const=name, help=f"print the {what} instead")


def of_report(parser: argparse.ArgumentParser) -> None:
    """Add those of report."""
    of_follow(parser)
    parser.add_argument("runs", metavar="RUN", nargs="*", help="a run's id, a part of it, or its folder")
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="the page (default: daskmpi-report.html; none with --json or --csv)"
    )
    parser.add_argument("--json", metavar="FILE", help="write all figures as JSON; - for the standard output")
    parser.add_argument("--csv", metavar="FILE", help="write a line for each attempt of a job; - likewise")
