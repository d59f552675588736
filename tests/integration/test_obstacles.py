"""A job that cannot go warm is spawned, says why in the debug log, and ends the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness import Workflow

#: A job that may go warm, and one that cannot be rebuilt by the worker: each parse makes another token.
SNAKEFILE = """
    import os

    class Token:
        def __reduce__(self):
            return _broken, ()

    def _broken():
        raise RuntimeError("only rank 1 can make one")

    rule all:
        input: "a.txt", "token.txt"

    rule a:
        output: "a.txt"
        shell: "echo ${{ADDED:-nothing}} > {output}"

    # Its params are sent for the benchmark's sake.
    rule token:
        output: "token.txt"
        params: token=lambda wildcards: Token()
        benchmark: "token.tsv"
        shell: "echo {params.token.__class__.__name__} > {output}"
"""


def test_a_precommand_spawns_the_jobs_it_is_for(workflow: Workflow):
    workflow.write("Snakefile", SNAKEFILE)
    run = workflow.start("--verbose", "--precommand", "export ADDED=something")
    run.ends_with(0)
    assert workflow.read("a.txt") == "something\n"
    assert "is spawned: --precommand is set" in run.text


def test_a_job_that_the_worker_cannot_rebuild_is_spawned_with_one_warning(workflow: Workflow):
    workflow.write("Snakefile", SNAKEFILE)
    run = workflow.start("--verbose", "--benchmark-extended")
    run.ends_with(0)
    assert workflow.read("a.txt") == "nothing\n"
    assert workflow.read("token.txt") == "Token\n"
    assert run.text.count("a job could not be rebuilt on the worker: RuntimeError: only rank 1 can make one") == 2
    assert run.text.count("jobs are spawned, which is slower") == 1


def test_no_warm_spawns_every_job(workflow: Workflow):
    workflow.write("Snakefile", "rule all:\n    output: 'a'\n    run: open(output[0], 'w').write(' '.join(sys.argv))\n")
    workflow.write("Snakefile", "import sys\n" + workflow.read("Snakefile"))
    run = workflow.start("--daskmpi-no-warm", "--verbose")
    run.ends_with(0)
    assert "is spawned: --daskmpi-no-warm is set" in run.text
    assert "--mode remote" in workflow.read("a")


def test_a_parse_that_fails_in_a_jobs_process_fails_that_job_as_with_snakemakes_own_executor(workflow: Workflow):
    # The second parse is that of the job, the third one that of its second attempt.
    snakefile = """
        with open("parses", "a+") as file:
            print("parsed", file=file)
            file.seek(0)
            if len(file.readlines()) == 2:
                raise OSError("the file system has a bad moment")

        rule all:
            input: "out.txt", "other.txt"

        rule one:
            output: "out.txt"
            retries: 1
            run:
                open(output[0], "w").write("made")

        rule other:
            output: "other.txt"
            shell: "touch {output}"
    """
    workflow.write("Snakefile", snakefile)
    run = workflow.start()
    run.ends_with(0)
    assert workflow.read("out.txt") == "made"
    assert "the file system has a bad moment" in run.text
    assert run.text.count("Rule one (jobid 1) failed on worker rank 2") == 1
    assert len(workflow.lines("parses")) == 3
    assert "spawned, which is slower" not in run.text


def test_immediate_submit_is_refused_before_anything_starts(workflow: Workflow):
    workflow.write("Snakefile", SNAKEFILE)
    run = workflow.start("--immediate-submit", "--notemp")
    run.ends_with(1)
    assert "--immediate-submit cannot be used here" in run.text
    assert "Next: leave it out" in run.text
    assert not workflow.has(".snakemake/daskmpi")
