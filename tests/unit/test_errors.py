"""Errors: three parts, and ordinary exceptions to whatever they pass through."""

from __future__ import annotations

import contextlib
import pickle
from typing import TYPE_CHECKING

import pytest

from snakemake_executor_plugin_daskmpi.errors import DaskMpiError, WorldError

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_an_error_says_what_happened_what_was_seen_and_what_to_do_next():
    error = WorldError("It broke.", seen="2 of 3 ranks.", next_step="mpiexec -n 3 …")
    assert str(error) == "It broke.\n  Seen: 2 of 3 ranks.\n  Next: mpiexec -n 3 …"


def test_a_part_that_there_is_nothing_to_say_of_is_left_out():
    assert str(WorldError("It broke.")) == "It broke."


def test_an_error_can_be_sent_to_another_process():
    error = pickle.loads(pickle.dumps(WorldError("It broke.", seen="2 of 3.", next_step="again.")))
    assert type(error) is WorldError
    assert str(error) == "It broke.\n  Seen: 2 of 3.\n  Next: again."


def test_an_error_passes_through_a_context_manager():
    @contextlib.contextmanager
    def passing() -> Iterator[None]:
        yield

    with pytest.raises(DaskMpiError, match="It broke"), passing():
        raise WorldError("It broke.")


def test_what_a_message_quotes_cannot_steer_the_terminal():
    # It moves the cursor up, and would let a line of ours be another one.
    error = DaskMpiError("Rule \x1b[2Aa failed.", seen="\x1b[1;31mred\x1b[0m\r\x9b2J")
    assert str(error) == "Rule \\x1b[2Aa failed.\n  Seen: red\\x0d\\x9b2J"
