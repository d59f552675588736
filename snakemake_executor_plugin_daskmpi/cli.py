"""``snakemake-daskmpi``: plan, submit, follow, status, watch, explain, advise, doctor, profile.

Runs on: the login node, in a batch script, or on a laptop; ``doctor`` also on every rank.

Importing it takes as long as importing the package: what a verb needs is imported by that verb.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.metadata
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, get_args

from snakemake_executor_plugin_daskmpi import cli_texts as texts
from snakemake_executor_plugin_daskmpi.errors import DaskMpiError, SettingsError, did_you_mean, nearest
from snakemake_executor_plugin_daskmpi.settings.choices import choice
from snakemake_executor_plugin_daskmpi.settings.flags import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PROGRAM = "snakemake-daskmpi"
_PACKAGE = "snakemake-executor-plugin-daskmpi"

#: The launchers that make sense for the doctor.
_DOCTOR_LAUNCHERS = ("auto", "local", "mpiexec", "srun")


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line, and return the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = _parser()
    if not given:
        parser.print_help()
        return 2
    try:
        _check_verb(given[0])
        ours, snakemakes = _parted(given)
        options, others = parser.parse_known_args(ours)
        others += snakemakes
        if options.verb not in ("plan", "submit") and others:
            options.parser.error(f"unrecognized arguments: {' '.join(others)}")
        return int(options.run(options, others))
    except SettingsError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 2
    except DaskMpiError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _check_verb(word: str) -> None:
    if word.startswith("-") or word in _VERBS:
        return
    raise SettingsError(
        f"there is no verb {word!r}.{did_you_mean(nearest(word, _VERBS))}",
        next_step=f"{PROGRAM} with one of: {', '.join(_VERBS)}.",
    )


def _parted(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Return what stands before ``--``, and that with what follows: only targets of Snakemake."""
    at = arguments.index("--") if "--" in arguments else len(arguments)
    return arguments[:at], arguments[at:]


# -- what the verbs do ---------------------------------------------------------------------------------


def snakemake_command(arguments: list[str], launcher: str, *others: str) -> list[str]:
    """Return the command of Snakemake with our executor and a launcher, whatever the profile or the user says.

    The last of two equal options counts, and what follows ``--`` are targets.

    >>> snakemake_command(["-k", "--", "all"], "plan")[1:]
    ['-m', 'snakemake', '-k', '--executor', 'daskmpi', '--daskmpi-launcher', 'plan', '--', 'all']
    """
    options, targets = _parted(arguments)
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
    options, targets = _parted(arguments)
    options = [option for option in options if option not in ("-n", "--dry-run", "--dryrun")]
    says_jobs = any(option == "--jobs" or option.startswith(("--jobs=", "-j")) for option in options)
    jobs = [] if says_jobs else ["--jobs", "unlimited"]
    return snakemake_command([*options, *targets], launcher, *others, *jobs)


def _plan(options: argparse.Namespace, others: list[str]) -> NoReturn:
    from snakemake_executor_plugin_daskmpi import command_line

    command_line.stand_for(planned_command(others))
    _become(plan_command(others, script=options.script))


def _submit(_: argparse.Namespace, others: list[str]) -> NoReturn:
    _become(snakemake_command(others, "sbatch"))


def _become(command: list[str]) -> NoReturn:
    """Replace this process, so that signals, output and exit code need no forwarding."""
    os.execv(command[0], command)  # noqa: S606


def _follow(options: argparse.Namespace, _: list[str]) -> int:
    from snakemake_executor_plugin_daskmpi.slurm.submission import follow

    return follow.attach(Path(options.directory).absolute())


def _advise(options: argparse.Namespace, _: list[str]) -> int:
    from snakemake_executor_plugin_daskmpi.advise import advise
    from snakemake_executor_plugin_daskmpi.profile import profile

    text = advise.profile_of(Path(options.directory), options.runs)
    if options.output is None:
        print(text, end="")
        return 0
    path = profile.write_profile(text, Path(options.output), force=options.force, verb="advise")
    print(f"{path} is written. Read it, then: snakemake --profile {path.parent}", file=sys.stderr)
    return 0


