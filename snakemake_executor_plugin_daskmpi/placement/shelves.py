"""The jobs that wait, sorted so that those that may fit are found without looking at the others.

Runs on: rank 1. Pure.

Jobs of one urgency that ask for the same are one *pile*; where it matters how long those of a rule have taken, each
rule has piles of its own. Shapes that differ only in memory and disk lie on one
*shelf*, most memory first, so that bisection finds the first that fits.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from snakemake_executor_plugin_daskmpi.placement.capacity import Amounts

if TYPE_CHECKING:
    from snakemake_executor_plugin_daskmpi.placement.capacity import Capacity
    from snakemake_executor_plugin_daskmpi.placement.urgency import Urgency
    from snakemake_executor_plugin_daskmpi.resources import JobResources

#: Lower goes first: priority, chain, no GPUs, size, runtime, age.
Rank = tuple[float, ...]


class Kind(NamedTuple):
    """What all piles on a shelf have in common."""

    urgency: Urgency
    cores: int
    gpus: int
    #: Order of magnitude.
    runtime: int
    component: str
    #: Number of tasks if they may lie on several workers, else 0.
    spanning_tasks: int
    #: The rule, where it matters how long its jobs have taken; else "".
    rule: str = ""

    @classmethod
    def of(cls, urgency: Urgency, request: JobResources, rule: str = "") -> Kind:
        """Return on which kind of shelf a job belongs."""
        magnitude = (request.runtime_min or 0).bit_length()
        tasks = request.tasks if request.spans else 0
        return cls(urgency, request.cores, request.gpus, magnitude, request.component, tasks, rule)

    @property
    def least_min(self) -> int:
        """Minutes that each of its jobs states to take, or more."""
        return 1 << self.runtime >> 1


@dataclass(eq=False, slots=True)
class Pile:
    """The waiting jobs of one urgency, and perhaps of one rule, that ask for the same, oldest first."""

    urgency: Urgency
    request: JobResources
    needs: Amounts
    shelf: Shelf
    #: Where it lies on its shelf. The last number counts up, so no two are the same.
    order: tuple[int, int, int, int]
    keys: dict[str, None] = field(default_factory=dict)
    rank: Rank = ()
    #: The resource of which it needs the largest share, as an index into Amounts.
    dominant: int = 0
    #: The workers that are reserved for its first job: one, or several that share its tasks.
    reserved: tuple[Capacity, ...] = ()

    def measure(self, most: Amounts) -> None:
        """Compute size and rank against the most that any worker offers of each resource."""
        shares = [need / (offered or 1) for need, offered in zip(self.needs, most, strict=True)]
        self.dominant = shares.index(max(shares))
        size = sum(share * share for share in shares)
        priority, chain = self.urgency
        self.rank = (-priority, -chain, not self.needs.gpus, -size, *self.order[2:])


@dataclass(eq=False, slots=True)
class Shelf:
    """Shapes that differ only in memory and scratch space, and a little in runtime; most memory first."""

    kind: Kind
    piles: list[Pile] = field(default_factory=list)
    #: Whether it got something new since the last pass.
    fresh: bool = True
    #: How many jobs of lower rank started since one of its first pile did.
    passed_over: int = 0

    def first_within(self, mem_mb: int, disk_mb: int, start: int) -> int:
        """Return the index, from a start on, of the first pile that needs no more; the length if there is none."""
        index = bisect_left(self.piles, -mem_mb, start, key=lambda pile: pile.order[0])
        while index < len(self.piles) and self.piles[index].needs.disk_mb > disk_mb:
            index += 1
        return index


class Shelves:
    """All shelves. None is empty, and no pile on them is."""

    def __init__(self) -> None:
        self.pile_of: dict[str, Pile] = {}
        self._shapes: dict[tuple[Urgency, JobResources, str], Pile] = {}
        self._shelves: dict[Kind, Shelf] = {}
        self._most = Amounts()
        self._shapes_made = 0
        #: How many minutes a job of a rule may take, as far as others tell.
        self.may_take_min: dict[str, float] = {}

    @property
    def shelves(self) -> list[Shelf]:
        """All shelves, in no order."""
        return list(self._shelves.values())

    @property
    def piles(self) -> list[Pile]:
        """All piles, in no order."""
        return list(self._shapes.values())

    def shape_at(self, urgency: Urgency, request: JobResources, rule: str) -> Pile | None:
        """Return the pile of such jobs; None if none waits."""
        return self._shapes.get((urgency, request, rule))

    def minutes_of(self, pile: Pile) -> float:
        """Return how many minutes the jobs of a pile may take: what they state, or what others of the rule took."""
        return max(pile.request.runtime_min or 0, self.may_take_min.get(pile.shelf.kind.rule, 0))

    def least_minutes_of(self, shelf: Shelf) -> float:
        """Return how many minutes any job of a shelf may take."""
        return max(shelf.kind.least_min, self.may_take_min.get(shelf.kind.rule, 0))

    def put(self, key: str, request: JobResources, urgency: Urgency, rule: str = "") -> None:
        """Add a job."""
        pile = self._shapes.get((urgency, request, rule)) or self._new_shape(urgency, request, rule)
        pile.keys[key] = None
        pile.shelf.fresh = True
        self.pile_of[key] = pile

    def take(self, key: str) -> Pile:
        """Remove a job; with the last of its pile also the pile, with the last of these the shelf."""
        pile = self.pile_of.pop(key)
        del pile.keys[key]
        if not pile.keys:
            del self._shapes[pile.urgency, pile.request, pile.shelf.kind.rule]
            piles = pile.shelf.piles
            del piles[bisect_left(piles, pile.order, key=attrgetter("order"))]
            if not piles:
                del self._shelves[pile.shelf.kind]
        return pile

    def measure(self, most: Amounts) -> None:
        """Rank all piles anew if the most that any worker offers has changed."""
        if most != self._most:
            self._most = most
            for pile in self._shapes.values():
                pile.measure(most)

    def age(self, components: tuple[str, ...] | None, started: list[Rank]) -> None:
        """Note jobs that started on workers of some components, by their ranks: they passed over what ranks higher."""
        started.sort()
        for shelf in self._shelves.values():
            if components is None or shelf.kind.component in components:
                shelf.passed_over += len(started) - bisect_right(started, shelf.piles[0].rank)

    def aged(self, patience: int) -> list[Pile]:
        """Return the first piles of the shelves that were passed over so often and have no reservation, by rank."""
        piles = [shelf.piles[0] for shelf in self._shelves.values() if shelf.passed_over >= patience]
        return sorted((pile for pile in piles if not pile.reserved), key=attrgetter("rank"))

    def _new_shape(self, urgency: Urgency, request: JobResources, rule: str) -> Pile:
        """Put a new pile on its shelf, a new one if need be."""
        runtime_min = request.runtime_min or 0
        kind = Kind.of(urgency, request, rule)
        shelf = self._shelves.setdefault(kind, Shelf(kind))
        self._shapes_made += 1
        order = (-request.mem_mb, -request.disk_mb, -runtime_min, self._shapes_made)
        pile = self._shapes[urgency, request, rule] = Pile(urgency, request, Amounts.asked(request), shelf, order)
        pile.measure(self._most)
        insort(shelf.piles, pile, key=attrgetter("order"))
        return pile
