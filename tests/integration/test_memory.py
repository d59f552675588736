"""Jobs that take more memory than they asked for: who is ended, when, and what the user reads."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from harness import wait_until
from snakemake_executor_plugin_daskmpi.record.run_view import JobView, RunView

if TYPE_CHECKING:
    from harness import Run, Workflow

#: Takes memory in steps, says what it has, and keeps it until a file is there. Writes its output at the very end.
HOG = """
    import os, sys, time

    name, mb, waits_for = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    taken = []
    while sum(map(len, taken)) < mb * 1_000_000:
        taken.append(b"x" * 25_000_000)
    open(name + ".full", "w").close()
    time.sleep(0.5)  # as if it had a use for it
    while waits_for and not os.path.exists(waits_for[0]):
        time.sleep(0.05)
    open(name, "w").close()
"""

#: A hog, and three jobs that stay within what they asked for and end when the hog has.
BESIDE_HONEST_ONES = """
    rule all:
        input: "hog", expand("honest{{n}}", n=range(3))

    rule honest:
        output: "honest{{n}}"
        resources: mem_mb=300
        shell: "echo ran >> ran.{{wildcards.n}}; python hog.py {{output}} 100 go"

    rule hog:
        output: "hog"
        resources: mem_mb=200
        {body}
"""

BODIES = {
    "shell": """shell: "echo $$ > begun; python hog.py {output} 4000" """,
    "pipeline of a grandchild": """shell: "bash -c 'python hog.py {output} 4000 | cat' | cat" """,
    "session of its own": """shell: "setsid --wait python hog.py {output} 4000" """,
    "run": """run:
            taken = []
            while sum(map(len, taken)) < 4_000_000_000:
                taken.append(b"x" * 25_000_000)
            open(output[0], "w").close()
""",
}

RANK = ("--daskmpi-mem-mb", "2000", "--daskmpi-cores", "4", "--keep-going")


def start(workflow: Workflow, snakefile: str, *args: str) -> Run:
    """Start a workflow with the hog's program on one worker of 2 GB."""
    workflow.write("hog.py", HOG)
    workflow.write("Snakefile", snakefile)
    return workflow.start(*RANK, *args)


def peaks(workflow: Workflow) -> dict[str, JobView]:
    """Return the jobs of the run's record by rule, the last one of each."""
    (folder,) = workflow.folder.glob(".snakemake/daskmpi/*")
    view = RunView(folder)
    view.update()
    return {job.rule: job for job in view.jobs.values()}


@pytest.mark.parametrize(
    ("body", "args"),
    [*((body, ()) for body in BODIES), ("shell", ("--daskmpi-no-warm",)), ("run", ("--daskmpi-no-warm",))],
    ids=[*BODIES, "spawned shell", "spawned run"],
)
def test_of_a_hog_and_honest_jobs_only_the_hog_ends(workflow: Workflow, body: str, args: tuple[str, ...]):
    run = start(workflow, BESIDE_HONEST_ONES.format(body=BODIES[body]), *args)
    workflow.wait_for(*(f"honest{n}.full" for n in range(3)), run=run)
    wait_until(lambda: "ran out of memory" in run.text or run.has_ended, on_timeout=lambda: run.text)
    workflow.write("go", "")
    run.ends_with(1)
    assert not workflow.has("hog.full")
    for n in range(3):
        assert workflow.has(f"honest{n}")
        assert workflow.lines(f"ran.{n}") == ["ran"]
    assert run.text.count("Next: ") == 1
    happened = re.search(
        r"Rule hog \(jobid \d+\) ran out of memory on worker .*: it took (\d+) MB and had (.*)", run.text
    )
    assert happened
    assert happened[2].startswith("asked for mem_mb=200, more over its request than any other job, when ")
    assert re.search(r"Next: resources: mem_mb=lambda wildcards, attempt: \d+00 \* attempt; with --retries 1", run.text)
    hog = peaks(workflow)["hog"]
    assert (hog.outcome, hog.asks["mem_mb"]) == ("out-of-memory", 200)
    assert 1000 < hog.ended["peak_rss_mb"] < 2000, "it was stopped before it had more than there is"
    assert 0 < hog.ended["peak_pss_mb"] <= hog.ended["peak_rss_mb"]
    assert peaks(workflow)["honest"].outcome == "ok"


ALONE = """
    rule hog:
        output: "hog"
        resources: mem_mb=lambda wildcards, attempt: 300 * attempt
        shell: "echo {resources.mem_mb} >> asked; python hog.py {output} 450 go"
"""


def test_a_job_may_exceed_its_request_while_its_worker_has_room(workflow: Workflow):
    run = start(workflow, ALONE)
    workflow.write("go", "")
    run.ends_with(0)
    assert peaks(workflow)["hog"].outcome == "ok"


def test_a_job_that_exceeds_its_request_is_ended_where_that_is_strict(workflow: Workflow):
    run = start(workflow, ALONE, "--daskmpi-memory", "strict")
    run.ends_with(1)
    assert not workflow.has("hog")
    assert re.search(r"ran out of memory on .*: it took [345]\d\d MB and had asked for mem_mb=300 ", run.text)
    assert "(--daskmpi-memory strict)." in run.text


