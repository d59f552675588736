"""What a command line and its profiles say, as Snakemake reads them.

Runs on: the process that is Snakemake, where the command was typed.

A profile that was written for another executor has options of that one. Where its plugin is installed, Snakemake reads
them, and gives them to nobody if the executor is another; where it is not, they are an error of Snakemake's.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Options of Snakemake's own that only steer how a batch system is asked, and what its jobs are called. The first one
#: is heeded by no executor: what has taken its place, --max-jobs-per-timespan, has a default.
_OF_BATCH_SYSTEMS = (
    *("max-jobs-per-second", "max-status-checks-per-second", "seconds-between-status-checks"),
    *("jobscript", "jobname"),
)


@dataclass(frozen=True, slots=True)
class Said:
    """What is said in one way or the other."""

    #: The options that are set for other executors, as a profile names them, with their values.
    to_others: dict[str, Any] = field(default_factory=dict)
    #: The keys of all profiles that are read.
    in_profiles: tuple[str, ...] = ()


def tell_no_profiles() -> None:
    """Keep this process from telling which profiles it uses, which Snakemake does while it reads its command line."""
    if (cli := sys.modules.get("snakemake.cli")) is None:
        return

    def tell(*values: object, **more: Any) -> None:
        if not str(values[:1]).endswith("for setting default command line arguments.',)"):
            print(*values, **more)

    # Its name for the built-in.
    vars(cli)["print"] = tell


def said_by(arguments: Sequence[str], ours: str) -> Said:
    """Return what a command line says, of which Snakemake hands a plugin its own part only.

    Snakemake has parsed the same before; again takes a hundredth of a second.

    Parameters
    ----------
    arguments
        Of the command line, where the working directory is still that in which it was typed.
    ours
        The executor whose options are not meant.
    """
    from snakemake.cli import parse_args

    try:
        # It tells which profiles it reads, again.
        with contextlib.redirect_stderr(io.StringIO()):
            parser, args = parse_args(list(arguments))
        by_source = parser.get_source_to_settings_dict()
        keys = [key for source, found in by_source.items() if source.startswith("config_file") for key in found]
        return Said(_to_others(parser, vars(args), ours), tuple(keys))
    except (Exception, SystemExit):  # noqa: BLE001 - another version of Snakemake: it goes without
        return Said()


def _to_others(parser: Any, set_to: dict[str, Any], ours: str) -> dict[str, Any]:
    from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

    theirs = [
        str(info["cliarg"]).removeprefix("--")
        for name, plugin in ExecutorPluginRegistry().plugins.items()
        if name != ours
        for info in plugin.get_settings_info()
    ]
    found = {name: set_to.get(_dest(name)) for name in theirs}
    checks = {name: set_to.get(_dest(name)) for name in _OF_BATCH_SYSTEMS}
    checks = {name: value for name, value in checks.items() if value != parser.get_default(_dest(name))}
    nothing = (None, False, dataclasses.MISSING)
    return {name: value for name, value in (found | checks).items() if not any(value is each for each in nothing)}


def _dest(name: str) -> str:
    return name.replace("-", "_")
