"""The runs of a folder, by parts of their ids."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from records import Record
from snakemake_executor_plugin_daskmpi.errors import NoRunError, SettingsError
from snakemake_executor_plugin_daskmpi.record.find import chain_of, run_of, runs_of
from snakemake_executor_plugin_daskmpi.view.status import opened

if TYPE_CHECKING:
    from pathlib import Path

IDS = ("2026-01-01T120000.000000-7", "2026-01-02T080000.000000-7", "2026-01-02T090000.000000-77")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with three runs, and one of an earlier version, which has no record."""
    for run_id in IDS:
        Record(tmp_path, run_id)
    (tmp_path / ".snakemake/daskmpi/2027-01-01T000000.000000-1").mkdir()
    return tmp_path


def test_runs_come_newest_first(folder: Path):
    assert [run.name for run in runs_of(folder)] == sorted(IDS, reverse=True)


@pytest.mark.parametrize(("part", "number"), [("", 2), ("01-01", 0), ("T08", 1), (IDS[1], 1), ("-77", 2)])
def test_a_run_is_found_by_part_of_its_id_and_without_one_the_newest(folder: Path, part: str, number: int):
    assert run_of(folder, part).name == IDS[number]


def test_a_part_that_several_runs_have_is_answered_with_these(folder: Path):
    with pytest.raises(SettingsError, match="2 runs have '01-02' in their ids") as caught:
        run_of(folder, "01-02")
    assert "Next: give more of the id." in str(caught.value)


def test_an_id_with_a_typo_is_answered_with_the_id_meant(folder: Path):
    with pytest.raises(SettingsError, match=f"Did you mean {IDS[0]}"):
        run_of(folder, IDS[0].replace("12", "13"))


def test_a_chain_is_what_goes_on_from_one_run_whoever_else_ran_in_between(tmp_path: Path):
    first, between, second, third = (f"2026-01-0{day}T120000.000000-7" for day in range(1, 5))
    for run_id, begun_by in ((first, first), (between, between), (second, first), (third, first)):
        Record(tmp_path, run_id, first_run=begun_by)
    for run in (first, second, third):
        folder = tmp_path / ".snakemake/daskmpi" / run
        assert [other.name for other in chain_of(folder)] == [first, second, third]
    assert [run.name for run in chain_of(tmp_path / ".snakemake/daskmpi" / between)] == [between]


def test_a_chain_is_known_by_what_is_left_of_it(tmp_path: Path):
    gone = "2026-01-01T120000.000000-7"
    Record(tmp_path, IDS[1], first_run=gone)
    broken = Record(tmp_path, "2026-01-02T081000.000000-7", first_run=gone)
    broken.path.write_text("[" * 100_000 + "\n")
    Record(tmp_path, IDS[2], first_run=gone)
    assert [run.name for run in chain_of(run_of(tmp_path))] == [IDS[1], IDS[2]]


@pytest.mark.parametrize("text", ["", "[1]\n", "no JSON\n"])
def test_a_run_that_does_not_say_what_chain_it_is_in_is_alone(folder: Path, text: str):
    newest = run_of(folder)
    assert chain_of(newest) == [newest]
    (newest / "events.jsonl").write_text(text)
    assert chain_of(newest) == [newest]


def test_a_record_that_cannot_be_read_is_an_error_that_says_why(tmp_path: Path):
    record = Record(tmp_path)
    record.path.unlink()
    record.path.mkdir()
    with pytest.raises(NoRunError, match="cannot be read") as caught:
        opened(run_of(tmp_path))
    assert "Is a directory" in str(caught.value)
    assert "Next: its owner alone can read it" in str(caught.value)


def test_the_runs_of_somebody_else_are_an_error_that_says_so(folder: Path, stranger: list[str]):
    code = (
        "import sys; from pathlib import Path; from snakemake_executor_plugin_daskmpi.record.find import run_of;"
        "run_of(Path(sys.argv[1]))"
    )
    # As all of pytest's own folders are, this one is its user's alone.
    done = subprocess.run([*stranger, sys.executable, "-c", code, folder], capture_output=True, text=True, check=False)
    assert "NoRunError: The runs in " in done.stderr, done.stderr
    assert "Next: ask their owner" in done.stderr


def test_a_folder_without_runs_is_an_error_that_says_where_they_would_be(tmp_path: Path):
    with pytest.raises(NoRunError, match="There is no run to look at") as caught:
        run_of(tmp_path)
    assert "Next: snakemake --executor daskmpi" in str(caught.value)
