"""How many jobs of a run are in which state, by rule.

Runs on: wherever somebody looks at a run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from snakemake_executor_plugin_daskmpi.record.job_view import State

if TYPE_CHECKING:
    from snakemake_executor_plugin_daskmpi.record.run_view import RunView


class Tally(NamedTuple):
    """Numbers of jobs: those of a rule, or of the whole run."""

    done: int = 0
    running: int = 0
    #: For a worker; sent ahead to one or not.
    waiting: int = 0
    #: For other jobs: Snakemake has not handed them over yet.
    not_ready: int = 0
    failed: int = 0
    #: For a later run.
    left: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self)

    def plus(self, other: Tally) -> Tally:
        """Return the sums."""
        return Tally(*(one + two for one, two in zip(self, other, strict=True)))


def tallies(view: RunView, *, goes_on: bool) -> dict[str, Tally]:
    """Return the numbers by rule; of a run that is over, what has not ended is left."""
    counts = view.counts()
    not_ready = view.n_not_ready(counts)
    found = {}
    for rule, counter in counts.items():
        waiting = counter[State.WAITING] + counter[State.SENT]
        tally = Tally(
            done=counter[State.DONE],
            running=counter[State.RUNNING],
            waiting=waiting,
            not_ready=not_ready.get(rule, 0),
            failed=counter[State.FAILED],
            left=counter[State.LEFT],
        )
        unended = tally.running + tally.waiting + tally.not_ready
        found[rule] = tally if goes_on else Tally(done=tally.done, failed=tally.failed, left=tally.left + unended)
    return found


def total_of(of_rules: dict[str, Tally]) -> Tally:
    """Return the numbers of the whole run."""
    total = Tally()
    for tally in of_rules.values():
        total = total.plus(tally)
    return total
