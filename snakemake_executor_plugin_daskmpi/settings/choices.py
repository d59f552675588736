"""A setting that is one of several words, or several words as a shell reads them.

Runs on: wherever settings are parsed.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.errors import SettingsError, did_you_mean, nearest

if TYPE_CHECKING:
    from collections.abc import Callable


def choice(flag: str, choices: tuple[str, ...]) -> Callable[[str], str]:
    """Return a parser for one of several words that answers a typo with the word meant."""

    def parse(text: str) -> str:
        if text in choices:
            return text
        raise SettingsError(
            f"{flag} cannot be {text!r}.{did_you_mean(nearest(text, choices))}",
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
