"""From a run to the profile of the next one, which takes half of the allocation."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import yaml

from snakemake_executor_plugin_daskmpi.advise import runs
from snakemake_executor_plugin_daskmpi.advise.advice import advice_for
from snakemake_executor_plugin_daskmpi.advise.replay import replay_of
from snakemake_executor_plugin_daskmpi.advise.shapes import shapes_of
from snakemake_executor_plugin_daskmpi.advise.usage import usages_of

if TYPE_CHECKING:
    from harness import Workflow
    from snakemake_executor_plugin_daskmpi.record.run_view import RunView

#: Its jobs take some 80 MB and next to no CPU time, and ask for eight times as much memory and two threads.
SNAKEFILE = """
    rule all:
        input: expand("out/{i}", i=range(12)), "sum"

    rule work:
        output: "out/{i}"
        threads: 2
        resources: mem_mb=650, runtime=60
        shell: "python hold.py 60 1.3; echo {threads} {resources.mem_mb} > {output}"

    rule gather:
        input: expand("out/{i}", i=range(12))
        output: "sum"
        resources: mem_mb=100
        shell: "cat {input} > {output}"
"""

HOLD = """
    import sys, time

    taken = b"x" * (int(sys.argv[1]) * 1_000_000)
    time.sleep(float(sys.argv[2]))
"""


def advise(workflow: Workflow, *args: str) -> subprocess.CompletedProcess[str]:
    """Run the verb in the workflow's folder."""
    command = [sys.executable, "-m", "snakemake_executor_plugin_daskmpi", "advise", *args]
    return subprocess.run(
        command, cwd=workflow.folder, env=workflow.environ(), capture_output=True, text=True, check=False
    )


def start(workflow: Workflow, workers: int, *args: str) -> RunView:
    """Run the workflow on so many workers, each with room for two jobs as they are, and return its record."""
    sizes = ("--daskmpi-workers", str(workers), "--daskmpi-cores", "4", "--daskmpi-mem-mb", "1500")
    workflow.start(*sizes, *args).ends_with(0)
    (view, *_) = runs.newest_first(workflow.folder, 1)
    return view


def most_at_a_time(view: RunView, rule: str) -> int:
    """Return how many jobs of a rule ran side by side."""
    jobs = [job for job in view.jobs.values() if job.rule == rule]
    return max(sum(other.started_at <= job.started_at < other.ended_at for other in jobs) for job in jobs)


def test_the_next_run_takes_half_the_allocation_for_the_same_time(workflow: Workflow):
    workflow.write("Snakefile", SNAKEFILE)
    workflow.write("hold.py", HOLD)
    before = start(workflow, 2)
    assert most_at_a_time(before, "work") <= 4
    done = advise(workflow, "--output", "sized")
    assert done.returncode == 0, done.stderr
    assert done.stderr == "sized/config.yaml is written. Read it, then: snakemake --profile sized\n"
    # As the simulation has it: half of the workers do, and half of the memory of those.
    replay = replay_of(before)
    shapes = shapes_of(replay, {usage.rule: advice_for(usage) for usage in usages_of([before])})
    half = next(shape for shape in shapes.advised if shape.name == "half")
    assert half.n_cores * 2 == shapes.as_it_was.n_cores == 8
    assert half.makespan_min <= 1.1 * shapes.as_it_was.makespan_min
    # And as it is: all four of one worker run at a time, where two of each of two workers did.
    profile = yaml.safe_load(workflow.read("sized/config.yaml"))
    resources, threads = profile["set-resources"], profile["set-threads"]
    assert (set(resources), threads) == ({"work"}, {"work": 1})
    assert 60 <= resources["work"]["mem_mb"] <= 650 / 4
    assert resources["work"]["runtime"] == 1
    workflow.start("--profile", "sized", "--forceall", "-n").ends_with(0)
    after = start(workflow, 1, "--profile", "sized", "--forceall", "--daskmpi-mem-mb", "750")
    assert most_at_a_time(after, "work") == 4
    assert set(workflow.lines("sum")) == {f"1 {resources['work']['mem_mb']}"}


def test_memory_that_grows_with_each_attempt_is_written_so_that_snakemake_reads_it(workflow: Workflow):
    workflow.write("Snakefile", SNAKEFILE)
    workflow.write(
        "sized/config.yaml",
        """
        retries: 2
        set-resources:
          "work":
            mem_mb: "70 * 2 ** (attempt - 1)"
        """,
    )
    # Its first job has not enough before its third attempt.
    workflow.write("hold.py", "import os, sys\nopen('tried', 'a').write('x')\nsys.exit(os.stat('tried').st_size < 3)\n")
    workflow.start("--profile", "sized", "--daskmpi-workers", "1", "out/0").ends_with(0)
    assert workflow.read("out/0") == "2 280\n"


def test_a_profile_that_is_there_stays_unless_it_is_forced(workflow: Workflow):
    workflow.write("Snakefile", "rule a:\n    output: 'a'\n    shell: 'touch a'\n")
    start(workflow, 1)
    workflow.write("sized/config.yaml", "jobs: 1\n")
    refused = advise(workflow, "--output", "sized")
    assert (refused.returncode, workflow.read("sized/config.yaml")) == (1, "jobs: 1\n")
    assert "Next: --force overwrites it; diff sized/config.yaml <(snakemake-daskmpi advise) compares." in refused.stderr
    assert advise(workflow, "--output", "sized", "--force").returncode == 0
    # Nothing reliable can be said of the one short job.
    assert yaml.safe_load(workflow.read("sized/config.yaml")) == {}
    workflow.start("--profile", "sized", "--forceall").ends_with(0)


def test_a_folder_without_runs_and_a_run_that_is_not_there_are_errors_with_a_next_step(workflow: Workflow):
    nothing = advise(workflow)
    assert nothing.returncode == 1
    assert "There is no run here to learn from." in nothing.stderr
    assert "Next: snakemake-daskmpi advise --directory DIR" in nothing.stderr
    workflow.write("Snakefile", "rule a:\n    output: 'a'\n    shell: 'touch a'\n")
    view = start(workflow, 1)
    other = advise(workflow, "1999-01-01")
    assert other.returncode == 2
    assert f"newest first: {view.folder.name}." in other.stderr
    assert advise(workflow, view.folder.name[:13]).returncode == 0


def test_a_job_that_comes_after_one_of_snakemakes_own_comes_after_it_in_the_replay(workflow: Workflow):
    workflow.write(
        "Snakefile",
        """
        localrules: collect, count

        rule all:
            input: expand("late/{i}", i=range(2))

        rule early:
            output: "early/{i}"
            shell: "touch {output}"

        rule collect:
            input: expand("early/{i}", i=range(3))
            output: "all"
            shell: "cat {input} > {output}"

        rule count:
            input: "all"
            output: "count"
            shell: "wc {input} > {output}"

        rule late:
            input: "count"
            output: "late/{i}"
            shell: "cp {input} {output}"
        """,
    )
    replay = replay_of(start(workflow, 1))
    jobs = [(job.rule or "Snakemake's own", job.after) for job in replay.demand.jobs]
    assert sorted(jobs[:3]) == [("early", ())] * 3
    assert jobs[3] == ("Snakemake's own", (0, 1, 2))
    assert jobs[4:] == [("late", (3,)), ("late", (3,))]
