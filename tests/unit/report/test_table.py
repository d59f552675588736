"""A report as JSON and as CSV."""

from __future__ import annotations

import csv
import io
import json

import pytest

from records import START, Record
from snakemake_executor_plugin_daskmpi.record.job_log import log_path
from snakemake_executor_plugin_daskmpi.report import table
from snakemake_executor_plugin_daskmpi.report.figures import figures_of
from snakemake_executor_plugin_daskmpi.report.history import RunHistory


def history(tmp_path, name="rule r (jobid 1)", rule="r", **fields):
    record = Record(tmp_path)
    record.note("jobs", by_rule={"r": 1})
    record.worker()
    record.job(rule, 1, 4, cores=[0, 2], name=name, submitted_at=0, cpu_s=2.5, **fields)
    record.job("r", 6, 1, jobid=1, attempt=2)
    record.end(10)
    return RunHistory(record.folder, START + 10_000)


def test_the_json_has_its_format_its_version_and_all_figures(tmp_path):
    told = json.loads(table.render_json([figures_of(history(tmp_path))]))
    assert (told["format"], told["version"]) == ("snakemake-daskmpi-report", 1)
    (run,) = told["runs"]
    assert run["key"]["n_done"] == 1
    assert {"chain", "rules", "workers", "failures", "series", "idle_core_h"} <= set(run)


def test_the_csv_has_a_line_for_each_attempt(tmp_path):
    rows = list(csv.DictReader(table.render_csv([history(tmp_path)]).splitlines()))
    assert [row["attempt"] for row in rows] == ["1", "2"]
    first = rows[0]
    assert (first["waited_s"], first["ran_s"], first["cpu_s"], first["cores"]) == ("1.0", "4.0", "2.5", "0 2")


def test_the_csv_has_what_was_asked_for_and_what_was_granted(tmp_path):
    its = history(tmp_path, asks={"cores": 2, "mem_mb": 500, "gpus": 1}, wish={"cores": 64})
    first, _ = csv.DictReader(table.render_csv([its]).splitlines())
    names = ("cores", "mem_mb", "gpus")
    assert [first[f"{name}_asked"] for name in names] == ["64", "500", "1"]
    assert [first[f"{name}_granted"] for name in names] == ["2", "500", "1"]


@pytest.mark.parametrize("name", ["=HYPERLINK(1)", "+1", "-1", "@x", "\t=1", "\r=1"])
def test_no_cell_of_the_csv_is_a_formula(tmp_path, name):
    (row, _) = csv.DictReader(table.render_csv([history(tmp_path, name=name, rule=name)]).splitlines())
    assert row["name"].startswith("'")
    assert row["rule"].startswith("'")


def test_names_that_are_no_text_are_spelled_out_in_the_csv(tmp_path):
    text = table.render_csv([history(tmp_path, name='a"b,c\nd\x00\udc80\u2028')])
    row = next(csv.reader(text.splitlines(keepends=True)[1:]))
    assert 'a"b,c\nd\\x00\\udc80\\u2028' in row
    text.encode()


def test_the_csv_has_the_real_names_of_files(tmp_path):
    names = ["\x1b[31mred\x1b[0m", "a b", "c\r", 'd"\n', "\u2028"]
    text = table.render_csv([history(tmp_path, outputs=names)])
    first, _ = csv.DictReader(io.StringIO(text, newline=""))
    assert next(csv.reader(io.StringIO(first["outputs"], newline=""), delimiter=" ")) == names
    assert first["outputs"].startswith("\x1b[31mred\x1b[0m ")


@pytest.mark.parametrize("name", ["=HYPERLINK(1)", "+1", "-1", "@x", "\t=1", "\r=1", "\udc80"])
def test_names_of_files_are_no_formulas_and_are_text(tmp_path, name):
    text = table.render_csv([history(tmp_path, outputs=[name])])
    first, _ = csv.DictReader(io.StringIO(text, newline=""))
    assert first["outputs"][0] not in "=+-@\t\r"
    text.encode()


def test_each_attempt_in_the_csv_has_the_log_that_is_there(tmp_path):
    its = history(tmp_path, outcome="failed")
    log = log_path(its.folder, "r", 1, 1)
    log.parent.mkdir(parents=True)
    log.touch()
    rows = csv.DictReader(io.StringIO(table.render_csv([its]), newline=""))
    assert [row["log"] for row in rows] == [str(log), ""]


def test_the_json_says_what_is_a_group_and_which_peaks_it_has(tmp_path):
    its = history(tmp_path, members={"r": 1}, peak_rss_mb=5)
    (run,) = json.loads(table.render_json([figures_of(its)]))["runs"]
    rows = {(rule["rule"], rule["is_group"]): rule["mem_kind"] for rule in run["rules"]}
    assert rows == {("r", True): "rss", ("r", False): None}
