"""What this package raises.

Runs on: every rank, and on the login node.

The tree::

    DaskMpiError                 (a Snakemake WorkflowError: printed without traceback)
    ├── SettingsError            a --daskmpi-* setting that cannot be
    ├── WorldError               the ranks did not form the world that was asked for
    ├── LaunchError              a world could not be started from outside
    │   └── NoSlurmError         there is no Slurm to ask
    ├── PoolError                the pool of workers broke as a whole
    └── NoRunError               there is no run to look at

Errors stay on the rank that raised them. What happens to a single job is never an
exception but a :class:`~snakemake_executor_plugin_daskmpi.messages.JobOutcome`.
"""

import difflib
import re
from collections.abc import Iterable

from snakemake_interface_common.exceptions import WorkflowError

#: What colours text, and what else a terminal obeys: a log or a file's name may hold either.
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


#: How a workflow goes on after a run that was killed, perhaps in the middle of its bodies. Only Snakemake knows.
CONTINUE = "run the same command again, with --rerun-incomplete if Snakemake asks for it"


class DaskMpiError(WorkflowError):
    """Something that the user can act on, in three parts.

    Parameters
    ----------
    happened : str
        What happened, one sentence.
    seen : str
        What was observed, with names and numbers.
    next_step : str
        What to do, something that can be typed.
    """

    def __init__(self, happened: str, *, seen: str = "", next_step: str = "") -> None:
        super().__init__(three_part_message(happened, seen=seen, next_step=next_step))

    @property
    def __traceback__(self) -> None:
        """None: Snakemake prints the frames of a WorkflowError, and ours tell the user nothing."""
        return

    @__traceback__.setter
    def __traceback__(self, traceback: object) -> None:
        """Do nothing; ``contextlib`` sets it on its way out of a ``with`` block."""


class SettingsError(DaskMpiError):
    """A ``--daskmpi-*`` setting that cannot be."""


class WorldError(DaskMpiError):
    """The ranks did not form the world that was asked for."""


class LaunchError(DaskMpiError):
    """A world could not be started from outside."""


class NoSlurmError(LaunchError):
    """There is no Slurm to ask."""


class PoolError(DaskMpiError):
    """The pool of workers broke as a whole."""


class NoRunError(DaskMpiError):
    """There is no run to look at."""


def three_part_message(happened: str, *, seen: str = "", next_step: str = "") -> str:
    """Return the one shape that every message of this package has.

    >>> print(three_part_message("It broke.", seen="2 of 3 ranks.", next_step="mpiexec -n 3 …"))
    It broke.
      Seen: 2 of 3 ranks.
      Next: mpiexec -n 3 …
    """
    lines = [happened]
    if seen:
        lines.append(f"  Seen: {seen}")
    if next_step:
        lines.append(f"  Next: {next_step}")
    return printable("\n".join(lines))


def nearest(word: str, known: Iterable[str]) -> str:
    """Return which of the known words somebody may have meant; "" if none is near.

    >>> nearest("lokal", ["local", "srun"]), nearest("moon", ["local", "srun"])
    ('local', '')
    """
    return next(iter(difflib.get_close_matches(word, sorted(known), n=1)), "")


def did_you_mean(near: str) -> str:
    """Return the question for a message, "" if there is nothing to ask."""
    return f" Did you mean {near}?" if near else ""


def printable(text: str) -> str:
    r"""Return text without colours, and with all that a terminal would obey spelled out.

    >>> print(printable("\x1b[31mred\x1b[0m, \x1b]0;a title\x07"))
    red, \x1b]0;a title\x07
    """
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", _COLOUR.sub("", text))
