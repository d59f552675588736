"""What explain says of jobs: up to when their times count, and what they used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from records import START, Record
from snakemake_executor_plugin_daskmpi.record.liveness import Life
from snakemake_executor_plugin_daskmpi.view.explain import main, rule_story
from snakemake_executor_plugin_daskmpi.view.story import story_of
from snakemake_executor_plugin_daskmpi.view.times import clock

if TYPE_CHECKING:
    from pathlib import Path

#: Long after the last event.
NOW = START + 86400


def told(record: Record, key: str, life: Life = Life.ENDED) -> str:
    """Return what is said of a job."""
    view = record.view()
    return "\n".join(story_of(view, life, [view.jobs[key]], NOW))


@pytest.fixture
def record(tmp_path: Path) -> Record:
    """A run that stopped 30 s after it began, while one job ran for 20 s and another one waited for 25 s."""
    record = Record(tmp_path)
    record.worker()
    record.submitted("a", jobid=1, at=5)
    record.submitted("b", jobid=2, at=5)
    record.started("a", at=10)
    reason = {"cause": "cores", "asks": {}, "priority": 0, "n_jobs": 1, "text": "it rains", "example": "b"}
    record.note("waiting", at=30, reasons=[reason])
    return record


@pytest.mark.parametrize(("life", "stopped"), [(Life.BROKE_OFF, "broke off"), (Life.ENDED, "ended")])
def test_times_of_a_run_that_stopped_count_to_its_last_event(record: Record, life: Life, stopped: str):
    ran, waited = told(record, "a", life), told(record, "b", life)
    assert f"ran when the run {stopped}" in ran
    assert f"It ran on rank 2 (node1) since {clock(START + 10)}, for 20 s up to the last that was noted" in ran
    assert f"waited when the run {stopped}" in waited
    assert f"was handed over at {clock(START + 5)}, 25 s before the last that was noted" in waited
    of_rule = "\n".join(rule_story(record.view(), life, "one", NOW))
    assert f"  ran: rule one (jobid 1) ran on rank 2 when the run {stopped}, for 20 s by then" in of_rule
    assert f"  waited: rule one (jobid 2) waited when the run {stopped}, handed over 25 s before" in of_rule
    assert "why" not in of_rule


def test_times_of_a_run_that_goes_on_count_to_now(record: Record):
    assert "for 23 h 59 min." in told(record, "a", Life.GOES_ON)
    assert f"Why it waits, as of {clock(START + 30)}: it rains." in told(record, "b", Life.GOES_ON)
    of_rule = "\n".join(rule_story(record.view(), Life.GOES_ON, "one", NOW))
    assert "running: rule one (jobid 1) has run on rank 2 for 23 h 59 min" in of_rule
    assert f"why, as of {clock(START + 30)}: it rains" in of_rule


def test_memory_is_pss_where_that_was_read(record: Record):
    record.job(key="c", jobid=3, asks={"mem_mb": 500}, peak_rss_mb=300, peak_pss_mb=120)
    assert "It used 120 MB of memory at most of 500 asked for." in told(record, "c")


def test_memory_by_rss_is_said_to_count_what_is_shared(record: Record):
    record.job(key="c", jobid=3, peak_rss_mb=300)
    assert "It used about 300 MB of memory at most, with pages that it shares with its worker." in told(record, "c")


CLIPPED = {"asks": {"cores": 4, "mem_mb": 500}, "wish": {"cores": 64, "mem_mb": 9000}}


def test_what_a_job_asks_for_is_told_beside_what_it_was_granted_if_that_is_less(record: Record):
    record.job(key="c", jobid=3, peak_pss_mb=120, **CLIPPED)
    text = told(record, "c")
    assert (
        "\n  asks for 64 cores, 9000 MB of memory\n  was granted 4 cores, 500 MB of memory: no worker has more" in text
    )
    assert "It used 120 MB of memory at most of 500 granted." in text
    assert "granted" not in told(record, "a")


def test_jobs_of_a_group_take_turns_where_less_is_granted(record: Record):
    record.submitted("c", jobid="g", members={"one": 64}, wish={"cores": 64})
    assert "\n  asks for 64 cores\n  was granted 1 core: its jobs take turns" in told(record, "c")


def test_who_has_the_rest_has_what_it_was_granted(record: Record):
    record.submitted("c", jobid=3, **CLIPPED)
    record.started("c", cores=[0, 1, 2, 3])
    reason = {"cause": "cores", "asks": {}, "priority": 0, "n_jobs": 1, "text": "it rains", "example": "b"}
    record.note("waiting", reasons=[{**reason, "worker": "rank 2", "holders": ["c"]}])
    assert "rule one (jobid 3) has 4 cores, 500 MB of memory there" in told(record, "b", Life.GOES_ON)


def test_of_a_record_that_cannot_be_read_nothing_is_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    record = Record(tmp_path)
    record.path.write_text("what is\nthis?\n")
    assert main(tmp_path, "", "one") == 1
    assert "Its record cannot be read (2 lines)" in capsys.readouterr().out
