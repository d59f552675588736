"""What runs on a worker never takes more than it offers, and each job gets its own GPUs and cores."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from itertools import accumulate, groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness import Workflow

#: Jobs of many sizes that write down when, where and with which grant they ran.
MIXED = """
    import json, os, random, time

    N = 40
    chosen = random.Random(7)
    SIZES = [
        dict(threads=chosen.choice([1, 1, 2, 3, 4]), mem_mb=chosen.choice([50, 300, 700, 1000]),
             gpu=chosen.choice([0, 0, 1, 2]), sleep=chosen.uniform(0.05, 0.3))
        for _ in range(N)
    ]

    def size(name):
        return lambda wildcards: SIZES[int(wildcards.n)][name]

    rule all:
        input: expand("out/{n}.json", n=range(N)), "foreign.txt", "memory.txt", "threads.txt", "gpus.txt"

    rule mixed:
        output: "out/{n}.json"
        threads: size("threads")
        resources: mem_mb=size("mem_mb"), gpu=size("gpu")
        params: sleep=size("sleep")
        run:
            start = time.monotonic()
            time.sleep(params.sleep)
            record = dict(
                worker=os.getppid(), start=start, end=time.monotonic(),
                threads=threads, mem_mb=resources.mem_mb, gpu=resources.gpu,
                gpus=[i for i in os.environ["CUDA_VISIBLE_DEVICES"].split(",") if i],
            )
            with open(output[0], "w") as file:
                json.dump(record, file)

    rule foreign:
        output: "foreign.txt"
        resources: slurm_partition="fast", nodes=2, constraint="gpu", mem_mb=10
        shell: "touch {output}"

    rule memory:
        output: "memory.txt"
        resources: mem_mb=5000
        shell: "touch {output}"

    rule threads:
        output: "threads.txt"
        threads: 64
        resources: mem_mb=10
        shell: "touch {output}"

    rule gpus:
        output: "gpus.txt"
        resources: nvidia_gpu=3, mem_mb=10
        shell: "touch {output}"
