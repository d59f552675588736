"""The jobs of a group run on one worker, in their order, side by side as its cores allow, each warm."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

import psutil

from runs import wait_until

if TYPE_CHECKING:
    from harness import Workflow

#: Pipes and services make groups of their own; functions see files of earlier members.
LINKED = """
    import threading

    rule all:
        input: "group.txt", "piped.txt", "served.txt", "lock.txt"

    rule first_of_group:
        output: temp("first.txt"), touch("touched")
        group: "both"
        shell: "echo 3 > {output[0]}"

    rule second_of_group:
        input: "first.txt", "touched"
        output: "group.txt"
        group: "both"
        params: number=lambda wildcards, input: int(open(input[0]).read())
        resources: mem_mb=lambda wildcards, input: int(open(input[0]).read())
        run:
            with open(output[0], "w") as file:
                print(params.number, resources.mem_mb, os.getppid(), file=file)

    rule pipe:
        output: pipe("the.pipe")
        shell: "echo through the pipe > {output}"

    rule piped:
        input: "the.pipe"
        output: "piped.txt"
        shell: "cat {input} > {output}"

    rule service:
        output: service("the.service")
        shell: "trap 'echo ended > service.log; exit' TERM; touch {output}; sleep 1000 & wait"

    rule served:
        input: "the.service"
        output: "served.txt"
        shell: "test -e {input} && echo served > {output}"

    rule lock:
        output: "lock.txt"
        params: lock=lambda wildcards: {"lock": threading.Lock()}
        run:
            with params.lock["lock"], open(output[0], "w") as file:
                print(os.getppid(), file=file)
"""

#: Members that write down when they ran; the first wait for each other, a minute at most.
WIDE = """
    import time
    from pathlib import Path

    rule all:
        input: "all.txt"

    rule gather:
        input: expand("{n}.txt", n=range(16))
        output: "all.txt"
        group: "wide"
        shell: "cat {input} > {output}"

    rule member:
        output: "{n}.txt"
        group: "wide"
        resources: mem_mb=10
        run:
            start = time.monotonic()
            Path(f"started.{wildcards.n}").touch()
            while len(list(Path().glob("started.*"))) < 4 and time.monotonic() < start + 60:
                time.sleep(0.01)
            time.sleep(0.3)
            with open(output[0], "w") as file:
                print(start, time.monotonic(), os.getppid(), file=file)
"""

#: One of three members fails; what comes after it must not run.
FAILING = """
    rule all:
        input: "last.txt"

    rule one:
        output: "one.txt"
        group: "three"
        shell: "echo x >> ran; touch {output}"

    rule two:
        input: "one.txt"
        output: "two.txt"
        log: "two.log"
        group: "three"
        shadow: "minimal"
        shell: "echo it broke | tee {log} >&2; mkdir {workflow.basedir}/once && exit 3; touch {output}"

    rule last:
        input: "two.txt"
        output: "last.txt"
        group: "three"
        shell: "echo last >> ran; touch {output}"
"""


def spawned(text: str) -> list[str]:
    return [line for line in text.splitlines() if "is spawned" in line]


def test_groups_pipes_and_services_go_warm(workflow: Workflow):
    workflow.write("Snakefile", LINKED)
    run = workflow.start("--verbose", "--daskmpi-cores", "4")
    run.ends_with(0)
    number, mem_mb, worker = workflow.read("group.txt").split()
    assert (number, mem_mb) == ("3", "3")
    assert worker == workflow.read("lock.txt").strip(), "both are forks of the one forkserver"
    assert workflow.read("piped.txt") == "through the pipe\n"
    assert workflow.read("served.txt") == "served\n"
    assert workflow.read("service.log") == "ended\n", "a service gets SIGTERM and time to end"
    assert not workflow.has("first.txt")
    assert not workflow.has("the.pipe")
    assert not workflow.has("the.service")
    assert spawned(run.text) == []


def test_sixteen_members_of_one_core_run_four_at_a_time_on_a_worker_of_four_cores(workflow: Workflow):
    workflow.write("Snakefile", WIDE)
    run = workflow.start("--verbose", "--daskmpi-cores", "4", "--daskmpi-workers", "2")
    run.ends_with(0)
    spans = [line.split() for line in workflow.lines("all.txt")]
    assert len(spans) == 16
    assert len({worker for _, _, worker in spans}) == 1, "a group is on one worker"
    starts_and_ends = [(float(start), 1) for start, _, _ in spans] + [(float(end), -1) for _, end, _ in spans]
    at_a_time = list(itertools.accumulate(change for _, change in sorted(starts_and_ends)))
    assert max(at_a_time) == 4
    assert spawned(run.text) == []


def test_a_failed_member_ends_its_group_and_is_named(workflow: Workflow):
    workflow.write("Snakefile", FAILING)
    run = workflow.start()
    run.ends_with(1)
    assert "of its jobs, rule two (jobid" in run.text
    assert "exit code 3" in run.text
    assert "    | it broke" in run.text
    assert re.search(r"log: .*jobs/two/.*\.log \(check log", run.text), "Snakemake's own lines name it too"
    assert "Next: " in run.text
    assert workflow.lines("ran") == ["x"]
    assert workflow.read("two.log") == "it broke\n", "moved out of the shadow directory"
    assert not any(workflow.has(name) for name in ("one.txt", "two.txt", "last.txt"))
    assert not list(workflow.folder.glob(".snakemake/shadow/*"))


def test_a_group_is_tried_again_as_a_whole(workflow: Workflow):
    workflow.write("Snakefile", FAILING)
    run = workflow.start("--retries", "1")
    run.ends_with(0)
    assert workflow.lines("ran") == ["x", "x", "last"]


def test_the_other_end_of_a_failed_pipe_is_killed(workflow: Workflow):
    snakefile = """
        rule all:
            input: "piped.txt"

        rule pipe:
            output: pipe("the.pipe")
            shell: "exit 5"

        rule piped:
            input: "the.pipe"
            output: "piped.txt"
            shell: "cat {input} > {output}"
    """
    workflow.write("Snakefile", snakefile)
    run = workflow.start("--daskmpi-cores", "4")
    run.ends_with(1)
    assert "of its jobs, rule pipe (jobid" in run.text
    assert "exit code 5" in run.text


def test_a_group_on_a_lost_worker_runs_again_elsewhere(workflow: Workflow):
    sleeping = "open('forkserver', 'w').write(str(os.getppid())); time.sleep(0.3 if os.path.exists('go') else 1000)"
    workflow.write("Snakefile", WIDE.replace("time.sleep(0.3)", sleeping))
    run = workflow.start("--retries", "1", "--daskmpi-cores", "4", "--daskmpi-workers", "2")
    workflow.wait_for("forkserver", run=run)
    pid = wait_until(lambda: workflow.read("forkserver"), on_timeout=lambda: run.text)
    workflow.write("go", "")
    psutil.Process(int(pid)).parent().kill()
    run.ends_with(0)
    assert len(workflow.lines("all.txt")) == 16
    assert "died while running it" in run.text


def test_ctrl_c_ends_a_group(workflow: Workflow):
    workflow.write("Snakefile", WIDE.replace("time.sleep(0.3)", "open(f'{output}.there', 'w'); time.sleep(1000)"))
    run = workflow.start("--daskmpi-cores", "4")
    wait_until(lambda: len(list(workflow.folder.glob("*.there"))) == 4, on_timeout=lambda: run.text)
    run.interrupt()
    run.ends_with(1)
    assert len(list(workflow.folder.glob("*.there"))) == 4, "no member starts any more"
