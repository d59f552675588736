"""A setting that is one of several words, or several words as a shell reads them.

Runs on: wherever settings are parsed.
"""

from __future__ import annotations

import itertools
import shlex
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.errors import SettingsError, did_you_mean, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence


def choice(flag: str, choices: tuple[str, ...], called: Mapping[str, str] | None = None) -> Callable[[str], str]:
    """Return a parser for one of several words that answers a typo with the word meant.

    Parameters
    ----------
    called
        Other words that people use, with the choice that they mean.
    """

    def parse(text: str) -> str:
        if text in choices:
            return text
        raise SettingsError(
            f"{flag} cannot be {text!r}.{did_you_mean((called or {}).get(text) or nearest(text, choices))}",
            next_step=f"{flag} with one of: {', '.join(choices)}.",
        )

    return parse


def check_words(flag: str, text: str | None) -> None:
    """Raise a SettingsError if a shell could not split a text into words."""
    try:
        shlex.split(text or "")
    except ValueError as error:
        raise SettingsError(
            f"{flag} cannot be {text!r}: {error}.",
            next_step=f"close the quotation, or leave {flag} out.",
        ) from error


def check_flags(arguments: Sequence[str], flags: Iterable[str]) -> None:
    """Raise a SettingsError if an option of ours is abbreviated: argparse takes a typo for that without a word.

    Parameters
    ----------
    arguments
        As somebody typed them.
    flags
        All of ours, with their dashes.
    """
    known = set(flags)
    for argument in itertools.takewhile(lambda word: word != "--", arguments):
        name = argument.partition("=")[0]
        if name.startswith("--daskmpi-") and name not in known:
            raise SettingsError(
                f"There is no option {name}.{did_you_mean(nearest(name, known))}",
                next_step="snakemake --help lists all that begin with --daskmpi-; they cannot be abbreviated.",
            )
