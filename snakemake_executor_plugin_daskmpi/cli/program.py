"""The program ``snakemake-daskmpi``: from its command line to a verb.

Runs on: the login node, in a batch script, or on a laptop; ``doctor`` also on every rank.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import importlib.metadata
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snakemake_executor_plugin_daskmpi.cli import options, texts, verbs
from snakemake_executor_plugin_daskmpi.cli.commands import parted
from snakemake_executor_plugin_daskmpi.errors import (
    DaskMpiError,
    SettingsError,
    did_you_mean,
    nearest,
    three_part_message,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PROGRAM = "snakemake-daskmpi"
_PACKAGE = "snakemake-executor-plugin-daskmpi"
#: The exit code of what a closed pipe has ended, as shells count: 128 and SIGPIPE.
_CLOSED_PIPE = 141

_VERBS: dict[str, tuple[Callable[..., int], Callable[[argparse.ArgumentParser], None]]] = {
    "plan": (verbs.plan, options.of_plan),
    "submit": (verbs.submit, options.of_submit),
    "follow": (verbs.follow, options.of_follow),
    "status": (verbs.status, options.of_view),
    "watch": (verbs.watch, options.of_view),
    "explain": (verbs.explain, options.of_explain),
    "report": (verbs.report, options.of_report),
    "advise": (verbs.advise, options.of_advise),
    "grow": (verbs.grow, options.of_grow),
    "shrink": (verbs.shrink, options.of_shrink),
    "doctor": (verbs.doctor, options.of_doctor),
    "profile": (verbs.profile, options.of_profile),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line, and return the exit code, once all that it says is written."""
    if sys.stdout is None:  # closed, as by >&-
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the process ends
    try:
        try:
            return _carried_out(arguments)
        finally:
            sys.stdout.flush()
    except OSError as error:
        if not _has_lost_stdout():
            raise
        if error.errno == errno.EPIPE:
            return _CLOSED_PIPE
        message = three_part_message(
            "Not all of the output could be written.",
            seen=f"{error.strerror}.",
            next_step="send it to where there is room: df -h shows how much.",
        )
        print(f"{PROGRAM}: {message}", file=sys.stderr)
        return 1


def _has_lost_stdout() -> bool:
    """Say whether stdout takes no more; what is left for it then goes nowhere, or Python would complain at its end."""
    try:
        # With PYTHONUNBUFFERED nothing is left that a flush could fail with.
        sys.stdout.write("\n")
        sys.stdout.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        with contextlib.suppress(OSError):  # there is no file behind it
            os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        return True
    return False


def _carried_out(arguments: Sequence[str] | None) -> int:
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = _parser()
    if not given:
        parser.print_help()
        return 2
    try:
        _check_verb(given[0])
        ours, snakemakes = parted(given)
        chosen, others = parser.parse_known_args(ours)
        others += snakemakes
        if chosen.verb not in ("plan", "submit") and others:
            chosen.parser.error(f"unrecognized arguments: {' '.join(others)}")
        return int(chosen.run(chosen, others))
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
    subparsers = parser.add_subparsers(dest="verb", required=True, metavar="VERB", help=argparse.SUPPRESS)
    for name, (run, add_options) in _VERBS.items():
        text = texts.VERBS[name]
        usage = f"{PROGRAM} {name} {text.usage}"
        verb = subparsers.add_parser(
            name, prog=f"{PROGRAM} {name}", usage=usage, description=text.description, epilog=text.examples, **style
        )
        verb.set_defaults(run=run, parser=verb)
        add_options(verb)
    return parser
