"""Without --keep-going, a failed job is the last that starts, as with local: also of those that were handed over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runs import wait_until

if TYPE_CHECKING:
    from harness import Workflow

#: One job at a time, the first of which may fail.
SNAKEFILE = """
    rule all:
        input: "first.txt", expand("{n}.txt", n=range(8))

    rule first:
        output: "first.txt"
        priority: 9
        threads: 2
        shell: "echo first >> ran; while [ ! -e go ]; do sleep 0.1; done; test -e good && touch {output}"

    rule other:
        output: "{n}.txt"
        threads: 2
        shell: "echo {wildcards.n} >> ran; touch {output}"
"""
#: Two jobs at a time, one of which fails; and a local rule, which may.
BESIDE = """
    localrules: all, local

    rule all:
        input: "bad.txt", "local.txt", expand("{n}.txt", n=range(8))

    rule bad:
        output: "bad.txt"
        priority: 9
        shell: "touch started.bad; while [ ! -e go ]; do sleep 0.1; done; exit 3"

    rule local:
        output: "local.txt"
        shell: "while [ ! -e started.bad ]; do sleep 0.1; done; test ! -e fails"

    rule other:
        output: "{n}.txt"
        shell: "touch started.{wildcards.n}; while [ ! -e on ]; do sleep 0.1; done; touch {output}"
"""
OTHERS = {*map(str, range(8))}


@pytest.mark.parametrize("launcher", ["local", "mpich"])
def test_what_waits_does_not_start(workflow: Workflow, launcher: str):
    workflow.write("Snakefile", SNAKEFILE)
    run = workflow.start("--cores", "2", "--daskmpi-cores", "2", launcher=launcher, ranks=3)
    wait_until(lambda: workflow.lines("ran"), on_timeout=lambda: run.text)
    workflow.write("go", "")
    run.ends_with(1)
    assert workflow.lines("ran") == ["first"]
    assert "daskmpi: a job has failed: no further jobs start, none runs." in run.text
    assert "Exiting because a job execution failed." in run.text, "it is Snakemake's own end"
    workflow.write("good", "")
    workflow.run("--executor", "local", "--cores", "2")
    assert sorted(workflow.lines("ran")[1:]) == sorted({"first", *OTHERS}), "nothing passes for half-made"


@pytest.mark.parametrize("what", ["a job", "a job of a local rule"])
def test_what_runs_may_end(workflow: Workflow, what: str):
    workflow.write("Snakefile", BESIDE)
    if what == "a job":
        workflow.write("local.txt", "")
    else:
        workflow.write("fails", "")
    run = workflow.start("--cores", "2", "--daskmpi-cores", "2", launcher="local")
    wait_until(lambda: len(list(workflow.folder.glob("started.*"))) == 2, on_timeout=lambda: run.text)
    if what == "a job":
        workflow.write("go", "")
    running = {"a job": "1 running one", "a job of a local rule": "2 running ones"}[what]
    wait_until(lambda: f"no further jobs start, {running} may end." in run.text, on_timeout=lambda: run.text)
    workflow.write("go", "")
    workflow.write("on", "")
    run.ends_with(1)
    [started] = {path.suffix[1:] for path in workflow.folder.glob("started.*")} - {"bad"}
    assert [path.stem for path in workflow.folder.glob("[0-9].txt")] == [started]


@pytest.mark.parametrize(("more", "code"), [(("--keep-going",), 1), (("--retries", "1"), 0)])
def test_others_start_with_keep_going_and_while_a_job_may_be_tried_again(workflow: Workflow, more, code):
    # The second try is right.
    workflow.write("go", "")
    workflow.write("Snakefile", SNAKEFILE.replace("test -e good", "{{ mkdir again && exit 5; true; }}"))
    run = workflow.start("--cores", "2", "--daskmpi-cores", "2", *more, launcher="local")
    run.ends_with(code)
    assert set(workflow.lines("ran")) == {"first", *OTHERS}
