"""What long chains of jobs wait for starts first: the end of a run is not one chain on one core."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness import Workflow


def test_the_first_job_of_a_chain_starts_before_larger_jobs_that_nothing_waits_for(workflow: Workflow):
    workflow.write(
        "Snakefile",
        """
        rule all:
            input: expand("alone/{n}", n=range(5)), "third", "known"

        rule alone:
            output: touch("alone/{n}")
            threads: 2
            shell: "echo alone >> order"

        rule first:
            output: touch("first")
            shell: "echo first >> order"

        rule second:
            input: "first"
            output: touch("second")
            shell: "echo second >> order"

        rule third:
            input: "second"
            output: touch("third")
            shell: "echo third >> order"

        checkpoint found:
            output: touch("found")
            shell: "echo found >> order"

        rule known:
            input: lambda wildcards: checkpoints.found.get().output
            output: touch("known")
            shell: "echo known >> order"
        """,
    )
    run = workflow.run("--daskmpi-cores", "2")
    run.ends_with(0)
    order = workflow.lines("order")
    # Both need one core of two. What waits for them may start before the other has come to say so.
    assert {"first", "found"} <= set(order[: order.index("alone")]), order
    assert sorted(order) == ["alone"] * 5 + ["first", "found", "known", "second", "third"]
