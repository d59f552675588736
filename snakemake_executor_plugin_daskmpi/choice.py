"""A setting that is one of several words.

Runs on: wherever settings are parsed.
Called by: settings, slurm_settings.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable


def choice(flag: str, choices: tuple[str, ...]) -> Callable[[str], str]:
    """Return a parser for one of several words that answers a typo with the word meant."""

    def parse(text: str) -> str:
        if text in choices:
            return text
        near = difflib.get_close_matches(text, choices, n=1)
        meant = f" Did you mean {near[0]}?" if near else ""
        raise SettingsError(
            f"{flag} cannot be {text!r}.{meant}",
            next_step=f"{flag} with one of: {', '.join(choices)}.",
        )

    return parse
