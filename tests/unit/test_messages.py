"""Messages: what crosses between rank 1 and the workers arrives as it was sent."""

from __future__ import annotations

import pickle
import signal
import types
import typing
from typing import Any

import pytest

from snakemake_executor_plugin_daskmpi.inherited import Inherited
from snakemake_executor_plugin_daskmpi.messages import (
    Grant,
    JobOutcome,
    JobSpec,
    Member,
    OutcomeKind,
    RunContext,
    Unit,
    WorkerInfo,
    exit_text,
)

#: A value of each type, different from every default.
SAMPLES = {
    str: "a line\nΔ",
    int: 3,
    float: 1.5,
    bool: True,
    bytes: b"\0packed",
    OutcomeKind: OutcomeKind.LOST,
    tuple[int, ...]: (0, 1),
    tuple[str, ...]: ("GPU-a",),
    tuple[tuple[str, str], ...]: (("A", "1"),),
    Inherited: Inherited((("A", None),), 0o077, (("RLIMIT_CPU", (1, 2)),), (10,)),
    dict[str, Any]: {"cores": (0, 1)},
    JobSpec: JobSpec("1.1", "rule a", "a", "a.log"),
    tuple[Unit, ...]: (Unit((Member(JobSpec("1.1", "rule a", "a", "a.log"), 1, 2, 3, 4),)),),
    tuple[Member, ...]: (Member(JobSpec("1.1", "rule a", "a", "a.log"), 1, 2, 3, 4),),
}


def filled(message: type, **values: Any) -> Any:
    """Return a message with a value in each field."""
    kinds = typing.get_type_hints(message)
    some = {
        name: SAMPLES[kind.__args__[0] if isinstance(kind, types.UnionType) else kind] for name, kind in kinds.items()
    }
    return message(**(some | values))


MESSAGES = [filled(message) for message in (RunContext, JobSpec, Unit, Member, Grant, JobOutcome, WorkerInfo)]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_survives_pickling_with_all_its_fields(message):
    arrived = pickle.loads(pickle.dumps(message))
    assert arrived == message
    assert type(arrived) is type(message)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_cannot_be_changed(message):
    for name in typing.get_type_hints(type(message)):
        with pytest.raises(AttributeError):
            setattr(message, name, None)


@pytest.mark.parametrize(
    ("exit_code", "number", "text"),
    [
        (0, None, "exit code 0"),
        (137, None, "exit code 137"),
        (None, None, "no exit code"),
        (None, signal.SIGTERM, "signal SIGTERM"),
        (1, signal.SIGSEGV, "signal SIGSEGV"),
        (None, 250, "signal 250"),
    ],
)
def test_an_end_is_told_in_words_and_signals_by_name(exit_code, number, text):
    assert exit_text(exit_code, number) == text