def _status(options: argparse.Namespace, _: list[str]) -> int:
    from snakemake_executor_plugin_daskmpi.view import status

    return status.main(Path(options.directory).absolute(), options.run_id)


def _watch(options: argparse.Namespace, _: list[str]) -> int:
    from snakemake_executor_plugin_daskmpi.view import watch

    return watch.main(Path(options.directory).absolute(), options.run_id)


def _explain(options: argparse.Namespace, _: list[str]) -> int:
    from snakemake_executor_plugin_daskmpi.view import explain

    return explain.main(Path(options.directory).absolute(), options.run_id, options.subject)


def _doctor(options: argparse.Namespace, _: list[str]) -> int:
    from snakemake_executor_plugin_daskmpi.doctor import doctor

    names = (*texts.DOCTOR_SETTINGS, "launcher")
    settings = Settings(**{name: getattr(options, name) for name in names}, startup_timeout=options.timeout)
    settings.check()
    return doctor.main(settings, as_json=options.json)


def _profile(options: argparse.Namespace, _: list[str]) -> int:
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
    print(f"{path} is written. Read it, then: snakemake-daskmpi plan --profile {path.parent}", file=sys.stderr)
    return 0


# -- the command line ----------------------------------------------------------------------------------


def _plan_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--script", action="store_true", help="print the batch script instead of the table")


def _submit_options(_: argparse.ArgumentParser) -> None:
    """Add nothing: all arguments are Snakemake's."""


def _follow_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-d", "--directory", metavar="DIR", default=".", help="the workflow's folder (default: this one)"
    )


def _advise_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", metavar="RUN", nargs="*", help="a run, by the name of its folder (default: the newest)")
    parser.add_argument(
        "-d", "--directory", metavar="DIR", default=".", help="the workflow's folder (default: this one)"
    )
    parser.add_argument("--output", metavar="DIR", help="write DIR/config.yaml instead of printing it")
    parser.add_argument("--force", action="store_true", help="overwrite it if it is there")


def _view_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_id", metavar="RUN", nargs="?", default="", help=texts.RUN)
    _follow_options(parser)


def _explain_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("subject", metavar="JOB|RULE|FILE", help="a job's id, a rule, or a file that a job makes")
    parser.add_argument("--run", dest="run_id", metavar="RUN", default="", help=texts.RUN)
    _follow_options(parser)


def _doctor_options(parser: argparse.ArgumentParser) -> None:
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


def _profile_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", metavar="DIR", help="write DIR/config.yaml instead of printing it")
    parser.add_argument("--force", action="store_true", help="overwrite it if it is there")
    for name, what in (("container.def", "definition of a container image"), ("environment.yml", "conda environment")):
        flag = {"container.def": "--container-definition", "environment.yml": "--conda-environment"}[name]
        parser.add_argument(flag, dest="recipe", action="store_const", const=name, help=f"print the {what} instead")


_VERBS: dict[str, tuple[Callable[..., int], Callable[[argparse.ArgumentParser], None]]] = {
    "plan": (_plan, _plan_options),
    "submit": (_submit, _submit_options),
    "follow": (_follow, _follow_options),
    "status": (_status, _view_options),
    "watch": (_watch, _view_options),
    "explain": (_explain, _explain_options),
    "advise": (_advise, _advise_options),
    "doctor": (_doctor, _doctor_options),
    "profile": (_profile, _profile_options),
}


def _parser() -> argparse.ArgumentParser:
    style: dict[str, Any] = {"formatter_class": argparse.RawDescriptionHelpFormatter, "allow_abbrev": False}
    parser = argparse.ArgumentParser(
        PROGRAM,
        usage=f"{PROGRAM} VERB ...",
        description=texts.DESCRIPTION,
        epilog=texts.EPILOG,
        **style,
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {importlib.metadata.version(_PACKAGE)}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB", help=argparse.SUPPRESS)
    for name, (run, add_options) in _VERBS.items():
        text = texts.VERBS[name]
        usage = f"{PROGRAM} {name} {text.usage}"
        verb = verbs.add_parser(
            name, prog=f"{PROGRAM} {name}", usage=usage, description=text.description, epilog=text.examples, **style
        )
        verb.set_defaults(run=run, parser=verb)
        add_options(verb)
    return parser
