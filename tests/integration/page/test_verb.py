"""The verb ``report``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from records import Record
from snakemake_executor_plugin_daskmpi import cli


def run(workdir, name, jobid=1):
    record = Record(workdir, name)
    record.note("jobs", by_rule={"r": 1})
    record.worker()
    record.job("r", 1, 4, jobid=jobid)
    record.end(10)
    return record.folder


def run_ids(text):
    return [run["run_id"] for run in json.loads(text)["runs"]]


def test_without_a_name_it_is_the_newest_run(tmp_path, capsys):
    for name in ("2026-01-02T1", "2026-01-03T1", "2026-01-01T1"):
        run(tmp_path, name)
    assert cli.main(["report", "-d", str(tmp_path), "--json", "-"]) == 0
    assert run_ids(capsys.readouterr().out) == ["2026-01-03T1"]


def test_runs_are_named_by_their_names_or_folders(tmp_path, capsys):
    first, second = run(tmp_path, "2026-01-01T1"), run(tmp_path, "2026-01-02T1")
    assert cli.main(["report", "-d", str(tmp_path), first.name, str(second), "--json", "-"]) == 0
    assert run_ids(capsys.readouterr().out) == [first.name, second.name]


@pytest.fixture
def chain(tmp_path):
    """Three runs that Slurm jobs went on with, and one of its own in between."""
    for day, begun_by in ((1, 1), (2, 2), (3, 1), (4, 1)):
        record = Record(tmp_path, f"2026-01-0{day}T1", first_run=f"2026-01-0{begun_by}T1")
        record.worker()
        record.job()
    return [f"2026-01-0{day}T1" for day in (1, 3, 4)]


def test_without_a_name_it_is_all_of_the_newest_chain_and_it_is_told_how_to_have_one(tmp_path, chain, capsys):
    assert cli.main(["report", "-d", str(tmp_path), "--json", "-"]) == 0
    said = capsys.readouterr()
    assert run_ids(said.out) == chain
    assert said.err.startswith("3 runs, from 2026-01-01T1 on,")
    assert said.err.endswith("the newest one alone: snakemake-daskmpi report 2026-01-04T1\n")
    assert {run["first_run"] for run in json.loads(said.out)["runs"]} == {chain[0]}
    assert cli.main(["report", "-d", str(tmp_path), chain[1], "--json", "-"]) == 0
    said = capsys.readouterr()
    assert (run_ids(said.out), said.err) == ([chain[1]], "")


def test_the_page_tells_that_its_runs_are_one_chain_if_they_are(tmp_path, chain):
    page = tmp_path / "daskmpi-report.html"
    assert cli.main(["report", "-d", str(tmp_path)]) == 0
    assert "What 3 runs did" in page.read_text()
    assert "They are one chain" in page.read_text()
    assert cli.main(["report", "-d", str(tmp_path), chain[0], "2026-01-02T1"]) == 0
    assert "What 2 runs did" in page.read_text()
    assert "They are one chain" not in page.read_text()


def test_a_name_with_a_typo_is_answered_with_the_run_meant(tmp_path, capsys):
    run(tmp_path, "2026-01-01T1")
    assert cli.main(["report", "-d", str(tmp_path), "2026-01-01T2"]) == 2
    said = capsys.readouterr().err
    assert "Did you mean 2026-01-01T1?" in said
    assert "Next: a part of one of these ids" in said


def test_a_folder_without_runs_is_answered_with_what_to_type(tmp_path, capsys):
    assert cli.main(["report", "-d", str(tmp_path)]) == 1
    assert "Next: snakemake --executor daskmpi" in capsys.readouterr().err


def test_the_page_lies_in_the_folder_and_its_path_and_size_are_told(tmp_path, capsys):
    run(tmp_path, "2026-01-01T1")
    assert cli.main(["report", "-d", str(tmp_path)]) == 0
    page = tmp_path / "daskmpi-report.html"
    assert capsys.readouterr().err == f"{page}: {page.stat().st_size / 1e6:.2f} MB\n"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [page.name]


def test_where_the_page_cannot_be_written_nothing_is_left_and_the_way_out_is_told(tmp_path, capsys):
    run(tmp_path, "2026-01-01T1")
    assert cli.main(["report", "-d", str(tmp_path), "-o", str(tmp_path / "none" / "page.html")]) == 2
    assert "Next: snakemake-daskmpi report --output FILE" in capsys.readouterr().err


def test_a_pipe_and_a_link_are_written_to_and_stay_what_they_are(tmp_path):
    run(tmp_path, "2026-01-01T1")
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to("/dev/null")
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert cli.main(["report", "-d", str(tmp_path), "--json", str(link), "--csv", str(pipe)]) == 0
        assert os.read(reader, 65536).startswith(b"run_id,job,")
    finally:
        os.close(reader)
    assert pipe.is_fifo()
    assert link.is_symlink()
    assert Path("/dev/null").is_char_device()


@pytest.mark.parametrize(("arguments", "code"), [(["--json", "-"], 0), (["--csv", "-"], 0), ([], 2)])
def test_without_bokeh_there_are_json_and_csv_and_for_the_page_what_to_install(tmp_path, arguments, code):
    run(tmp_path, "2026-01-01T1")
    # A Python in which there is no Bokeh, by the means that the language has for it.
    program = (
        "import sys; sys.modules['bokeh'] = None\n"
        "from snakemake_executor_plugin_daskmpi.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", program, "report", "-d", str(tmp_path), *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == code
    if code:
        assert "Next: pip install 'snakemake-executor-plugin-daskmpi[report]'" in ended.stderr
    else:
        assert "2026-01-01T1" in ended.stdout


def test_two_documents_on_the_standard_output_are_refused(tmp_path, capsys):
    run(tmp_path, "2026-01-01T1")
    assert cli.main(["report", "-d", str(tmp_path), "--json", "-", "--csv", "-"]) == 2
    said = capsys.readouterr()
    assert not said.out
    assert "Next: snakemake-daskmpi report --json - --csv FILE" in said.err
