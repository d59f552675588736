"""Ranks, hosts and numbers in words.

Runs on: wherever the doctor was started. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from snakemake_executor_plugin_daskmpi.doctor.facts import RankFacts

#: How many ranks, hosts or addresses are named in one line.
NAMED = 4


def ranks_text(ranks: list[RankFacts]) -> str:
    """Return ranks with their hosts.

    >>> from snakemake_executor_plugin_daskmpi.doctor.facts import RankFacts
    >>> ranks_text([RankFacts("rank 2", "n2"), RankFacts("rank 3", "n3")])
    'rank 2 on n2, rank 3 on n3'
    """
    named = ", ".join(f"{rank.name} on {rank.host}" for rank in ranks[:NAMED])
    return named if len(ranks) <= NAMED else f"{named} and {len(ranks) - NAMED} more"


def hosts_of(ranks: Iterable[RankFacts]) -> list[str]:
    """Return the hosts of ranks, each once."""
    return list(dict.fromkeys(rank.host for rank in ranks))


def counted(n: int, thing: str) -> str:
    """Return a number of things.

    >>> counted(1, "rank"), counted(2, "rank")
    ('1 rank', '2 ranks')
    """
    return f"{n} {thing}{'s' * (n != 1)}"
