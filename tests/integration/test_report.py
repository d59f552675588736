"""The report of real runs: the record that a run writes has all that it needs."""

from __future__ import annotations

import csv
import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi import cli

if TYPE_CHECKING:
    from harness import Workflow

SNAKEFILE = """
    rule all:
        input: expand("part.{n}.txt", n=range(4)), "last.txt"

    rule part:
        output: "part.{n}.txt"
        threads: 2
        resources: mem_mb=100, runtime=3
        shell: "sleep 0.5; touch {output}"

    rule last:
        input: expand("part.{n}.txt", n=range(4))
        output: "last.txt"
        retries: 1
        shell: "sleep 0.2; test -e tried && touch {output} || {{ touch tried; exit 3; }}"
"""


def report(workflow: Workflow) -> dict:
    assert cli.main(["report", "-d", str(workflow.folder), "--json", str(workflow.folder / "report.json")]) == 0
    (told,) = json.loads(workflow.read("report.json"))["runs"]
    return told


def test_a_run_is_told_with_its_retries_its_chain_and_where_its_cores_were(workflow):
    workflow.write("Snakefile", SNAKEFILE)
    workflow.start("--daskmpi-workers", "1", "--daskmpi-cores", "4").ends_with(0)
    told = report(workflow)
    key = told["key"]
    assert told["end"] == "ended"
    assert (key["n_jobs"], key["n_done"], key["n_failed"], key["n_retries"]) == (5, 5, 0, 1)
    assert [link["rule"] for link in told["chain"]] == ["part", "last"]
    assert told["chain"][1]["n_attempts"] == 2
    assert [(one["rule"], one["exit_code"], one["done_later"]) for one in told["failures"]] == [("last", 3, True)]
    assert Path(told["failures"][0]["log"]).is_file()
    rules = {rule["rule"]: rule for rule in told["rules"]}
    asked = [rules["part"][name] for name in ("cores_asked", "mem_asked_mb", "runtime_asked_s")]
    assert asked == [2, 100, 180]
    assert 0.5 <= rules["part"]["runtime_median_s"] < 5
    # Four parts of two cores, two at a time on four cores, for half a second each.
    assert key["granted_core_h"] * 3600 >= 4 * 2 * 0.5
    assert abs(sum(told["idle_core_h"].values()) - key["idle_core_h"]) < 1e-6
    assert told["n_skipped"] == 0
    assert cli.main(["report", "-d", str(workflow.folder), "--csv", str(workflow.folder / "jobs.csv")]) == 0
    with (workflow.folder / "jobs.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert sorted((row["rule"], row["attempt"], row["outcome"]) for row in rows) == [
        ("last", "1", "failed"),
        ("last", "2", "ok"),
        *[("part", "1", "ok")] * 4,
    ]


def test_for_want_of_what_cores_idled_while_jobs_waited_is_told(workflow):
    workflow.write(
        "Snakefile",
        """
        rule all:
            input: expand("large.{n}", n=range(2))

        rule large:
            output: "large.{n}"
            resources: mem_mb=600
            shell: "sleep 2; touch {output}"
        """,
    )
    workflow.start("--daskmpi-workers", "1", "--daskmpi-cores", "4", "--daskmpi-mem-mb", "1000").ends_with(0)
    told = report(workflow)
    # Three cores idled for two seconds while the second job waited, which asks for one.
    assert [lack for lack, hours in told["too_large_core_h"].items() if hours] == ["memory"]
    assert told["too_large_core_h"]["memory"] * 3600 >= 1.9


def test_a_worker_that_died_and_what_it_ran_are_told(workflow):
    workflow.write(
        "Snakefile",
        """
        rule all:
            output: "done.txt"
            shell: "test -e tried || {{ touch tried; sleep 300; }}; touch {output}"
        """,
    )
    workflow.killed = True
    run = workflow.start("--daskmpi-workers", "2", "--daskmpi-cores", "1", "--retries", "1")
    workflow.wait_for("tried", run=run)
    told = report(workflow)
    assert told["end"] == "goes_on"
    # Of the two workers, that with the job.
    (running,) = [worker for worker in told["workers"] if worker["n_attempts"]]
    workflow.rank(int(running["name"].split()[1])).send_signal(signal.SIGKILL)
    run.ends_with(0)
    told = report(workflow)
    assert [(one["outcome"], one["done_later"]) for one in told["failures"]] == [("lost", True)]
    assert (told["key"]["n_workers_lost"], told["key"]["n_lost"], told["key"]["n_retries"]) == (1, 1, 1)
