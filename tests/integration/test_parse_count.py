"""The Snakefile is parsed once on each worker, not once for each job."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness import Workflow

SNAKEFILE = """
    import os

    with open("parses", "a") as file:
        print(os.getpid(), file=file)

    rule all:
        input: expand("out/{n}.txt", n=range(160)), expand("grouped/{n}.txt", n=range(20))

    rule one:
        output: "out/{n}.txt"
        params: n=lambda wildcards: wildcards.n
        shell: "echo {params.n} > {output}"

    rule first:
        output: temp("first.{n}.txt")
        group: "both"
        run:
            with open(output[0], "w") as file:
                print(wildcards.n, file=file)

    rule second:
        input: "first.{n}.txt"
        output: "grouped/{n}.txt"
        group: "both"
        shell: "cp {input} {output}"
"""


def test_two_hundred_jobs_on_two_workers_parse_the_snakefile_twice_there(workflow: Workflow):
    workflow.write("Snakefile", SNAKEFILE)
    workflow.start("--daskmpi-workers", "2", "--daskmpi-cores", "2", "--default-resources", "mem_mb=10").ends_with(0)
    for folder, number in (("out", 160), ("grouped", 20)):
        assert [workflow.read(f"{folder}/{n}.txt").strip() for n in range(number)] == [str(n) for n in range(number)]
    assert len(set(workflow.lines("parses"))) == 3, "Snakemake and two forkservers"
    assert len(workflow.lines("parses")) == 3, "and none of them twice"


def test_spawned_jobs_parse_it_once_each(workflow: Workflow):
    workflow.write("Snakefile", SNAKEFILE)
    workflow.start("--daskmpi-no-warm", "out/0.txt", "out/1.txt").ends_with(0)
    assert len(workflow.lines("parses")) == 1 + 2
