"""Reading a record while it is written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from snakemake_executor_plugin_daskmpi.record.follower import Follower

if TYPE_CHECKING:
    from pathlib import Path

LINES = [json.dumps({"event": "worker", "n": n}) + "\n" for n in range(4)]


def numbers(follower: Follower) -> list[int]:
    return [event["n"] for event in follower.events()]


def test_a_record_that_is_not_there_yet_says_nothing(tmp_path: Path):
    assert list(Follower(tmp_path / "events.jsonl").events()) == []


def test_each_line_is_read_once_and_what_is_added_the_next_time(tmp_path: Path):
    path = tmp_path / "events.jsonl"
    path.write_text("".join(LINES[:2]))
    follower = Follower(path)
    assert numbers(follower) == [0, 1]
    assert numbers(follower) == []
    with path.open("a") as file:
        file.write("".join(LINES[2:]))
    assert numbers(follower) == [2, 3]


@pytest.mark.parametrize("cut", [1, 10, len(LINES[1]) - 1])
def test_a_line_that_is_half_written_is_read_when_it_is_whole(tmp_path: Path, cut: int):
    path = tmp_path / "events.jsonl"
    path.write_text(LINES[0] + LINES[1][:cut])
    follower = Follower(path)
    assert numbers(follower) == [0]
    with path.open("a") as file:
        file.write(LINES[1][cut:])
    assert numbers(follower) == [1]
    assert follower.n_unreadable == 0


def test_lines_that_are_no_events_are_counted_and_passed_over(tmp_path: Path):
    path = tmp_path / "events.jsonl"
    path.write_bytes(
        LINES[0].encode() + b'\x00\xff garbage\n[1, 2]\n"text"\n{"no": "event"}\n{"event": 3}\n' + LINES[1].encode()
    )
    follower = Follower(path)
    assert numbers(follower) == [0, 1]
    assert follower.n_unreadable == 5


@pytest.mark.parametrize(
    "lines",
    [
        ['{"event": "worker", "n": [1\n', "2]}\n"],
        [LINES[0].strip() + "," + LINES[1]],
        ["[" * 100_000 + "\n"],
    ],
)
def test_lines_that_are_json_with_others_alone_or_without_end_are_none(tmp_path: Path, lines: list[str]):
    path = tmp_path / "events.jsonl"
    path.write_text("".join([*LINES[:2], *lines, *LINES[2:]]))
    follower = Follower(path)
    assert numbers(follower) == [0, 1, 2, 3]
    assert follower.n_unreadable == len(lines)


def test_what_is_added_to_half_a_line_while_others_are_read_is_no_line_of_its_own(tmp_path: Path):
    path = tmp_path / "events.jsonl"
    path.write_text(LINES[0] + LINES[1][:10])
    follower = Follower(path)
    events = follower.events()
    assert next(events)["n"] == 0
    with path.open("a") as file:
        file.write(LINES[1][10:])
    assert list(events) == []
    assert numbers(follower) == [1]
    assert follower.n_unreadable == 0


def test_a_record_of_any_size_is_read_whole(tmp_path: Path):
    path = tmp_path / "events.jsonl"
    path.write_text("".join(json.dumps({"event": "worker", "n": n, "text": "x" * n}) + "\n" for n in range(2000)))
    path.write_text(path.read_text() + json.dumps({"event": "worker", "n": 2000, "text": "x" * 1_000_000}) + "\n")
    assert numbers(Follower(path)) == list(range(2001))


def test_a_record_that_cannot_be_read_is_an_error(tmp_path: Path):
    with pytest.raises(OSError, match="directory"):
        list(Follower(tmp_path).events())


@pytest.mark.parametrize("time", ["soon", [1], True, float("nan"), float("inf"), -1, 1e30])
@pytest.mark.parametrize("name", ["time", "started_at", "ended_at"])
def test_a_line_with_a_time_that_no_clock_says_is_counted_and_passed_over(tmp_path: Path, name: str, time: object):
    path = tmp_path / "events.jsonl"
    path.write_text(json.dumps({"event": "ended", "n": 0, name: time}) + "\n" + LINES[1])
    follower = Follower(path)
    assert numbers(follower) == [1]
    assert follower.n_unreadable == 1
