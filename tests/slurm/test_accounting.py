"""What Slurm counted of a run's job, in the run's report: with an accounting that is there, away, hangs, or is none."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

import slurm_accounting
from batch_runs import HEAD, WORKERS, batch_of, recorded, submit
from browser import Browser
from harness import require, wait_until
from mpis import MPIS
from required import skip_or_fail
from slurm_cluster import SlurmCluster, missing
from snakemake_executor_plugin_daskmpi import cli
from snakemake_executor_plugin_daskmpi.slurm.plan import Plan
from snakemake_executor_plugin_daskmpi.slurm.script.srun import Step, srun_command

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness import Workflow
    from runs import SlurmRun

#: Ranks 0 and 1 on a node, two workers on one each.
PLAN = Plan((HEAD, replace(WORKERS, cpus_per_task=5)), walltime_min=10)
MIB = 1024**2 / 1e6

#: It computes, with some memory, until it may end.
SNAKEFILE = """\
    rule one:
        output: "done"
        resources: mem_mb=200
        run:
            import os
            had = b'x' * 150_000_000
            open("started", "w").close()
            while not os.path.exists("go"):
                sum(range(10_000))
            # On a loaded machine, memory is looked at each half second only.
            for _ in range(10_000):
                sum(range(10_000))
            open(output[0], "w").close()
    """
#: Without MPI: a worker of a Slurm job on one node.
BATCH = """\
    #!/bin/bash
    #SBATCH --ntasks=1 --cpus-per-task=2 --mem-per-cpu=512 --time=10
    python -m snakemake --executor daskmpi --jobs unlimited --daskmpi-launcher local --daskmpi-workers 1
    """


@pytest.fixture(scope="module")
def cluster() -> Iterator[SlurmCluster]:
    """A Slurm with slurmdbd, and a database behind it."""
    for name, reason in (("slurm", missing()), ("slurmdbd", slurm_accounting.missing())):
        if reason:
            skip_or_fail(name, reason)
    cluster = SlurmCluster(has_accounting=True)
    try:
        cluster.up()
        yield cluster
    finally:
        cluster.down()
        cluster.wipe()


@pytest.fixture
def accounting(cluster: SlurmCluster, workflow: Workflow) -> Iterator[SlurmCluster]:
    """The same, idle, which the runs of the test's workflow see."""
    workflow.slurm = cluster
    try:
        yield cluster
    finally:
        cluster.clear()


def slurm_of(workflow: Workflow) -> dict[str, Any]:
    """Return what the report of the newest run has of its Slurm job."""
    path = workflow.folder / "report.json"
    assert cli.main(["report", "-d", str(workflow.folder), "--json", str(path)]) == 0
    (run,) = json.loads(path.read_text())["runs"]
    return run["slurm"]


def counted_of(workflow: Workflow) -> list[dict[str, Any]]:
    """Return the components that Slurm tells of, none if it does not yet."""
    return [component["counted"] for component in slurm_of(workflow)["components"]]


def used_so_far(workflow: Workflow, run: SlurmRun) -> list[dict[str, Any]]:
    """Return the components when Slurm tells what all of them have used.

    Here it misses what is in a session of its own, as jobs are, until that has ended: it has no cgroups.
    """

    def told() -> list[dict[str, Any]]:
        counted = counted_of(workflow)
        return counted if all(each["max_rss_mb"] for each in counted) else []

    return wait_until(told, on_timeout=lambda: f"{slurm_of(workflow)}\n{run.text}", timeout_s=60, every_s=0.3)


def about(workflow: Workflow) -> dict[str, Any]:
    """Return the first line of the record."""
    (record,) = workflow.folder.glob(".snakemake/daskmpi/*/events.jsonl")
    return json.loads(record.read_text().splitlines()[0])


def text_of(browser: Browser) -> str:
    """Return what the part of the page on Slurm says."""
    return browser.value("document.getElementById('run-1-slurm').nextElementSibling.innerText")


