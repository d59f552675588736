"""The command line that this process was started with, and the folder that it was typed in.

Runs on: any process that is Snakemake.

Snakemake has gone to its ``--directory`` by the time a launcher is called, while the paths on its command line are
relative to where it was typed.
"""

from __future__ import annotations

import itertools
import json
import os
import shlex
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Says which command line to run in the place of this process's own, and which process is meant.
STANDS_FOR = "DASKMPI_STANDS_FOR"

_folder: str | None = None


def remember_folder() -> None:
    """Remember where we are, which is where the command line was typed; the first time counts."""
    global _folder  # noqa: PLW0603 - a process is started once
    _folder = _folder or os.getcwd()  # noqa: PTH109 - a string is what is needed


def folder() -> str:
    """Return the folder that the command line was typed in."""
    return _folder or os.getcwd()  # noqa: PTH109


def stand_for(command: Sequence[str]) -> None:
    """Have the program that takes over this process run another command, where it is to run its own again.

    A plan is made with options that its run must not have.
    """
    os.environ[STANDS_FOR] = json.dumps([os.getpid(), *command[1:]])


def same_command(*added: str) -> list[str]:
    """Return the command that runs the same again, with options added."""
    pid, *arguments = json.loads(os.environ.get(STANDS_FOR, "[0]"))
    # Programs that we start inherit the variable, and mean themselves.
    return [sys.executable, *with_options(arguments if pid == os.getpid() else sys.orig_argv[1:], added)]


def with_options(arguments: Sequence[str], added: Sequence[str]) -> list[str]:
    """Return a command line with further options, before ``--`` with its targets; the last of equal options counts.

    >>> with_options(["-m", "snakemake", "-k", "--", "all"], ["--daskmpi-components=a"])
    ['-m', 'snakemake', '-k', '--daskmpi-components=a', '--', 'all']
    """
    at = arguments.index("--") if "--" in arguments else len(arguments)
    return [*arguments[:at], *added, *arguments[at:]]


def continuing_step(launcher: str, *, in_world: bool) -> str:
    """Return what to do to continue a run that ended early, with the command to type.

    Parameters
    ----------
    launcher
        The setting of this run.
    in_world
        Whether this process is a rank of a world that somebody has started.
    """
    command = same_command()
    if launcher == "sbatch":
        # Added for the ranks by the batch script.
        command = [word for word in command if not word.startswith("--daskmpi-components=")]
    text = shlex.join(command)
    if in_world and launcher not in ("sbatch", "srun", "mpiexec"):
        return f"start it again as before (by mpiexec, srun or your batch script): {text}"
    return text


def directory_of(arguments: Sequence[str]) -> str:
    """Return Snakemake's ``--directory`` of a command line, "" if it has none.

    >>> directory_of(["-d", "a"]), directory_of(["--directory=b"]), directory_of(["all"])
    ('a', 'b', '')
    """
    found = ""
    for argument, following in itertools.zip_longest(arguments, arguments[1:], fillvalue=""):
        if argument in {"-d", "--directory"}:
            found = following
        elif argument.startswith("--directory="):
            found = argument.partition("=")[2]
    return found
