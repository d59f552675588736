"""Which jobs are to be ended for their memory. Pure.

Runs on: ranks >= 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Part of a limit at which it counts as reached. The rest is a reserve for what a job takes between two looks
#: and before its end (2 GB a second, a look every 20 ms when the limit is close), for page tables and sockets.
FULL = 0.95


@dataclass(frozen=True, slots=True)
class Use:
    """What one running job asked for, and has, in MB."""

    #: 0 if it did not say; then all that it has is more than it asked for.
    requested_mb: int
    used_mb: float

    @property
    def excess_mb(self) -> float:
        """How far it is over its request; negative if it is not."""
        return self.used_mb - self.requested_mb


@dataclass(frozen=True, slots=True)
class Room:
    """Something that all jobs of a worker share and that must not overflow, in MB."""

    #: Whose it is, for messages: ``the worker``.
    owner: str
    used_mb: float
    limit_mb: float

    @property
    def left_mb(self) -> float:
        """How much more may be used before it counts as full."""
        return self.limit_mb * FULL - self.used_mb


def condemned(policy: str, uses: Mapping[str, Use], rooms: Sequence[Room]) -> dict[str, str]:
    """Return the jobs that are to be ended now, each with the reason as messages give it.

    Parameters
    ----------
    policy
        One of ``--daskmpi-memory``. ``strict`` does what ``evict`` does, too: jobs that ask for nothing have no
        limit of their own.
    uses
        All jobs but those that are being ended already.
    rooms
        Their ``used_mb`` without what jobs that are being ended still hold.

    >>> uses = {"hog": Use(200, 1500), "honest": Use(400, 350)}
    >>> [*condemned("evict", uses, [Room("the worker", 1850, 2000)])]
    []
    >>> print(condemned("evict", uses, [Room("the worker", 1950, 2000)])["hog"])
    it took 1500 MB and had asked for mem_mb=200, more over its request than any other job, when 1950 of the worker's \
2000 MB were used
    """
    if policy == "ignore":
        return {}
    ended = {
        key: f"it took {use.used_mb:.0f} MB and had asked for mem_mb={use.requested_mb} (--daskmpi-memory strict)"
        for key, use in uses.items()
        if policy == "strict" and use.requested_mb and use.excess_mb > 0
    }
    full = next((room for room in rooms if room.left_mb <= sum(-uses[key].used_mb for key in ended)), None)
    left = {key: use for key, use in uses.items() if key not in ended and use.excess_mb > 0}
    if full is not None and left:
        # One at a time: the next look shows whether that was enough.
        key, use = max(left.items(), key=lambda item: item[1].excess_mb)
        asked = f"asked for mem_mb={use.requested_mb}" if use.requested_mb else "not said how much (mem_mb)"
        ended[key] = (
            f"it took {use.used_mb:.0f} MB and had {asked}, more over its request than any other job, "
            f"when {full.used_mb:.0f} of {full.owner}'s {full.limit_mb:.0f} MB were used"
        )
    return ended
