"""Five hundred jobs of which fifty fail end as they do under Snakemake's local executor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness import REFERENCE, Workflow

if TYPE_CHECKING:
    from pathlib import Path

#: A tenth of the jobs fails, by exit code, signal or exception; a third of those at the first attempt only.
SNAKEFILE = """
    import random

    N = 500
    FAILING = sorted(random.Random(11).sample(range(N), 50))
    RAISING = FAILING[: len(FAILING) // 5]
    WAY = {n: ["exit 3", "kill -SEGV $$", "kill -KILL $$", "false"][i % 4] for i, n in enumerate(FAILING)}
    ONLY_AT_FIRST = set(FAILING[::3])

    def attempts_to_fail(n):
        return (1 if n in ONLY_AT_FIRST else 9) if n in FAILING else 0

    rule all:
        input: expand("shell/{n}", n=[n for n in range(N) if n not in RAISING]), expand("run/{n}", n=RAISING)

    rule shell:
        output: "shell/{n}"
        params: way=lambda wildcards: WAY.get(int(wildcards.n), "true")
        resources:
            attempt=lambda wildcards, attempt: attempt,
            fails=lambda wildcards: attempts_to_fail(int(wildcards.n))
        shell:
            "echo {wildcards.n} > {output}; echo {resources.attempt} >> attempts/{wildcards.n}; "
            "[ {resources.attempt} -gt {resources.fails} ] || {params.way}"

    rule run:
        output: "run/{n}"
        resources: attempt=lambda wildcards, attempt: attempt
        run:
            with open(output[0], "w") as file, open(f"attempts/{wildcards.n}", "a") as attempts:
                print(wildcards.n, file=file)
                print(resources.attempt, file=attempts)
            if resources.attempt <= attempts_to_fail(int(wildcards.n)):
                raise RuntimeError("as it was meant to")
"""

ARGUMENTS = ("--keep-going", "--retries", "2", "--max-jobs-per-timespan", "1000000/1s", "--scheduler", "greedy")


@pytest.fixture
def reference(tmp_path_factory: pytest.TempPathFactory):
    workflow = Workflow(tmp_path_factory.mktemp("reference"))
    yield workflow
    workflow.close()


@pytest.mark.timeout(600)
@pytest.mark.nightly
def test_fifty_failures_in_five_hundred_jobs_end_as_under_the_local_executor(workflow: Workflow, reference: Workflow):
    for each in (workflow, reference):
        each.write("Snakefile", SNAKEFILE)
        (each.folder / "attempts").mkdir()
    theirs = reference.start(*ARGUMENTS, "--cores", "4", launcher=REFERENCE)
    theirs.ends_with(1, timeout_s=300)
    mine = workflow.start(*ARGUMENTS, "--daskmpi-workers", "2", "--daskmpi-cores", "2")
    mine.ends_with(1, timeout_s=300)
    folders = ("shell", "run", "attempts")
    assert len(workflow.tree("shell", "run")) == 500 - 33, "the others fail three times"
    assert workflow.tree(*folders) == reference.tree(*folders)
    assert workflow.metadata() == reference.metadata()
    assert workflow.incomplete() == reference.incomplete()
    assert mine.text.count("Finished jobid") == theirs.text.count("Finished jobid")
    assert mine.text.count("Next: ") == 17 + 3 * 33


def test_the_same_run_goes_on_where_it_ended(workflow: Workflow, tmp_path: Path):
    smaller = SNAKEFILE.replace("N = 500", "N = 60").replace("sample(range(N), 50)", "sample(range(N), 6)")
    workflow.write("Snakefile", smaller)
    (tmp_path / "attempts").mkdir()
    first = workflow.start(*ARGUMENTS[:1], "--daskmpi-cores", "4")
    first.ends_with(1)
    assert len(workflow.tree("shell", "run")) == 54
    second = workflow.start(*ARGUMENTS, "--daskmpi-cores", "4")
    second.ends_with(1)
    assert len(workflow.tree("shell", "run")) == 56, "two fail at their first attempt only"
    assert sum(len(workflow.lines(f"attempts/{n}")) == 1 for n in range(60)) == 54, "what was done is not done again"
