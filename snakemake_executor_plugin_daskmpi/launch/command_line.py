"""The command line that this process was started with, and the folder that it was typed in.

Runs on: any process that is Snakemake.
Called by: the package's ``__init__``, which remembers the folder; the launchers that run the same command line again.

Snakemake has gone to its ``--directory`` by the time a launcher is called, while the paths on its command line are
relative to where it was typed.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_folder: str | None = None


def remember_folder() -> None:
    """Remember where we are, which is where the command line was typed; the first time counts."""
    global _folder  # noqa: PLW0603 - a process is started once
    _folder = _folder or os.getcwd()  # noqa: PTH109 - a string is what is needed


def folder() -> str:
    """Return the folder that the command line was typed in."""
    return _folder or os.getcwd()  # noqa: PTH109


def same_command(*added: str) -> list[str]:
    """Return the command that runs the same again, with options added."""
    return [sys.executable, *with_options(sys.orig_argv[1:], added)]


def with_options(arguments: Sequence[str], added: Sequence[str]) -> list[str]:
    """Return a command line with further options, before ``--`` with its targets; the last of equal options counts.

    >>> with_options(["-m", "snakemake", "-k", "--", "all"], ["--daskmpi-components=a"])
    ['-m', 'snakemake', '-k', '--daskmpi-components=a', '--', 'all']
    """
    at = arguments.index("--") if "--" in arguments else len(arguments)
    return [*arguments[:at], *added, *arguments[at:]]
