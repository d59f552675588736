"""What the user is told of refusals, failures and long waits, and when a run tries to grow again."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from snakemake_executor_plugin_daskmpi.errors import LaunchError
from snakemake_executor_plugin_daskmpi.growth.setbacks import Setbacks
from snakemake_executor_plugin_daskmpi.slurm.plan import Component, Plan

PLAN = Plan((Component("w", ("",), 1, 1, 100, partition="main"),), 30, has_head=False)


@dataclass
class Listener:
    """Reads what is said, with a clock that it sets."""

    now: float = 1000.0
    told: list[str] = field(default_factory=list)

    def __call__(self, text: str, *, is_warning: bool = False) -> None:
        self.told.append(("! " if is_warning else "") + text)

    @property
    def setbacks(self) -> Setbacks:
        return Setbacks(self, clock=lambda: self.now)


@pytest.fixture
def listener() -> Listener:
    return Listener()


def test_after_one_it_waits(listener: Listener):
    setbacks = listener.setbacks
    assert setbacks.let_try
    setbacks.on_long_wait(PLAN, 60, 5)
    assert not setbacks.let_try
    listener.now += 100
    assert setbacks.let_try


def test_the_same_is_said_once(listener: Listener):
    setbacks = listener.setbacks
    for _ in range(2):
        setbacks.on_refusal(LaunchError("no such account"))
        setbacks.on_long_wait(PLAN, 60, 5)
    assert [text.partition("\n")[0] for text in listener.told] == [
        "! no further Slurm job: no such account",
        "no further Slurm job in partition main now: it would start in 1 h, and what waits is done in 5 min.",
    ]


def test_after_three_failures_in_turn_it_gives_up_and_says_so(listener: Listener):
    setbacks = listener.setbacks
    setbacks.on_failure("one")
    setbacks.on_success()
    for text in ("two", "three", "four"):
        assert not setbacks.are_final
        setbacks.on_failure(text)
    listener.now += 1e6
    assert setbacks.are_final
    assert not setbacks.let_try
    assert "several in turn" in listener.told[-1]


def test_a_long_wait_is_no_failure(listener: Listener):
    setbacks = listener.setbacks
    for _ in range(9):
        setbacks.on_long_wait(PLAN, 60, 5)
    assert not setbacks.are_final
