"""Logger plugins of PyPI tell why a job failed, each where it tells of failures, and Snakemake's own log says it once.

``rich`` prints, ``snkmt`` keeps a database, ``snakesee`` a file of events.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from typing import TYPE_CHECKING

import pytest

import packages
from required import skip_or_fail

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness import Run, Workflow

#: What each plugin needs beyond what a Snakemake has.
PLUGINS = {
    "rich": ["snakemake-logger-plugin-rich==0.5.1", "rich", "markdown-it-py", "mdurl", "pygments"],
    "snkmt": [
        *("snakemake-logger-plugin-snkmt==0.1.9", "snkmt==0.4.0", "alembic", "mako", "loguru"),
        *("sqlalchemy>=2.0.38,<2.2", "platformdirs"),
    ],
    "snakesee": ["snakemake-logger-plugin-snakesee==0.1.1"],
}

SNAKEFILE = """
    rule all:
        input: "fails.txt", expand("fine.{n}.txt", n=range(3))

    rule fails:
        output: "fails.txt"
        run:
            print("its first words", flush=True)
            print("its last words", flush=True)
            os._exit(7)

    rule fine:
        output: "fine.{n}.txt"
        shell: "touch {output}"
"""

#: A job that fails the first time, and a group that fails.
RETRIED = """
    rule all:
        output: "all.txt"
        retries: 1
        shell: "echo its last words; test -e tried || {{ touch tried; exit 7; }}; touch {output}"
"""
GROUP = """
    rule all:
        output: "all.txt"
        group: "g"
        shell: "exit 7"
"""

FAILED = "Rule fails (jobid 1) failed on worker rank 2"


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return the folder of a plugin, which is installed the first time."""
    folders: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in folders:
            path = tmp_path_factory.mktemp(name)
            if error := packages.install(path, *PLUGINS[name]):
                skip_or_fail("network", f"logger plugin {name} cannot be installed from PyPI; pip says {error}")
            folders[name] = path
        return folders[name]

    return folder


def start(workflow: Workflow, folder: Path, *arguments: str) -> Run:
    """Start a run of one core with a plugin's folder on Python's path."""
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    return workflow.start("--daskmpi-cores", "1", "--logger", *arguments, env={"PYTHONPATH": path})


def logged(workflow: Workflow) -> str:
    """Return Snakemake's own log of the only run."""
    (log,) = workflow.folder.glob(".snakemake/log/*.log")
    return log.read_text()


def test_rich_prints_it_once_and_shows_progress(workflow: Workflow, folder_of: Callable[[str], Path]):
    workflow.write("Snakefile", SNAKEFILE)
    run = start(workflow, folder_of("rich"), "rich", "--keep-going")
    run.ends_with(1)
    (said,) = [line for line in run.text.splitlines() if FAILED in line]
    assert said.endswith("with exit code 7.")
    assert run.text.count("| its last words") == 1
    assert run.text.count("Next: see the lines above") == 1
    assert "✗ Failed fails (id: 1)" in run.text, "its own words"
    assert "Job stats" in run.text
    assert logged(workflow).count(FAILED) == logged(workflow).count("| its last words") == 1
    assert all(workflow.has(f"fine.{n}.txt") for n in range(3))


def test_rich_prints_why_a_group_failed_once(workflow: Workflow, folder_of: Callable[[str], Path]):
    workflow.write("Snakefile", GROUP)
    run = start(workflow, folder_of("rich"), "rich")
    run.ends_with(1)
    assert run.text.count("failed on worker rank 2") == 1
    assert logged(workflow).count("failed on worker rank 2") == 1


def test_ctrl_c_ends_a_run_that_rich_shows(workflow: Workflow, folder_of: Callable[[str], Path]):
    workflow.write("Snakefile", 'rule all:\n    output: "a"\n    shell: "touch started; sleep 1000"\n')
    run = start(workflow, folder_of("rich"), "rich")
    workflow.wait_for("started", run=run)
    run.interrupt()
    run.ends_with(1)
    assert "Traceback" not in run.text
    workflow.assert_nothing_left()


def test_snkmt_has_it_among_the_errors_of_the_rule(workflow: Workflow, folder_of: Callable[[str], Path]):
    workflow.write("Snakefile", SNAKEFILE)
    run = start(workflow, folder_of("snkmt"), "snkmt", "--logger-snkmt-db", str(workflow.folder / "runs.db"))
    run.ends_with(1)
    ((rule, exception, traceback),) = rows(
        workflow, "SELECT rules.name, exception, traceback FROM errors JOIN rules ON rules.id = rule_id"
    )
    assert rule == "fails"
    assert exception.startswith(FAILED)
    assert exception.endswith("with exit code 7.")
    assert "| its last words\n  Next: " in traceback
    assert rows(workflow, "SELECT status FROM workflows") == [("ERROR",)]
    assert run.text.count(FAILED) == 1, "Snakemake's own output has it too"
    assert logged(workflow).count(FAILED) == 1


def test_snkmt_does_not_hold_a_run_for_failed_whose_job_was_run_again(
    workflow: Workflow, folder_of: Callable[[str], Path]
):
    workflow.write("Snakefile", RETRIED)
    run = start(workflow, folder_of("snkmt"), "snkmt", "--logger-snkmt-db", str(workflow.folder / "runs.db"))
    run.ends_with(0)
    assert run.text.count("with exit code 7.") == 1
    assert rows(workflow, "SELECT status FROM workflows") == [("SUCCESS",)]


def test_snakesee_has_the_exit_code_and_the_last_line_of_the_log(workflow: Workflow, folder_of: Callable[[str], Path]):
    workflow.write("Snakefile", SNAKEFILE)
    run = start(workflow, folder_of("snakesee"), "snakesee")
    run.ends_with(1)
    events = [json.loads(line) for line in workflow.lines(".snakesee_events.jsonl")]
    (message,) = [event["error_message"] for event in events if event["event_type"] == "job_error"]
    assert message.startswith(f"Error in rule fails, jobid: 1: {FAILED}")
    assert message.endswith("with exit code 7. Its log ends with: its last words")
    assert run.text.count(FAILED) == 1
    assert logged(workflow).count(FAILED) == 1


def rows(workflow: Workflow, query: str) -> list[tuple[str, ...]]:
    """Return what snkmt's database says."""
    with contextlib.closing(sqlite3.connect(workflow.folder / "runs.db")) as database:
        return database.execute(query).fetchall()
