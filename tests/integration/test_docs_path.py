"""The newcomer's path, as far as it needs no Slurm: the commands of the docs, in their order, in one folder."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import yaml

import pages

if TYPE_CHECKING:
    from pathlib import Path

    from harness import Workflow

#: Sections of the path whose commands need what is not here, or are not to be had in a test.
ELSEWHERE = ("Install", "Slurm")


def path_of(name: str) -> list[pages.Block]:
    """Return the code of a page of the docs, without the sections that are for elsewhere."""
    found = pages.blocks((pages.DOCS / name).read_text())
    return [block for block in found if not any(word in block.section for word in ELSEWHERE)]


def follow(workflow: Workflow, blocks: list[pages.Block]) -> list[str]:
    """Carry out the commands of a page, each of which has to succeed; return what each has printed."""
    printed = []
    for words in [shlex.split(line, comments=True) for block in blocks for line in block.command_lines]:
        if words[0] == "snakemake":
            run = workflow.start_snakemake(words[1:], workflow.environ())
            run.ends_with(0)
            printed.append(run.text)
            continue
        assert words[0] == "snakemake-daskmpi", words
        command = [sys.executable, "-m", "snakemake_executor_plugin_daskmpi", *words[1:]]
        done = subprocess.run(
            command, cwd=workflow.folder, env=workflow.environ(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        printed.append(done.stdout)
    return printed


def test_the_commands_of_the_docs_lead_from_a_first_run_to_one_of_the_right_size(workflow):
    first_run = path_of("first-run.md")
    (snakefile,) = [block for block in first_run if block.language == "python"]
    workflow.write("Snakefile", snakefile.text)
    _, status, explained = follow(workflow, first_run)
    assert "5 of 5 jobs done (100%)" in status
    assert "rule count: 4 jobs: 4 done" in explained
    follow(workflow, path_of("sizing.md"))
    (told,) = json.loads(workflow.read("report.json"))["runs"]
    assert (told["key"]["n_jobs"], told["key"]["n_done"]) == (5, 5)
    advice = yaml.safe_load(workflow.read("profiles/sized/config.yaml"))
    assert advice["set-threads"] == {"count": 1}
    assert advice["set-resources"]["count"]["mem_mb"] < 800
    # The last command was the run with that profile.
    used = [asked_in(workflow, folder) for folder in sorted(workflow.folder.glob(".snakemake/daskmpi/2*"))]
    assert used == [{(2, 800)}, {(1, advice["set-resources"]["count"]["mem_mb"])}]


def asked_in(workflow: Workflow, folder: Path) -> set[tuple[int, int]]:
    """Return what the jobs of the rule ``count`` asked for in a run: cores, and memory."""
    events = [json.loads(line) for line in workflow.lines(str(folder / "events.jsonl"))]
    asked = [event["asks"] for event in events if event["event"] == "submitted" and event["rule"] == "count"]
    return {(asks.get("cores", 1), asks["mem_mb"]) for asks in asked}
