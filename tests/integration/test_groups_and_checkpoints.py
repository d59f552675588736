"""Groups of which a checkpoint makes some jobs: Snakemake loses track of them with all executors that know groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from harness import Workflow

#: A chain of three rules for each part, of which the second one reads what a checkpoint makes.
SNAKEFILE = """
    rule all:
        input: expand("c/{n}", n=range(3)), "final"

    checkpoint split:
        output: directory("parts")
        shell: "sleep 0.5; mkdir {output}; for n in 0 1 2; do echo $n > {output}/$n.txt; done"

    rule a:
        output: "a/{n}"
        GROUP
        shell: "echo a{wildcards.n} >> ran; sleep 1; touch {output}"

    def part(wildcards):
        return checkpoints.split.get().output[0] + f"/{wildcards.n}.txt"

    rule b:
        input: "a/{n}", part
        output: "b/{n}"
        GROUP
        shell: "echo b{wildcards.n} >> ran; cp {input[1]} {output}"

    rule c:
        input: "b/{n}"
        output: "c/{n}"
        GROUP
        shell: "echo c{wildcards.n} >> ran; cp {input} {output}"

    def parts(wildcards):
        folder = checkpoints.split.get().output[0]
        return expand("c/{n}", n=sorted(glob_wildcards(folder + "/{n}.txt").n))

    rule final:
        input: parts
        output: "final"
        shell: "cat {input} > {output}"
"""
BY_FLAG = ("--groups", "a=g", "b=g", "c=g")


@pytest.mark.parametrize(("group", "flags"), [("", BY_FLAG), ('group: "g"', ())], ids=["by profile", "by rule"])
def test_each_job_runs_once_and_all_are_done(workflow: Workflow, group: str, flags: tuple[str, ...]):
    workflow.write("Snakefile", SNAKEFILE.replace("GROUP", group))
    run = workflow.start("--daskmpi-cores", "4", *flags)
    run.ends_with(0)
    assert sorted(workflow.lines("ran")) == [f"{rule}{n}" for rule in "abc" for n in range(3)]
    assert workflow.read("final") == "0\n1\n2\n"
    assert "go one by one in this run, since checkpoint split may change groups" in run.text
    again = workflow.start("--daskmpi-cores", "4", *flags)
    again.ends_with(0)
    assert "Nothing to be done" in again.text


def test_what_a_pipe_joins_stays_together(workflow: Workflow):
    workflow.write(
        "Snakefile",
        """
        rule all:
            input: "read", "parts"

        checkpoint split:
            output: directory("parts")
            shell: "mkdir {output}"

        rule write:
            output: pipe("piped")
            group: "g"
            shell: "echo through > {output}"

        rule read:
            input: "piped"
            output: "read"
            group: "g"
            shell: "cat {input} > {output}"
        """,
    )
    run = workflow.start("--daskmpi-cores", "4")
    run.ends_with(0)
    assert workflow.read("read") == "through\n"


def test_what_stays_on_a_node_stays_together(workflow: Workflow):
    # Members of the groups wait for the checkpoint, which gives one more.
    snakefile = SNAKEFILE.replace("GROUP", "").replace('output: "a/{n}"', 'output: temp("a/{n}", group_jobs=True)')
    workflow.write("Snakefile", snakefile.replace("for n in 0 1 2", "for n in 0 1 2 3"))
    run = workflow.start("--daskmpi-cores", "4")
    run.ends_with(0)
    assert sorted(workflow.lines("ran")) == [f"{rule}{n}" for rule in "abc" for n in range(4)]
    assert workflow.read("final") == "0\n1\n2\n3\n"
    assert "Group job" in run.text


def test_each_group_has_its_service(workflow: Workflow):
    workflow.write(
        "Snakefile",
        """
        rule all:
            input: expand("used/{n}", n=range(3)), "parts_used"

        checkpoint split:
            output: directory("parts")
            shell: "mkdir {output}"

        rule serve:
            output: service("serves.{groupid}")
            shell: "echo up > {output}; sleep 100"

        def service_of(wildcards, groupid):
            return f"serves.{groupid}"

        rule use:
            input: service_of
            output: "used/{n}"
            group: "g"
            shell: "sleep 1; cp {input} {output}"

        def parts(wildcards):
            return checkpoints.split.get().output

        rule use_parts:
            input: parts
            output: "parts_used"
            shell: "touch {output}"
        """,
    )
    run = workflow.start("--daskmpi-cores", "6")
    run.ends_with(0)
    assert [workflow.read(f"used/{n}") for n in range(3)] == ["up\n"] * 3


def test_without_checkpoints_groups_are_groups(workflow: Workflow):
    workflow.write(
        "Snakefile",
        """
        rule all:
            input: "b"

        rule a:
            output: "a"
            group: "g"
            shell: "touch {output}"

        rule b:
            input: "a"
            output: "b"
            group: "g"
            shell: "touch {output}"
        """,
    )
    run = workflow.start("--daskmpi-cores", "4")
    run.ends_with(0)
    assert "Group job g" in run.text
    assert "one by one" not in run.text
