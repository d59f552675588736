"""What a command line and its profiles say to other executors than ours.

Runs on: the process that is Snakemake, where the command was typed.

A profile that was written for another executor has options of that one. Where its plugin is installed, Snakemake reads
them, and gives them to nobody if the executor is another; where it is not, they are an error of Snakemake's.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Options of Snakemake's own that only steer how a batch system is asked, and what its jobs are called. The first one
#: is heeded by no executor: what has taken its place, --max-jobs-per-timespan, has a default.
_OF_BATCH_SYSTEMS = (
    *("max-jobs-per-second", "max-status-checks-per-second", "seconds-between-status-checks"),
    *("jobscript", "jobname"),
)


def options_of_others(arguments: Sequence[str], ours: str) -> dict[str, Any]:
    """Return the options that are set for other executors, as a profile names them, with their values.

    Snakemake has parsed the same before, and hands the result to no plugin; again takes a hundredth of a second.

    Parameters
    ----------
    arguments
        Of the command line, where the working directory is still that in which it was typed.
    ours
        The executor whose options are not meant.
    """
    from snakemake.cli import parse_args
    from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

    try:
        # It tells which profiles it reads, again.
        with contextlib.redirect_stderr(io.StringIO()):
            parser, args = parse_args(list(arguments))
        set_to = vars(args)
        plugins = ExecutorPluginRegistry().plugins
        theirs = [
            str(info["cliarg"]).removeprefix("--")
            for name, plugin in plugins.items()
            if name != ours
            for info in plugin.get_settings_info()
        ]
        found = {name: set_to.get(_dest(name)) for name in theirs}
        checks = {name: set_to.get(_dest(name)) for name in _OF_BATCH_SYSTEMS}
        checks = {name: value for name, value in checks.items() if value != parser.get_default(_dest(name))}
    except (Exception, SystemExit):  # noqa: BLE001 - another version of Snakemake: it goes without
        return {}
    nothing = (None, False, dataclasses.MISSING)
    return {name: value for name, value in (found | checks).items() if not any(value is each for each in nothing)}


def _dest(name: str) -> str:
    return name.replace("-", "_")