"""

OFFER = ("--daskmpi-workers", "2", "--daskmpi-cores", "4", "--daskmpi-mem-mb", "1000", "--daskmpi-gpus", "0,1")


@dataclass(frozen=True)
class Ran:
    """What one job wrote down."""

    worker: int
    start: float
    end: float
    threads: int
    mem_mb: int
    gpu: int
    gpus: list[str]


def test_no_worker_ever_holds_more_than_it_offers(workflow: Workflow):
    workflow.write("Snakefile", MIXED)
    run = workflow.start(*OFFER, "--keep-going")
    run.ends_with(1)  # three jobs fit nowhere
    assert "2 workers with 4 cores, 1000 MB, 2 GPUs each" in run.text
    jobs = [Ran(**json.loads(workflow.read(f"out/{n}.json"))) for n in range(40)]
    assert len({job.worker for job in jobs}) == 2
    assert all(len(job.gpus) == job.gpu for job in jobs)
    most_at_once = 0
    for _, of_worker in groupby(sorted(jobs, key=lambda job: job.worker), key=lambda job: job.worker):
        mine = list(of_worker)
        for moment in (job.start for job in mine):
            running = [job for job in mine if job.start <= moment < job.end]
            most_at_once = max(most_at_once, len(running))
            assert sum(job.threads for job in running) <= 4
            assert sum(job.mem_mb for job in running) <= 1000
            granted = [gpu for job in running for gpu in job.gpus]
            assert len(granted) == len(set(granted)) <= 2, "no GPU is given twice at a time"
            assert set(granted) <= {"0", "1"}
    assert most_at_once > 1, "jobs do share a worker"
    check_refusals(workflow, run.text)


def check_refusals(workflow: Workflow, text: str):
    """Check what the user is told of jobs that fit nowhere, and of resources that mean nothing here."""
    for rule, seen, remedy in (
        ("memory", "mem_mb=5000, but the largest worker offers 1000", "--daskmpi-mem-mb"),
        ("threads", "threads=64, but the largest worker offers 4", "--daskmpi-cores"),
        ("gpus", "gpu=3, but the largest worker offers 2", "--daskmpi-gpus"),
    ):
        said = text.partition(f"Rule {rule} (jobid")[2].partition("jobid:")[0]
        assert "was refused" in said
        assert seen in said
        assert remedy in said.partition("Next: ")[2]
        assert not workflow.has(f"{rule}.txt")
    (said,) = (line for line in text.splitlines() if "no effect here" in line)
    assert said.startswith("daskmpi: resources ")
    assert all(name in said for name in ("slurm_partition", "nodes", "constraint"))
    assert workflow.has("foreign.txt")


def test_bound_jobs_may_use_as_many_cores_as_they_have_threads(workflow: Workflow):
    real = len(os.sched_getaffinity(0))
    snakefile = f"""
        import os

        rule all:
            input: "cores.1.txt", "cores.{real}.txt"

        rule cores:
            output: "cores.{{n}}.txt"
            threads: lambda wildcards: int(wildcards.n)
            run:
                shell("nproc > {{output}}")
                with open(output[0], "a") as file:
                    print(len(os.sched_getaffinity(0)), os.environ["OMP_NUM_THREADS"], file=file)
    """
    workflow.write("Snakefile", snakefile)
    workflow.start("--daskmpi-bind", "cores").ends_with(0)
    # nproc itself heeds OMP_NUM_THREADS too.
    for n in (1, real):
        assert workflow.read(f"cores.{n}.txt").split() == [str(n)] * 3


def test_unbound_jobs_may_use_all_cores(workflow: Workflow):
    snakefile = """
        import os

        rule all:
            output: "a"
            run:
                with open(output[0], "w") as file:
                    print(len(os.sched_getaffinity(0)), file=file)
    """
    workflow.write("Snakefile", snakefile)
    workflow.start().ends_with(0)
    assert int(workflow.read("a")) == len(os.sched_getaffinity(0))


def test_a_rule_may_set_its_own_number_of_openmp_threads(workflow: Workflow):
    workflow.write("Snakefile", "rule all:\n    output: 'a'\n    shell: 'OMP_NUM_THREADS=3; env | grep OMP_ > a'\n")
    workflow.start().ends_with(0)
    assert "OMP_NUM_THREADS=3\n" in workflow.read("a")


def test_cores_limits_all_workers_together(workflow: Workflow):
    snakefile = """
        import time

        rule all:
            input: expand("{n}.txt", n=range(8))

        rule one:
            output: "{n}.txt"
            threads: lambda wildcards: int(wildcards.n) % 2 + 1
            resources: mem_mb=10
            run:
                start = time.monotonic()
                time.sleep(0.2)
                with open(output[0], "w") as file:
                    print(threads, start, time.monotonic(), file=file)
    """
    workflow.write("Snakefile", snakefile)
    run = workflow.start("--cores", "3", "--daskmpi-cores", "4", "--daskmpi-workers", "2")
    run.ends_with(0)
    jobs = [tuple(map(float, workflow.read(f"{n}.txt").split())) for n in range(8)]
    changes = [(start, cores) for cores, start, _ in jobs] + [(end, -cores) for cores, _, end in jobs]
    assert max(accumulate(change for _, change in sorted(changes))) == 3
    assert "jobs take at most 3 cores at a time (--cores)" in run.text


def test_a_job_that_asks_for_more_than_this_machine_was_found_to_have_runs_alone_with_a_line(workflow: Workflow):
    snakefile = """
        rule all:
            input: "large.txt", "group.txt"

        rule large:
            output: "large.txt"
            threads: 1000
            resources: mem_mb=10**9, gpu=3
            shell: "echo {threads} {resources.mem_mb} {resources.gpu} > {output}"

        rule first:
            output: "first.txt"
            group: "g"
            threads: 999
            shell: "touch {output}"

        rule second:
            input: "first.txt"
            output: "group.txt"
            group: "g"
            resources: mem_mb=10**9
            shell: "touch {output}"
    """
    workflow.write("Snakefile", snakefile)
    run = workflow.start()
    run.ends_with(0)
    cores = len(os.sched_getaffinity(0))
    assert workflow.read("large.txt") == f"{cores} 1000000000 3\n", "threads as local's --cores has them"
    for name, flag in {"threads": "--daskmpi-cores", "mem_mb": "--daskmpi-mem-mb", "gpu": "--daskmpi-gpus"}.items():
        assert len([line for line in run.text.splitlines() if f"asks for {name}=" in line and flag in line]) == 1


def test_cores_says_how_many_a_local_world_has(workflow: Workflow):
    workflow.write("Snakefile", "rule all:\n    output: 'a'\n    threads: 1000\n    shell: 'echo {threads} > a'\n")
    run = workflow.start("--cores", "7")
    run.ends_with(0)
    assert workflow.read("a") == "7\n"
    assert "1 worker with 7 cores" in run.text
