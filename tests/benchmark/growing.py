"""A run that grows beside one that has all workers from its start: makespan, core-hours, and jobs a second.

Runs on: one machine as root, with a Slurm like that of the tests: six workers' worth of nodes, with a core each.
Called by: hand, ``python tests/benchmark/growing.py``; takes about five minutes on 2 cores.

``makespan``     300 jobs of a second: a Slurm job with all six workers, and one with one worker that five further Slurm
                 jobs of a worker each may join; from sbatch to the end of the job. Core-hours are those of the workers'
                 cores in all Slurm jobs, from their start to their end, per core-hour that jobs have used.
``throughput``   10,000 trivial jobs on two workers of this machine, while Slurm jobs of one worker join and leave all
                 the time: this run, another one that idles, or none. A start of a worker takes some three seconds of a
                 core, which on a small machine is taken from the jobs, wherever it joins; what more it costs the run
                 that it joins is the ratio of the first two.
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
        command = ["sbatch", "--parsable", "job.sh"]
        job = int(subprocess.run(command, cwd=directory, env=env, check=True, stdout=subprocess.PIPE).stdout)
        # Not --wait, which looks ever more rarely.
        while not (end := slurm.ended(job)):
            time.sleep(0.1)
        took_s = time.time() - begin
        if end != ("COMPLETED", 0):
            sys.exit(f"{end}: {(directory / 'output.log').read_text()[-2000:]}")
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


def order(directory: Path, env: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """Give an order to the run in a folder."""
    program = [sys.executable, "-m", "snakemake_executor_plugin_daskmpi", *words]
    return subprocess.run(program, cwd=directory, env=env, capture_output=True, text=True, check=False)


@contextmanager
def idle_run(env: dict[str, str]) -> Iterator[Path]:
    """Give the folder of a run whose only job waits for the end of all this."""
    with folder() as directory:
        body = "while [ ! -e over ]; do sleep 1; done; touch {output}"
        (directory / "Snakefile").write_text(SNAKEFILE.format(jobs=1, body=body))
        command = snakemake_command(*OPTIONS, "--quiet", "--daskmpi-workers", "1", "--daskmpi-cores", "1")
        with started(command, directory, env) as process:
            while not list(directory.glob(".snakemake/daskmpi/*/events.jsonl")):
                time.sleep(0.2)
            yield directory
            (directory / "over").touch()
            process.wait(60)


def throughput(env: dict[str, str], changes: str) -> tuple[float, int]:
    """Return the jobs a second of a run with two workers, and how often further ones came and went meanwhile.

    Parameters
    ----------
    changes
        "nowhere", "here", or "elsewhere": in another run.
    """
    with folder() as directory, idle_run(env) as other:
        (directory / "Snakefile").write_text(SNAKEFILE.format(jobs=TRIVIAL, body="touch {output}"))
        ours = snakemake_command(*OPTIONS, "--quiet", "--daskmpi-workers", "2", "--daskmpi-cores", "1")
        where = {"here": directory, "elsewhere": other}.get(changes)
        with started(ours, directory, env) as process:
            while where and process.poll() is None:
                grown = order(where, env, "grow", "--workers", "1", "--cores", "1")
                time.sleep(5)
                if not grown.returncode:
                    order(where, env, "shrink", grown.stdout.split()[2])
            if code := process.wait(1800):
                sys.exit(f"exit code {code}: {(directory / 'output.log').read_text()[-2000:]}")
        ended = [e for e in record_of(directory) if e["event"] == "ended"]
        first = min(e["started_at"] for e in ended)
        left = sum(e["event"] == "worker-left" for e in record_of(where)) if where else 0
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
                (makespan(slurm, env, 8), makespan(slurm, env, 3, "--daskmpi-grow", "5")) for _ in range(asked.repeats)
            ]
            for name, runs in (("all from the start", [a for a, _ in pairs]), ("grows", [b for _, b in pairs])):
                took, cost, nodes = (median(run[n] for run in runs) for n in range(3))
                print(f"{name:>20}: {took:.1f} s, {cost:.2f} core-hours per one used, {nodes} workers had jobs")
            print(f"{'ratio':>20}: {median(b[0] / a[0] for a, b in pairs):.2f}")
        if asked.only != "makespan":
            places = ("nowhere", "elsewhere", "here")
            rounds = [[throughput(env, place) for place in places] for _ in range(asked.repeats)]
            for n, place in enumerate(places):
                rate, went = (median(one[n][m] for one in rounds) for m in range(2))
                print(f"{'they change ' + place:>20}: {rate:.0f} jobs/s, {went} left")
            for n, place in enumerate(places[:2]):
                print(f"{'here/' + place:>20}: {median(one[2][0] / one[n][0] for one in rounds):.2f}")


if __name__ == "__main__":
    main()
