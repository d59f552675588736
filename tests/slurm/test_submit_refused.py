"""What cannot be is refused before anything is submitted: what was asked, what the site has, what to type."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from submissions import assert_no_trace, submit

if TYPE_CHECKING:
    from harness import Workflow
    from slurm_cluster import SlurmCluster

SNAKEFILE = """\
    rule all:
        output: "done"
        threads: 1
        resources: mem_mb=config.get("mem", 100), runtime=1
        shell: "touch {output}"
    """

KINDS = """\
    rule all:
        input: "plain", "annotated"

    rule plain:
        output: "plain"
        shell: "touch {output}"

    rule annotated:
        output: "annotated"
        resources: slurm_partition="short"
        shell: "touch {output}"
    """

CASES = {
    "an unknown partition": (
        SNAKEFILE,
        ["--daskmpi-partition", "shrot"],
        "There is no partition 'shrot'. Did you mean short?",
        "--daskmpi-partition short",
    ),
    "a job larger than any node": (
        SNAKEFILE,
        ["--config", "mem=100000"],
        "Rule all asks for mem_mb=100000, more than any node of partition main has: 16384.",
        "--set-resources all:mem_mb=16384",
    ),
    "a walltime above the limit": (
        SNAKEFILE,
        ["--daskmpi-partition", "short", "--daskmpi-walltime", "2h"],
        "A walltime of 2 h is above the limit of partition short.",
        "--daskmpi-walltime 00:15:00, or --daskmpi-partition main",
    ),
    "more components than allowed": (
        KINDS,
        ["--daskmpi-max-components", "1"],
        "The workflow needs 2 components, more than it may have.",
        "--daskmpi-max-components 2",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_refused_with_a_way_out(workflow: Workflow, slurm: SlurmCluster, name: str):
    snakefile, arguments, happened, next_step = CASES[name]
    workflow.write("Snakefile", snakefile)
    run = submit(workflow, *arguments)
    run.ends_with(1)
    assert happened in run.text
    assert f"Next: {next_step}" in run.text
    assert not slurm.squeue("--states=PENDING,RUNNING")
    assert not list(workflow.folder.glob(".snakemake/daskmpi/submissions/*")), "a submission was begun"
    assert_no_trace(workflow)
