"""What is shown of a run: by records, and terminals of several sizes."""

from __future__ import annotations

import io
import socket
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from records import START, Record
from snakemake_executor_plugin_daskmpi.record.dashboard import Address, write
from snakemake_executor_plugin_daskmpi.record.liveness import Life
from snakemake_executor_plugin_daskmpi.view.status import fitting_picture, picture
from snakemake_executor_plugin_daskmpi.view.times import clock

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import RenderableType

NOW = START + 100


def shown(record: Record, life: Life = Life.GOES_ON, *, width: int = 120, now: float = NOW, **console: Any) -> str:
    """Return what a terminal would get."""
    file = io.StringIO()
    Console(file=file, width=width, markup=False, highlight=False, **console).print(picture(record.view(), life, now))
    return file.getvalue()


@pytest.fixture
def record(tmp_path: Path) -> Record:
    """A run with jobs in all states: 1 done, 1 running, 2 waiting, 1 failed, 5 not ready."""
    record = Record(tmp_path)
    record.worker("rank 2", gpus=["0", "1"])
    record.worker("rank 3", host="node2")
    record.note("jobs", by_rule={"one": 7, "two": 3})
    record.job(key="a", jobid=1)
    record.submitted("b", jobid=2, asks={"cores": 3, "mem_mb": 1500, "gpus": 1})
    record.started("b", cores=[0, 1, 2], gpus=["0"], at=40)
    record.submitted("c", jobid=3)
    record.submitted("d", jobid=4)
    record.job("two", key="e", jobid=5, outcome="failed", exit_code=3)
    reason = {"cause": "cores", "asks": {}, "priority": 0, "n_jobs": 2, "text": "it needs 9 cores", "example": "c"}
    record.note("waiting", reasons=[reason])
    return record


