"""What signals ask of a run, by real signals to this process."""

from __future__ import annotations

import signal

import pytest

from snakemake_executor_plugin_daskmpi.client.drains import Drains
from snakemake_executor_plugin_daskmpi.client.signals import Leaving


@pytest.fixture
def told():
    """What was asked for; the handlers of before come back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)}
    yield []
    for number, handler in before.items():
        signal.signal(number, handler)


def leaving(told: list[str], *, by_slurm: bool = False) -> Leaving:
    made = Leaving(told.append, lambda: told.append("hurry"))
    made.on_signals(by_slurm=by_slurm, has_keeper=False)
    made.has_jobs = True
    return made


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_first_signal_drains_and_sigterm_then_ends(told, number):
    made = leaving(told)
    signal.raise_signal(number)
    signal.raise_signal(signal.SIGUSR1)
    assert told == [Drains[number.name]]
    assert made.drains
    assert not made.has_begun
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)
    assert made.has_begun


def test_sigterm_ends_a_run_that_has_not_begun(told):
    leaving(told).has_jobs = False
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)
    assert told == []


def test_ctrl_c_ends_and_only_another_one_hurries(told):
    leaving(told)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGUSR1)
    assert told == []
    signal.raise_signal(signal.SIGINT)
    assert told == ["hurry"]


def test_slurms_sigterm_ends_at_once_and_says_who_sent_it(told, capfd):
    leaving(told, by_slurm=True)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)
    assert "daskmpi: SIGTERM: Slurm ends this run" in capfd.readouterr().err
    assert told == []