def test_the_report_has_what_slurm_counted_of_each_component(
    workflow: Workflow, accounting: SlurmCluster, monkeypatch: pytest.MonkeyPatch
):
    require("mpich")
    monkeypatch.setenv("SLURM_CONF", str(accounting.conf))
    workflow.write("Snakefile", SNAKEFILE)
    batch = batch_of(workflow, srun=tuple(srun_command(Step("pmi2", (1, 5)))))
    run = submit(workflow, PLAN, replace(batch, exports=(*batch.exports, *MPIS["mpich"].environ.items())))
    workflow.wait_for("started", run=run)

    counted = used_so_far(workflow, run)
    assert [each["job"] for each in counted] == [f"{run.job_id}+0", f"{run.job_id}+1"]
    assert {(each["state"], each["ended_at"]) for each in counted} == {("RUNNING", None)}
    assert all(each["cpu_s"] is not None for each in counted), counted

    workflow.write("go", "")
    wait_until(lambda: recorded(batch), on_timeout=lambda: run.text)
    assert recorded(batch) == "0", run.text

    def told() -> list[dict[str, Any]] | None:
        found = slurm_of(workflow)["components"]
        has_all = all(each["counted"]["state"] == "COMPLETED" and each["cpu_efficiency"] for each in found)
        return found if has_all else None

    head, workers = wait_until(told, on_timeout=lambda: f"{slurm_of(workflow)}\n{run.text}", every_s=0.3)
    for component, ask in zip((head, workers), PLAN.components, strict=True):
        counted = component["counted"]
        cpus = ask.n_tasks * ask.cpus_per_task
        assert (counted["n_cpus"], counted["timelimit_s"], counted["exit_code"]) == (cpus, 600, 0)
        assert counted["mem_mb"] == pytest.approx(cpus * ask.mem_per_cpu_mb * MIB)
        assert counted["elapsed_s"] == counted["ended_at"] - counted["started_at"]
        assert component["cpu_efficiency"] == pytest.approx(counted["cpu_s"] / cpus / counted["elapsed_s"])
        assert set(accounting.ask("scontrol", "show", "hostnames", counted["nodes"]).split()) <= set(accounting.nodes)
    assert about(workflow)["slurm_cluster"] == "lab"
    assert (head["recorded"]["n_workers"], workers["recorded"]["n_workers"]) == (0, 2)
    # The same from both sides: Slurm sees the job, and the worker around it.
    assert 0 < 3600 * workers["recorded"]["cpu_core_h"] < workers["counted"]["cpu_s"]
    assert workers["recorded"]["job_peak_mb"] > 150
    assert workers["counted"]["max_rss_mb"] > 10

    page = workflow.folder / "report.html"
    assert cli.main(["report", "-d", str(workflow.folder), "-o", str(page)]) == 0
    browser = Browser(workflow.tmpdir)
    try:
        browser.open(page)
        assert browser.errors == []
        text = text_of(browser)
        assert f"{run.job_id}+0\tCOMPLETED" in text
        assert f"{run.job_id}+1\tCOMPLETED\t{workers['counted']['nodes']}" in text
        assert browser.value("document.querySelector('nav').innerText").count("Slurm") == 1
    finally:
        browser.close()


def test_while_slurmdbd_is_away_slurmctld_and_the_nodes_tell_of_what_runs_and_while_it_hangs_nobody_waits(
    workflow: Workflow, accounting: SlurmCluster, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SLURM_CONF", str(accounting.conf))
    workflow.write("Snakefile", SNAKEFILE)
    run = workflow.sbatch(BATCH)
    workflow.wait_for("started", run=run)
    with accounting.hanging("slurmdbd"):
        assert slurm_of(workflow) == {"components": [], "why_not_all": "sacct gave no answer in 4 s"}
    accounting.kill_daemon("slurmdbd")
    try:
        (counted,) = used_so_far(workflow, run)
    finally:
        accounting.start_slurmdbd()
    assert (counted["job"], counted["state"], counted["n_cpus"]) == (str(run.job_id), "RUNNING", 2)
    assert (counted["timelimit_s"], counted["nodes"]) == (600, about(workflow)["host"])
    assert counted["cpu_s"] is not None
    workflow.write("go", "")
    run.ends_with(0)


def test_without_accounting_a_line_says_so(workflow: Workflow, slurm: SlurmCluster, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SLURM_CONF", str(slurm.conf))
    workflow.write("Snakefile", SNAKEFILE)
    run = workflow.sbatch(BATCH)
    workflow.wait_for("started", run=run)
    # Slurmctld knows what it has given; what that used, nobody gathers.
    (counted,) = counted_of(workflow)
    assert (counted["job"], counted["state"], counted["n_cpus"]) == (str(run.job_id), "RUNNING", 2)
    assert (counted["cpu_s"], counted["max_rss_mb"]) == (None, None)
    workflow.write("go", "")
    run.ends_with(0)
    none = {"components": [], "why_not_all": "sacct said: Slurm accounting storage is disabled"}
    assert slurm_of(workflow) == none