def words(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_numbers_of_jobs_are_told_by_rule_and_in_all(record: Record):
    text = shown(record)
    assert ["rule", "done", "run", "wait", "not", "ready", "failed", "all"] in words(text)
    assert ["one", "1", "1", "2", "3", "-", "7"] in words(text)
    assert ["two", "-", "-", "-", "2", "1", "3"] in words(text)
    assert ["all", "rules", "1", "1", "2", "5", "1", "10"] in words(text)
    assert "1 of 10 jobs done (10%), 1 running, 2 waiting for workers, 5 for other jobs, 1 failed" in text


def test_it_is_told_what_is_taken_and_who_runs_where(record: Record):
    text = shown(record)
    assert ["workers", "2", "3", "of", "8", "1.5", "of", "8.0", "GB", "1", "of", "2"] in words(text)
    assert "rank 2 (node1): rule one (jobid 2), for 1 min" in text
    assert "rank 3 (node2): idle" in text


def test_components_are_told_apart(tmp_path: Path):
    record = Record(tmp_path)
    record.worker("rank 2", het_group=1, components=["gpu"])
    record.worker("rank 3", het_group=2, components=["cpu", ""])
    record.worker("rank 4", het_group=2, components=["cpu", ""])
    record.note("worker-lost", worker="rank 4", comes_back=False, waits=[])
    text = words(shown(record))
    assert ["component", "1", "(gpu)", "1", "0", "of", "4", "0.0", "of", "4.0", "GB"] in text
    assert ["component", "2", "(cpu,", "any)", "1,", "1", "lost", "0", "of", "4", "0.0", "of", "4.0", "GB"] in text


def test_why_jobs_wait_and_which_have_failed_is_told(record: Record):
    text = shown(record)
    assert "2 waiting: it needs 9 cores" in text
    assert "failed: rule two (jobid 5) failed on rank 2 with exit code 3" in text


def test_many_workers_are_summed_up(tmp_path: Path):
    record = Record(tmp_path)
    for number in range(200):
        record.worker(f"rank {number}")
    record.submitted("a")
    record.started("a", worker="rank 150")
    text = shown(record)
    assert "rank 150 (node1): rule one (jobid 1)" in text
    assert text.count("(node1)") == 15
    assert "185 other workers: 0 run 0 jobs, the rest idles" in text


def test_an_end_is_estimated_if_each_rule_that_is_left_has_had_a_job(record: Record):
    assert "no estimate: no job of two has ended yet" in shown(record)
    record.job("two", key="f", jobid=6)
    # 5 jobs of one and 1 of two that take 10 s each are left for 3 busy cores; what runs has run for longer already.
    text = shown(record)
    assert "ends in about 20 s, if jobs take as long as those of their rules so far, on the 3" in text


def test_a_rate_is_that_of_the_last_minutes(tmp_path: Path):
    record = Record(tmp_path)
    record.worker()
    for number in range(20):
        record.job(key=f"a{number}", jobid=number, seconds=60 * number)
    assert "1.0 jobs/min in the last 5 min" in shown(record, now=START + 60 * 20)


def test_the_time_that_is_left_and_a_drain_are_told(record: Record):
    record.note("deadline", ends_at=NOW + 3720, drains_at=NOW + 3600, said_by="Slurm")
    record.note("drain", why="SIGUSR1 was received")
    text = shown(record)
    assert "(Slurm): 1 h 2 min left" in text
    assert "drains, no further jobs start: SIGUSR1 was received" in text
    assert "no estimate: the run drains" in text


def test_of_a_run_that_broke_off_it_is_told_how_one_sees_it_and_what_to_do(record: Record):
    text = shown(record, Life.BROKE_OFF)
    assert "broke off" in text
    assert "Seen: its record has no end, and rank 1 (process " in text
    assert "Next: the same command of snakemake goes on, with --rerun-incomplete if it asks for it" in text
    assert "1 of 10 jobs done (10%), 8 left, 1 failed" in text
    assert "idle" not in text


def test_of_a_run_that_has_ended_what_snakemake_ran_itself_is_told_too(record: Record):
    record.end(at=120, done=12, total=20, failed=1)
    text = shown(record, Life.ENDED)
    assert "has ended" in text
    assert "12 of 20 are done" in text


def test_a_record_with_no_line_yet_is_shown(tmp_path: Path):
    record = Record(tmp_path)
    record.path.write_text("")
    assert "Its record is empty: nothing is noted of it yet." in shown(record)
    assert "Its record is empty: nothing is noted of it.\n" in shown(record, Life.BROKE_OFF)


def test_a_record_that_cannot_be_read_is_told_from_an_empty_one(tmp_path: Path):
    record = Record(tmp_path)
    record.path.write_text("what is\nthis?\n")
    assert "Its record cannot be read (2 lines)" in shown(record)
    record.submitted("a")
    assert "of the rest, numbers may be too low" in shown(record)


def test_a_record_whose_first_line_is_missing_is_shown_with_what_else_it_says(tmp_path: Path):
    record = Record(tmp_path)
    record.path.write_text("")
    record.job(key="a")
    text = shown(record)
    assert "The first line of its record is missing" in text
    assert "1 of 1 jobs done" in text


def test_it_is_said_as_of_when_the_reasons_are(record: Record):
    reason = {"cause": "cores", "asks": {}, "priority": 0, "n_jobs": 1, "text": "it rains", "example": "c"}
    record.note("waiting", at=7, reasons=[reason])
    assert f"why, as of {clock(START + 7)}:\n1 waiting: it rains" in shown(record)


def test_a_reason_that_no_job_has_any_more_is_left_out(record: Record):
    record.submitted("f", jobid=6, asks={"cores": 4})
    reasons = [
        {"cause": "cores", "asks": asks, "priority": 0, "n_jobs": n, "text": text, "example": example}
        for asks, n, text, example in (({"cores": 4}, 1, "it is large", "f"), ({}, 2, "it is small", "c"))
    ]
    record.note("waiting", reasons=reasons)
    assert "1 waiting: it is large" in shown(record)
    record.started("f")
    text = shown(record)
    assert "it is large" not in text
    assert "2 waiting: it is small" in text
    record.started("c")
    record.started("d")
    assert "why, as of" not in shown(record)


HOSTILE = "[red]x[/red] \x1b]0;title\x07 \x1b[2J \u202e :smile: \udcff\n\r\x9b"


@pytest.mark.parametrize("life", list(Life))
def test_names_are_neither_markup_nor_obeyed_by_a_terminal(tmp_path: Path, life: Life):
    record = Record(tmp_path, description=HOSTILE)
    record.worker("rank 2", host=HOSTILE, het_group=1, components=[HOSTILE])
    record.note("jobs", by_rule={HOSTILE: 3})
    record.note("drain", why=HOSTILE)
    record.note("deadline", ends_at=NOW, drains_at=NOW, said_by=HOSTILE)
    record.submitted("a", rule=HOSTILE, jobid=1)
    record.started("a")
    record.submitted("b", rule=HOSTILE, jobid=2)
    record.job(HOSTILE, key="c", jobid=3, outcome="failed", reason=HOSTILE)
    reason = {"cause": "cores", "asks": {}, "priority": 0, "n_jobs": 1, "text": HOSTILE, "example": "b"}
    record.note("waiting", reasons=[reason])
    text = shown(record, life, width=400)
    assert "[red]x[/red] \\x1b]0;title\\x07 " in text
    assert ":smile:" in text
    assert all(char.isprintable() for line in text.split("\n") for char in line)


@pytest.mark.parametrize(("width", "height"), [(120, 40), (80, 24), (40, 10), (20, 5)])
def test_a_picture_fits_its_terminal(record: Record, width: int, height: int):
    for number in range(50):
        record.worker(f"rank {number + 10}")
    console = Console(file=io.StringIO(), width=width, height=height, markup=False)
    rendered = console.render_lines(fitting_picture(record.view(), NOW, console))
    assert all(sum(segment.cell_length for segment in line) <= width for line in rendered)
    if height > 20:
        assert len(rendered) <= height
        assert "other workers" in "".join(segment.text for line in rendered for segment in line)


def test_a_small_terminal_has_the_numbers_of_jobs_first(record: Record):
    console = Console(file=io.StringIO(), width=24, height=8, markup=False)
    rendered = console.render_lines(fitting_picture(record.view(), NOW, console))
    seen = " ".join("".join(segment.text for segment in line).strip() for line in rendered[:8])
    assert "1 of 10 jobs done (10%), 1 running, 2 waiting for workers" in seen


def test_where_the_dashboard_is_is_shown_on_a_terminal_while_the_run_goes_on(
    record: Record, monkeypatch: pytest.MonkeyPatch
):
    write(record.folder, Address(socket.gethostname(), 41213, "abc"))

    monkeypatch.delenv("SSH_CONNECTION", raising=False)

    def on_terminal(life: Life) -> list[str]:
        return [line.strip() for line in _lines(picture(record.view(), life, NOW, shows_address=True))]

    assert "Dask's dashboard: http://127.0.0.1:41213/abc/status" in on_terminal(Life.GOES_ON)
    assert not any("abc" in line for line in on_terminal(Life.ENDED) + on_terminal(Life.BROKE_OFF))
    assert "abc" not in shown(record)
    console = Console(file=io.StringIO(), width=120, height=40, force_terminal=True)
    assert any("41213/abc" in line for line in _lines(fitting_picture(record.view(), NOW, console)))
    console = Console(file=io.StringIO(), width=120, height=40)
    assert not any("abc" in line for line in _lines(fitting_picture(record.view(), NOW, console)))


def test_it_is_told_how_to_reach_the_dashboard_of_another_host(record: Record):
    write(record.folder, Address("node17", 41213, "abc"))
    (line,) = [line for line in _lines(picture(record.view(), Life.GOES_ON, NOW, shows_address=True)) if "Dask" in line]
    address, _, way = line.strip().partition("; ")
    assert address == "Dask's dashboard: http://127.0.0.1:41213/abc/status"
    assert way == "from elsewhere, first: ssh -L 41213:127.0.0.1:41213 node17"


def _lines(seen: RenderableType) -> list[str]:
    file = io.StringIO()
    Console(file=file, width=120, markup=False, highlight=False).print(seen)
    return file.getvalue().splitlines()


def test_colours_are_left_out_where_nobody_wants_them(record: Record, monkeypatch: pytest.MonkeyPatch):
    assert "\x1b[31m" in shown(record, force_terminal=True, color_system="standard")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[31m" not in shown(record, force_terminal=True)


def test_workers_of_further_slurm_jobs_are_told_apart_until_they_have_left(record: Record):
    for number in (0, 9, 10):
        record.worker(f"rank 45.{number}", host="node9", allocation="45")
    text = shown(record)
    assert ["workers", "2", "3", "of", "8", "1.5", "of", "8.0", "GB", "1", "of", "2"] in words(text)
    assert ["further", "Slurm", "jobs", "3", "0", "of", "12", "0.0", "of", "12.0", "GB", "0", "of", "0"] in words(text)
    lines = [line for line in text.splitlines() if line.startswith("rank ")]
    assert [line.partition(" (")[0] for line in lines] == ["rank 2", "rank 3", "rank 45.0", "rank 45.9", "rank 45.10"]
    for number in (0, 9, 10):
        record.note("worker-left", worker=f"rank 45.{number}", why="nothing is left for it")
    text = shown(record)
    assert "further" not in text
    assert "rank 45" not in text
    assert "lost" not in text


def test_further_slurm_jobs_are_told_of_until_they_end(record: Record):
    for name, phase in (("45", "ended"), ("46", "joined"), ("47", "queued"), ("48", "started")):
        record.note("allocation", allocation=name, phase=phase)
    assert "further Slurm jobs: 46 has joined, 47 waits in the queue, 48 has started\n" in shown(record)
    assert "further Slurm jobs" not in shown(record, Life.ENDED)
