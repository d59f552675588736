"""What rules ask for beside what their jobs are granted: where workers have less, or a limit leaves less."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from reported import reported_runs
from snakemake_executor_plugin_daskmpi import cli

if TYPE_CHECKING:
    import pytest

    from harness import Workflow

SNAKEFILE = """
    rule all:
        input: "wide", "function", "large", "narrow", expand("member.{n}", n=range(3))

    rule wide:
        output: "wide"
        threads: 64
        shell: "echo {threads} $OMP_NUM_THREADS > {output}"

    rule function:
        output: "function"
        threads: lambda wildcards: 32
        run:
            import os
            with open(output[0], "w") as file:
                print(threads, os.environ["OMP_NUM_THREADS"], file=file)

    rule large:
        output: "large"
        resources: mem_mb=100_000_000
        shell: "touch {output}"

    rule narrow:
        output: "narrow"
        resources: mem_mb=10, runtime=5
        shell: "touch {output}"

    rule member:
        output: "member.{n}"
        group: "together"
        threads: 2
        shell: "touch {output}"
"""


def explained(workflow: Workflow, subject: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return what is said of what a job asks for and was granted."""
    capsys.readouterr()
    assert cli.main(["explain", subject, "-d", str(workflow.folder)]) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    return [line.partition(":")[0] for line in lines if line.startswith(("asks", "was granted"))]


def cores_and_memory(workflow: Workflow) -> dict[str, tuple[int | None, ...]]:
    """Return by rule the cores that were asked for and granted, and the memory."""
    (run,) = reported_runs(workflow)
    names = ("cores_asked", "cores_granted", "mem_asked_mb", "mem_granted_mb")
    return {rule["rule"]: tuple(rule[name] for name in names) for rule in run["rules"]}


def test_where_the_worker_was_found_to_have_less(workflow: Workflow, capsys: pytest.CaptureFixture[str]):
    workflow.write("Snakefile", SNAKEFILE)
    started = workflow.start("--daskmpi-workers", "1", "--group-components", "together=3")
    started.ends_with(0)
    (run,) = reported_runs(workflow)
    (worker,) = run["workers"]
    cores, mem_mb = worker["n_cores"], worker["mem_mb"]
    told = cores_and_memory(workflow)
    assert told["wide"] == (64, cores, None, None)
    assert told["function"] == (cores, None, None, None), "what a function says is known to Snakemake alone"
    assert workflow.read("wide") == workflow.read("function") == f"{cores} {cores}\n", "as with local's --cores"
    assert re.search(rf"asks for threads=\d+, and the largest worker was found to have {cores}; ", started.text)
    assert told["large"] == (1, None, 100_000_000, mem_mb)
    assert told["narrow"] == (1, None, 10, None)
    units = "core" if cores == 1 else "cores"
    assert explained(workflow, "wide", capsys) == ["asks for 64 cores", f"was granted {cores} {units}"]
    assert explained(workflow, "narrow", capsys) == ["asks for 1 core, 10 MB of memory, a runtime of 5 min"]


def test_where_workers_have_no_room_for_all_of_a_group(workflow: Workflow, capsys: pytest.CaptureFixture[str]):
    workflow.write("Snakefile", SNAKEFILE)
    targets = [f"member.{n}" for n in range(3)]
    arguments = ("--group-components", "together=3", "--daskmpi-workers", "1", "--daskmpi-cores", "4")
    workflow.start(*targets, *arguments).ends_with(0)
    assert explained(workflow, "together", capsys) == ["asks for 6 cores", "was granted 4 cores"]


def test_where_limits_of_snakemakes_command_line_leave_less(workflow: Workflow, capsys: pytest.CaptureFixture[str]):
    workflow.write("Snakefile", SNAKEFILE)
    limits = ("--cores", "8", "--max-threads", "2", "--resources", "mem_mb=500")
    workflow.start("--daskmpi-workers", "1", "--daskmpi-cores", "4", *limits).ends_with(0)
    told = cores_and_memory(workflow)
    assert told["wide"] == (64, 2, None, None)
    assert told["large"] == (1, None, 100_000_000, 500)
    assert told["narrow"] == (1, None, 10, None)
    # What a function has said, nobody but Snakemake knows.
    assert told["function"] == (2, None, None, None)
    assert explained(workflow, "large", capsys) == [
        "asks for 1 core, 100000000 MB of memory",
        "was granted 500 MB of memory",
    ]
