"""What Slurm counted of a run's job in the report, beside the record of the run."""

from __future__ import annotations

import html
import json
import os
import re

import pytest

from records import START, Record
from snakemake_executor_plugin_daskmpi import cli
from snakemake_executor_plugin_daskmpi.report.figures import figures_of, history_of
from snakemake_executor_plugin_daskmpi.report.page import render_page

#: Of a hetjob, from the run's start on; its nodes and its state are whatever somebody has called them.
ROWS = """\
12|12+0|COMPLETED|0:0|{submit}|{start}|{end}|60|10|2|cpu=2,mem=1048576K|00:06.000||{energy}|n1
12.0|12+0.0|COMPLETED|0:0|{start}|{start}|{end}|60||2|cpu=2,mem=1048576K|00:06.000|86800K||n1
13|12+1|{state}|7:0|{submit}|{start}|{end}|60|10|10|cpu=10,gres/gpu=2,mem=1048576K|05:00.000|||{nodes}
13.0|12+1.0|FAILED|7:0|{start}|{start}|{end}|60||10|cpu=10,mem=1048576K|05:00.000|976563K||{nodes}
"""
HOSTILE = "</td><script>document.title='hacked'</script>"


@pytest.fixture
def workdir(tmp_path):
    """A folder with one run in job 12 of cluster lab: workers of four cores in its second component."""
    record = Record(tmp_path, "2026-01-01T1", slurm_job="12", slurm_cluster="lab")
    record.note("jobs", by_rule={"one": 2})
    record.workers(2, het_group=1)
    record.job("one", 0, 30, worker="rank 2", cores=range(4), cpu_s=100.0, peak_rss_mb=600)
    record.job("one", 10, 30, worker="rank 3", cores=range(2), cpu_s=50.0, peak_rss_mb=700)
    record.end(50)
    return tmp_path


