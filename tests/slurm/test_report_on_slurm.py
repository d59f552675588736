"""The report of a hetjob in which a worker was lost: its page, in a real browser."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from batch_runs import HEAD, WORKERS, batch_of, recorded, submit
from browser import Browser
from harness import require, wait_until
from looks import LOOKS, look_at
from mpis import MPIS
from snakemake_executor_plugin_daskmpi import cli
from snakemake_executor_plugin_daskmpi.slurm.plan import Plan

if TYPE_CHECKING:
    from harness import Workflow
    from slurm_cluster import SlurmCluster

#: Rank 2, of one core, beside ranks 0 and 1; ranks 3 and 4, of two, in the second component.
PLAN = Plan((replace(HEAD, n_tasks=3), WORKERS), walltime_min=10)

SNAKEFILE = """\
    rule all:
        input: expand("wide.{n}", n=range(2)), expand("narrow.{n}", n=range(4))

    rule wide:
        output: "wide.{n}"
        threads: 2
        resources: mem_mb=10
        shell: "hostname >> ran.{wildcards.n}; while [ ! -e go ]; do sleep 0.05; done; touch {output}"

    rule narrow:
        output: "narrow.{n}"
        resources: mem_mb=10
        shell: "sleep 0.3; touch {output}"
    """


def rows(browser: Browser, table: str) -> list[str]:
    """Return the texts of the rows of a table, as people see them."""
    rows = f"[...document.querySelectorAll('[aria-label=\"{table}, run 1\"] tbody tr')]"
    return browser.value(f"{rows}.map(row => row.innerText)")


def test_the_page_has_both_components_the_worker_that_was_lost_and_what_became_of_its_job(
    workflow: Workflow,
    slurm: SlurmCluster,  # noqa: ARG001
):
    require("mpich")
    workflow.write("Snakefile", SNAKEFILE)
    batch = batch_of(workflow, "--retries", "1")
    run = submit(workflow, PLAN, replace(batch, exports=(*batch.exports, *MPIS["mpich"].environ.items())))
    # A shell opens a file before it runs what writes to it.
    workflow.wait_for("ran.0", "ran.1", run=run, filled=True)
    workflow.killed = True
    victim = workflow.rank(4)
    node = victim.environ()["SLURMD_NODENAME"]
    victim.kill()
    wait_until(lambda: "was lost on worker rank 4" in run.text or recorded(batch), on_timeout=lambda: run.text)
    workflow.write("go", "")
    wait_until(lambda: recorded(batch), on_timeout=lambda: run.text)
    assert recorded(batch) == "0", run.text
    (lost,) = [n for n in range(2) if len(workflow.lines(f"ran.{n}")) > 1]
    page = workflow.folder / "report.html"
    assert cli.main(["report", "-d", str(workflow.folder), "-o", str(page)]) == 0
    browser = Browser(workflow.tmpdir)
    try:
        for look in LOOKS:
            look_at(browser, page, "report-hetjob", look)
        workers = {text.split("\t")[0]: text.split("\t")[1:] for text in rows(browser, "Workers")}
        assert {name: cells[1] for name, cells in workers.items()} == {"rank 2": "0", "rank 3": "1", "rank 4": "1"}
        assert workers["rank 4"][0] == node
        assert [name for name, cells in workers.items() if cells[6] != "no"] == ["rank 4"]
        (failure,) = rows(browser, "Failed jobs")
        assert f"n={lost}" in failure
        assert "lost, done later" in failure
        assert "rank 4" in failure
        key = browser.value("document.querySelector('.key').innerText")
        assert "6 of 6" in key
        assert "1 retry, 1 lost with a worker" in key
        assert "1 lost" in browser.value("[...document.querySelectorAll('.key dd')].at(-1).innerText")
        shares = [int(cells[-1].removesuffix(" %")) for cells in workers.values()]
        assert max(shares) <= 100
        # An attempt has no cores any more when its worker has none.
        assert int(re.search(r"utilisation (\d+)", key)[1]) <= 100, key
        heading = browser.value("document.querySelector('.run').innerText")
        assert f"Slurm job {run.job_id}" in heading
    finally:
        browser.close()
    run.wait()
