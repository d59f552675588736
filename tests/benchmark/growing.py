"""A run that grows beside one that has all workers from its start: makespan, core-hours, and jobs a second.

Runs on: one machine as root, with a Slurm like that of the tests: six workers' worth of nodes, with a core each.
Called by: hand, ``python tests/benchmark/growing.py``; takes about five minutes on 2 cores.

``makespan``     300 jobs of a second: a Slurm job with all six workers, and one with one worker that five further Slurm
                 jobs of a worker each may join; from sbatch to the end of the job. Core-hours are those of the workers'
                 cores in all Slurm jobs, from their start to their end, per core-hour that jobs have used.
``throughput``   10,000 trivial jobs: two workers on this machine, and one with further Slurm jobs of one worker that
                 join and leave all the time. A start of a worker takes some three seconds of a core, which on a small
                 machine is taken from the jobs.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from commands import CHECKOUT, environment, snakemake_command, started

sys.path.append(str(CHECKOUT / "tests"))
from slurm_cluster import SlurmCluster
from slurm_conf import NodeKind, Queue

#: One node for ranks 0 and 1 and a worker, and five for a worker each.
KINDS = (NodeKind("a", 1, cpus=3, mem_mb=4096), NodeKind("n", 5, cpus=1, mem_mb=4096))
QUEUES = (Queue("main", "an", "Default=YES MaxTime=INFINITE"),)
#: Jobs of a second.
JOBS = 300
TRIVIAL = 10_000

SNAKEFILE = """\
rule all:
    input: expand("out/{{i}}", i=range({jobs}))

rule work:
    output: "out/{{i}}"
    resources: mem_mb=50
    shell: "{body}"
"""
SCRIPT = """\
#!/bin/bash
#SBATCH --ntasks={tasks} --cpus-per-task=1 --mem-per-cpu=512 --no-kill --output=output.log
srun --mpi=pmi2 --kill-on-bad-exit=0 --wait=0 --no-kill {command}
"""
OPTIONS = ("--executor", "daskmpi", "--jobs", "unlimited", "--max-jobs-per-timespan", "1000000/1s")


@contextmanager
def cluster() -> Iterator[SlurmCluster]:
    """Give a Slurm that is up."""
    slurm = SlurmCluster(kinds=KINDS, queues=QUEUES)
    slurm.up()
    try:
        yield slurm
    finally:
        slurm.down()
        slurm.wipe()


@contextmanager
def folder() -> Iterator[Path]:
    """Give an empty folder that all nodes see; memory is each node's own."""
    with tempfile.TemporaryDirectory(prefix="daskmpi-benchmark-", ignore_cleanup_errors=True) as name:
        yield Path(name)


def record_of(directory: Path) -> list[dict]:
    """Return the events of the only run in a directory."""
    (path,) = directory.glob(".snakemake/daskmpi/*/events.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def makespan(slurm: SlurmCluster, env: dict[str, str], tasks: int, *options: str) -> tuple[float, float, int]:
    """Return the seconds of a run, its core-seconds per core-second used, and how many nodes have worked."""
    with folder() as directory:
        (directory / "Snakefile").write_text(SNAKEFILE.format(jobs=JOBS, body="sleep 1; touch {output}"))
        command = " ".join(snakemake_command(*OPTIONS, *options))
        (directory / "job.sh").write_text(SCRIPT.format(tasks=tasks, command=command))
        begin = time.time()
        subprocess.run(["sbatch", "--parsable", "--wait", "job.sh"], cwd=directory, env=env, check=True, stdout=-3)
        took_s = time.time() - begin
        while slurm.squeue():
            time.sleep(0.2)
        events = record_of(directory)
        used = sum(e["ended_at"] - e["started_at"] for e in events if e["event"] == "ended")
        first = (tasks - 2) * took_s
        further = [e["allocation"] for e in events if e["event"] == "allocation" and e["phase"] == "queued"]
        held = sum(elapsed_s(slurm, int(job)) for job in further)
        nodes = {e["worker"] for e in events if e["event"] == "ended"}
        return took_s, (first + held) / used, len(nodes)


def elapsed_s(slurm: SlurmCluster, job: int) -> float:
    """Return for how long a job had its nodes, each of a core."""
    shown = dict(word.partition("=")[::2] for word in slurm.scontrol("show", "job", str(job)).split())
    begin, end = (time.mktime(time.strptime(shown[name], "%Y-%m-%dT%H:%M:%S")) for name in ("StartTime", "EndTime"))
    return (end - begin) * int(shown["NumCPUs"])


def throughput(env: dict[str, str], workers: int, *, changes: bool) -> tuple[float, int]:
    """Return the jobs a second of a run, and how many further Slurm jobs came and went in it."""
    with folder() as directory:
        (directory / "Snakefile").write_text(SNAKEFILE.format(jobs=TRIVIAL, body="touch {output}"))
        ours = snakemake_command(*OPTIONS, "--quiet", "--daskmpi-workers", str(workers), "--daskmpi-cores", "1")

        def order(*words: str) -> subprocess.CompletedProcess[str]:
            program = [sys.executable, "-m", "snakemake_executor_plugin_daskmpi", *words]
            return subprocess.run(program, cwd=directory, env=env, capture_output=True, text=True, check=False)

        with started(ours, directory, env) as process:
            while changes and process.poll() is None:
                grown = order("grow", "--workers", "1", "--cores", "1")
                time.sleep(5)
                if not grown.returncode:
                    order("shrink", grown.stdout.split()[2])
            if code := process.wait(1800):
                sys.exit(f"exit code {code}: {(directory / 'output.log').read_text()[-2000:]}")
        events = record_of(directory)
        ended = [e for e in events if e["event"] == "ended"]
        first = min(e["started_at"] for e in ended)
        left = sum(e["event"] == "worker-left" for e in events)
        return len(ended) / (max(e["ended_at"] for e in ended) - first), left


def main() -> None:
    """Measure both in turn, and print them with their ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="of each (default: 3)")
    parser.add_argument("--only", choices=("makespan", "throughput"), help="measure one of them")
    asked = parser.parse_args()
    with cluster() as slurm:
        env = {**environment(), **slurm.environ}
        if asked.only != "throughput":
            pairs = [
                (makespan(slurm, env, 8), makespan(slurm, env, 3, "--daskmpi-grow", "5", "--daskmpi-max-workers", "1"))
                for _ in range(asked.repeats)
            ]
            for name, runs in (("all from the start", [a for a, _ in pairs]), ("grows", [b for _, b in pairs])):
                took, cost, nodes = (median(run[n] for run in runs) for n in range(3))
                print(f"{name:>20}: {took:.1f} s, {cost:.2f} core-hours per one used, {nodes} workers had jobs")
            print(f"{'ratio':>20}: {median(b[0] / a[0] for a, b in pairs):.2f}")
        if asked.only != "makespan":
            pairs = [
                (throughput(env, 2, changes=False), throughput(env, 1, changes=True)) for _ in range(asked.repeats)
            ]
            fixed, moving = (median(pair[n][0] for pair in pairs) for n in range(2))
            went = median(pair[1][1] for pair in pairs)
            print(f"{'two workers':>20}: {fixed:.0f} jobs/s")
            print(f"{'they come and go':>20}: {moving:.0f} jobs/s, {went} times")
            print(f"{'ratio':>20}: {median(b[0] / a[0] for a, b in pairs):.2f}")


if __name__ == "__main__":
    main()
