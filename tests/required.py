"""What has to be tested here, by the environment variable ``DASKMPI_REQUIRE``: names, separated by commas.

Runs on: the machine of the tests.

What a machine lacks is skipped aloud, and fails where it is required. ``nightly`` requires all of the tests: those too
that show by other means what others show each time (with another MPI, another seed, another kind of fault), and every
run of Snakemake is a program that is started.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterable

REQUIRED = frozenset(os.environ.get("DASKMPI_REQUIRE", "").split(","))
NIGHT = "nightly" in REQUIRED


def skip_or_fail(name: str, reason: str) -> NoReturn:
    """Skip a test aloud for what is missing; fail instead where it is required."""
    import pytest

    if name in REQUIRED:
        pytest.fail(reason)
    pytest.skip(reason)


def at_night(values: Iterable[Any]) -> list[Any]:
    """Mark values of a parameter (tuples where there are several) as those to test at night only."""
    import pytest

    several = [value if isinstance(value, tuple) else (value,) for value in values]
    return [pytest.param(*value, marks=pytest.mark.nightly) for value in several]


def examples(number: int) -> int:
    """Return how many examples of a property are tried: by day a fifth, the same ones each time."""
    return number if NIGHT else number // 5