@pytest.fixture
def sacct(tmp_path, monkeypatch):
    """Put a program of this name on PATH that prints a text."""
    (folder := tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def write(text, code=0):
        (tmp_path / "answer").write_text(text)
        (folder / "sacct").write_text(
            f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\ncat {tmp_path}/answer >&$(({code}+1))\nexit {code}\n'
        )
        (folder / "sacct").chmod(0o755)

    return write


def rows(nodes="n[2-3]", state="FAILED", energy=""):
    times = {"submit": int(START) - 100, "start": int(START) - 5, "end": int(START) + 55}
    return ROWS.format(nodes=nodes, state=state, energy=energy, **times)


def told(workdir, capsys):
    assert cli.main(["report", "-d", str(workdir), "--json", "-"]) == 0
    return json.loads(capsys.readouterr().out)["runs"][0]["slurm"]


def page_text(workdir):
    """The words of the page's part on Slurm, "" if there is none."""
    page = workdir / "page.html"
    assert cli.main(["report", "-d", str(workdir), "-o", str(page)]) == 0
    text = page.read_text()
    assert "<script>document.title" not in text
    part = re.search(r'<h3 id="run-1-slurm">(.*?)<h3 ', text, re.DOTALL)
    assert (part is None) == ('href="#run-1-slurm"' not in text)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", part[1])).split()) if part else ""


def test_each_component_has_its_own_jobs_beside_it(workdir, sacct, capsys):
    sacct(rows())
    first, second = told(workdir, capsys)["components"]
    assert (workdir / "asked").read_text().startswith("--jobs=12 --clusters=lab ")
    assert first["recorded"] == {
        "n_workers": 0,
        "offered_core_h": 0,
        "granted_core_h": 0,
        "cpu_core_h": 0,
        "job_peak_mb": None,
    }
    assert second["recorded"] == {
        "n_workers": 2,
        "offered_core_h": pytest.approx(400 / 3600),
        "granted_core_h": pytest.approx(180 / 3600),
        "cpu_core_h": pytest.approx(150 / 3600),
        "job_peak_mb": 700,
    }
    assert (second["counted"]["waited_s"], second["counted"]["exit_code"]) == (95, 7)
    assert (second["counted"]["cpu_s"], second["cpu_efficiency"]) == (300, pytest.approx(0.5))


def test_further_jobs_of_a_run_have_their_own_workers_beside_them(workdir, sacct, capsys):
    record = Record(workdir, "2026-01-02T1", slurm_job="")
    record.worker(cores=1)
    for name in ("rank 7.0", "rank 7.1", "rank 8.0"):
        record.worker(name, 2, at=10, allocation=name[5])
    record.job("one", 20, 10, worker="rank 2", cpu_s=9.0)
    record.job("one", 20, 10, worker="rank 7.1", cores=range(2), cpu_s=15.0)
    record.note("worker-left", 40, worker="rank 7.0", why="nothing is left for it")
    record.end(50)
    at = int(START)
    sacct(f"7|7|COMPLETED|0:0|{at}|{at + 5}|{at + 55}|50|10|4|cpu=4|00:20.000|||n4\n")
    slurm = told(workdir, capsys)
    assert "--jobs=7,8 " in (workdir / "asked").read_text()
    (component,) = slurm["components"]
    assert component["counted"]["job"] == "7"
    ours = component["recorded"]
    assert (ours["n_workers"], ours["cpu_core_h"]) == (2, pytest.approx(15 / 3600))
    assert ours["offered_core_h"] == pytest.approx((2 * 30 + 2 * 40) / 3600)
    assert slurm["why_not_all"] == "Slurm's accounting knows no job 8 that ran then"
    text = page_text(workdir)
    assert "Not all of it to be had here: Slurm's accounting knows no job 8 that ran then. " in text
    assert " 7 COMPLETED n4 5 s 50 s " in text


def test_the_page_shows_both_and_columns_for_what_there_is_alone(workdir, sacct):
    sacct(rows())
    text = page_text(workdir)
    assert "12+1 FAILED, exit code 7 n[2-3] 1 min 35 s 1 min 10 min 10 300 core-s 50 % 1.07 GB 1 GB 2 2 " in text
    assert "GPUs" in text
    assert "Energy" not in text
    sacct(rows(energy="7200000").replace("gres/gpu=2,", ""))
    text = page_text(workdir)
    assert "2 kWh" in text
    assert "GPUs" not in text


def test_names_of_nodes_and_words_of_slurm_are_text(workdir, sacct):
    sacct(rows(nodes=HOSTILE, state=HOSTILE))
    assert page_text(workdir).count(HOSTILE) == 2
    sacct(f"sacct: error: {HOSTILE}\x1b[31m\u202e", code=1)
    assert f"Not to be had here: sacct said: sacct: error: {HOSTILE}\\u202e." in page_text(workdir)


def test_why_there_is_nothing_is_one_line(workdir, sacct, capsys):
    sacct("")
    why = "Slurm's accounting knows no job 12 of cluster lab that ran then"
    assert told(workdir, capsys) == {"components": [], "why_not_all": why}
    assert page_text(workdir) == f"What Slurm counted Not to be had here: {why}."


def test_nobody_is_asked_for_attempts_of_jobs_alone(workdir, sacct):
    sacct(rows())
    assert cli.main(["report", "-d", str(workdir), "--csv", "-"]) == 0
    assert not (workdir / "asked").exists()


def test_of_a_run_outside_of_slurm_there_is_nothing_and_nobody_is_asked(tmp_path, sacct, capsys):
    sacct(rows())
    Record(tmp_path, "2026-01-01T1", slurm_job="").end(1)
    assert told(tmp_path, capsys) is None
    assert page_text(tmp_path) == ""
    assert not (tmp_path / "asked").exists()


def test_several_runs_each_have_their_own(workdir, sacct, capsys):
    sacct(rows())
    Record(workdir, "2026-01-02T1", slurm_job="").end(1)
    names = ["2026-01-02T1", "2026-01-01T1"]
    assert cli.main(["report", "-d", str(workdir), *names, "--json", "-"]) == 0
    runs = json.loads(capsys.readouterr().out)["runs"]
    assert [run["slurm"] and len(run["slurm"]["components"]) for run in runs] == [None, 2]


def test_a_page_that_nobody_has_asked_slurm_for_says_nothing_of_it(workdir):
    (folder,) = workdir.glob(".snakemake/daskmpi/*")
    history = history_of(folder)
    assert "What Slurm counted" not in render_page([history], [figures_of(history)])
