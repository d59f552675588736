"""Where each job is drawn: a lane for each core of each worker, bars from start to end.

Runs on: wherever somebody asks for a report. Pure.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from snakemake_executor_plugin_daskmpi.record.run_view import JobView
    from snakemake_executor_plugin_daskmpi.report.history import RunHistory

#: A page of more is too large, and too slow. The longest bars are drawn.
MOST_CHARACTERS = 3_300_000
#: In the page, of a bar beside its job's name.
_CHARACTERS = 90


class Block(NamedTuple):
    """The lanes of a worker, below each other."""

    worker: str
    #: The lane above its first core, in which jobs without a core are drawn.
    top: int
    #: Id of the core of each lane, from ``top + 1`` on.
    cores: tuple[int, ...]


class Bar(NamedTuple):
    """A job on cores that lie beside each other."""

    job: JobView
    begin: float
    end: float
    #: First lane, and the one after the last.
    top: int
    bottom: int


@dataclass(slots=True)
class Lanes:
    """All of a run."""

    blocks: list[Block] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    #: Bars that are too many.
    n_left_out: int = 0

    @property
    def n_lanes(self) -> int:
        """Number of lanes."""
        return self.blocks[-1].top + 1 + len(self.blocks[-1].cores) if self.blocks else 0


def lanes_of(history: RunHistory, most_characters: int = MOST_CHARACTERS) -> Lanes:
    """Return the lanes of a run, and as many bars as so many characters of the page hold."""
    lanes = Lanes(_blocks(history))
    by_worker = {block.worker: block for block in lanes.blocks}
    for job in history.jobs.values():
        span = history.running_of(job)
        if span is None or (block := by_worker.get(job.worker)) is None:
            continue
        lanes.bars += (Bar(job, *span, top, bottom) for top, bottom in _places(block, job.cores))
    longest_first = sorted(lanes.bars, key=lambda bar: bar.begin - bar.end)
    sizes = itertools.accumulate(_CHARACTERS + len(bar.job.name) for bar in longest_first)
    n_drawn = sum(size <= most_characters for size in sizes)
    lanes.n_left_out = len(lanes.bars) - n_drawn
    if lanes.n_left_out:
        lanes.bars = longest_first[:n_drawn]
    return lanes


def _blocks(history: RunHistory) -> list[Block]:
    """Return the lanes of the workers; those of one that came back are the same."""
    cores: dict[str, set[int]] = {}
    for worker in history.all_workers:
        cores.setdefault(worker.name, set()).update(worker.cores)
    blocks, top = [], 0
    for name, ids in cores.items():
        blocks.append(Block(name, top, tuple(sorted(ids))))
        top += 1 + len(ids)
    return blocks


def _places(block: Block, cores: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield the first lane, and the one after the last, of each group of lanes that lie beside each other."""
    lane_of = {core: block.top + 1 + index for index, core in enumerate(block.cores)}
    lanes = sorted({lane_of[core] for core in cores if core in lane_of}) or [block.top]
    first = before = lanes[0]
    for lane in lanes[1:]:
        if lane != before + 1:
            yield first, before + 1
            first = lane
        before = lane
    yield first, before + 1
