"""Who parses the Snakefile: nobody for a command, each body that needs it, or each worker once if that is asked."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from harness import Workflow

SNAKEFILE = """
    import os

    with open("parses", "a") as file:
        print(os.getpid(), file=file)

    rule all:
        input: expand("out/{n}.txt", n=range(160)), expand("grouped/{n}.txt", n=range(5)), "script.txt"

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

    rule script:
        output: "script.txt"
        script: "script.py"
"""


def run(workflow: Workflow, *arguments: str, snakefile: str = SNAKEFILE) -> str:
    workflow.write("Snakefile", snakefile)
    workflow.write("script.py", "open(snakemake.output[0], 'w').close()\n")
    limits = ("--daskmpi-workers", "2", "--daskmpi-cores", "2", "--default-resources", "mem_mb=10")
    started = workflow.start(*limits, *arguments)
    started.ends_with(0)
    for folder, number in (("out", 160), ("grouped", 5)):
        assert [workflow.read(f"{folder}/{n}.txt").strip() for n in range(number)] == [str(n) for n in range(number)]
    return started.text


def test_only_bodies_with_code_of_the_snakefile_parse_it(workflow: Workflow):
    run(workflow)
    assert len(workflow.lines("parses")) == 1 + 5, "Snakemake, and the five run blocks"
    assert len(set(workflow.lines("parses"))) == 1 + 5


def test_two_workers_parse_it_once_each_if_the_parse_is_shared(workflow: Workflow):
    run(workflow, "--daskmpi-shared-parse")
    assert len(workflow.lines("parses")) == 1 + 2
    assert len(set(workflow.lines("parses"))) == 1 + 2


def test_a_parse_that_leaves_threads_is_not_shared_and_nothing_hangs(workflow: Workflow):
    threads = "import threading, time\nthreading.Thread(target=time.sleep, args=(1000,), daemon=True).start()\n"
    text = run(workflow, "--daskmpi-shared-parse", snakefile=threads + textwrap.dedent(SNAKEFILE))
    reason = "--daskmpi-shared-parse has no effect: the Snakefile has started 1 threads"
    assert text.count(reason) == 1, "once, not by each worker"
    assert len(workflow.lines("parses")) == 1 + 2 + 5, "Snakemake, each worker in vain, and the five run blocks"


@pytest.mark.nightly
def test_spawned_jobs_parse_it_once_each(workflow: Workflow):
    workflow.write("Snakefile", SNAKEFILE)
    workflow.start("--daskmpi-no-warm", "out/0.txt", "out/1.txt").ends_with(0)
    assert len(workflow.lines("parses")) == 1 + 2