def test_a_job_whose_request_grows_with_its_attempts_completes(workflow: Workflow):
    run = start(workflow, ALONE, "--daskmpi-memory", "strict", "--retries", "1")
    workflow.wait_for("hog.full", run=run)
    workflow.write("go", "")
    run.ends_with(0)
    assert workflow.lines("asked") == ["300", "600"]


def test_a_hog_is_left_alone_where_memory_is_ignored(workflow: Workflow):
    snakefile = ALONE.replace("450 go", "2500 go")
    run = start(workflow, snakefile, "--daskmpi-memory", "ignore")
    workflow.wait_for("hog.full", run=run)
    workflow.write("go", "")
    run.ends_with(0)
    hog = peaks(workflow)["hog"]
    assert (hog.outcome, hog.asks["mem_mb"]) == ("ok", 300)
    assert 2500 <= hog.ended["peak_rss_mb"] < 3000


def test_a_full_worker_ends_no_job_that_keeps_its_word(workflow: Workflow):
    snakefile = """
        rule all:
            input: expand("honest{n}", n=range(2))

        rule honest:
            output: "honest{n}"
            resources: mem_mb=1000
            shell: "python hog.py {output} 930 go"
    """
    run = start(workflow, snakefile)
    workflow.wait_for("honest0.full", "honest1.full", run=run)
    workflow.write("go", "")
    run.ends_with(0)


def test_a_member_of_a_group_is_held_to_its_own_request(workflow: Workflow):
    snakefile = """
        rule all:
            input: "last"

        rule first:
            output: "first"
            group: "together"
            resources: mem_mb=1000
            shell: "python hog.py {output} 500"

        rule hog:
            output: "hog"
            input: "first"
            group: "together"
            resources: mem_mb=300
            shell: "python hog.py {output} 600"

        rule last:
            output: "last"
            input: "hog"
            group: "together"
            shell: "touch {output}"
    """
    run = start(workflow, snakefile, "--daskmpi-memory", "strict")
    run.ends_with(1)
    assert workflow.has("first.full")
    assert not workflow.has("hog")
    assert re.search(
        r"Group together .* ran out of memory .*: of its jobs, rule hog \(jobid \d+\) failed: it took", run.text
    )
    assert "had asked for mem_mb=300" in run.text
    assert len(peaks(workflow)) == 1


def test_a_hog_in_a_group_ends_and_not_its_honest_companion(workflow: Workflow):
    snakefile = """
        rule all:
            input: "last"

        rule honest:
            output: "honest"
            group: "together"
            resources: mem_mb=700
            shell: "python hog.py {output} 600 go"

        rule hog:
            output: "hog"
            group: "together"
            resources: mem_mb=200
            shell: "python hog.py {output} 4000"

        rule last:
            output: "last"
            input: "honest", "hog"
            group: "together"
            shell: "touch {output}"
    """
    run = start(workflow, snakefile, "--keep-incomplete")
    # The run ends only when the honest one has: no member is ended for another one's sake.
    workflow.wait_for("honest.full", run=run)
    wait_until(lambda: said_by_worker(workflow, "is ended: it took"), on_timeout=lambda: run.text)
    workflow.write("go", "")
    run.ends_with(1)
    assert workflow.has("honest")
    assert not workflow.has("hog.full")
    assert re.search(r"Group together .* ran out of memory .*: of its jobs, rule hog \(jobid \d+\) failed: ", run.text)


def test_a_service_that_is_a_hog_ends_with_those_that_use_it(workflow: Workflow):
    snakefile = """
        rule use:
            output: "used"
            input: "service"
            shell: "sleep 1000; touch {output}"

        rule serve:
            output: service("service")
            resources: mem_mb=200
            shell: "touch {output}; python hog.py served 400 never"
    """
    run = start(workflow, snakefile, "--daskmpi-memory", "strict")
    run.ends_with(1)
    assert re.search(r"ran out of memory .*: of its jobs, rule serve \(jobid \d+\) failed: it took", run.text)


def said_by_worker(workflow: Workflow, text: str) -> bool:
    return any(text in log.read_text() for log in workflow.folder.glob(".snakemake/daskmpi/*/rank-2.log"))


def test_the_kernel_chooses_a_body_and_what_it_starts_first(workflow: Workflow):
    snakefile = """
        import os

        def score(pid):
            with open(f"/proc/{pid}/oom_score_adj") as file:
                return file.read().strip()

        rule all:
            output: "scores"
            run:
                shell("cat /proc/self/oom_score_adj > {output}")
                with open(output[0], "a") as file:
                    print(score("self"), score(os.getppid()), file=file)
    """
    run = start(workflow, snakefile)
    run.ends_with(0)
    command, body, forkserver = map(int, workflow.read("scores").split())
    assert command == body == min(1000, forkserver + 500)
