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
    parser.add_argument("runs", metavar="RUN", nargs="*", help="a run, by the name of its folder (default: the newest)")
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


def of_doctor(parser: argparse.ArgumentParser) -> None:
    """Add those of doctor."""
    parser.add_argument("--json", action="store_true", help="print one JSON document, with all that was seen")
    parser.add_argument(
        "--timeout", metavar="SECONDS", type=int, default=120, help="give up on the ranks after so long (default: 120)"
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
    parser.add_argument("runs", metavar="RUN", nargs="*", help="a run's name or folder (default: the newest run)")
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="the page (default: daskmpi-report.html; none with --json or --csv)"
    )
    parser.add_argument("--json", metavar="FILE", help="write all figures as JSON; - for the standard output")
    parser.add_argument("--csv", metavar="FILE", help="write a line for each attempt of a job; - likewise")
