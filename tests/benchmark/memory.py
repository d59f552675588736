"""How much memory the ranks of an idle world take.

Runs on: one machine.
Called by: hand, ``python tests/benchmark/memory.py``; with ``--check`` it fails above the limits.

The world first runs some jobs, so that every worker and its forkserver have parsed the workflow, and is then kept up
by a local rule on rank 1, so that no job's own memory is in the figures of the workers.

Memory is PSS: what a process has for itself plus its share of what it shares with others. A rank is counted with all
its descendants, so that a worker has its forkserver in it.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
from commands import CHECKOUT, RunError, environment, mpiexec_command, scratch_directory, snakemake_command, started

SNAKEFILE = """\
rule all:
    input:
        "waited.txt",

localrules: wait

rule wait:
    input:
        expand("{{i}}.txt", i=range({jobs})),
    output:
        "waited.txt",
    shell:
        "touch idle; while [ ! -e go ]; do sleep 0.2; done; touch {{output}}"

rule work:
    output:
        "{{i}}.txt",
    shell:
        "sleep 0.5; echo {{wildcards.i}} > {{output}}"
"""

#: Jobs per worker, each of which offers one core, so that none of them stays without.
JOBS_PER_WORKER = 4
#: Seconds for the world to come to rest; arbitrary.
SETTLE_S = 5
#: Where a launcher tells a process its rank: MPICH and Intel MPI, Open MPI, PMIx.
RANK_VARIABLES = ("PMI_RANK", "OMPI_COMM_WORLD_RANK", "PMIX_RANK")

LIMITS_MB = {"scheduler": 180, "worker": 220}


@dataclass
class RankMemory:
    """One rank with its descendants."""

    rank: int
    role: str
    #: PSS of each process in MB, the rank's own first.
    pss_mb: list[float]

    @property
    def total_mb(self) -> float:
        """Return the memory of the whole rank."""
        return sum(self.pss_mb)

    @property
    def exceeded(self) -> bool:
        """Say whether the rank takes more than its role may; the client has no limit."""
        return self.total_mb > LIMITS_MB.get(self.role, float("inf"))


def role_of(rank: int) -> str:
    """Return what a rank does.

    >>> [role_of(rank) for rank in range(4)]
    ['scheduler', 'client', 'worker', 'worker']
    """
    return {0: "scheduler", 1: "client"}.get(rank, "worker")


def pss_mb(process: psutil.Process) -> float:
    """Return a process's proportional set size from ``smaps_rollup`` (man 5 proc), which counts in KiB.

    A process that has ended meanwhile has none; the waiting job's ``sleep`` does so all the time.
    """
    try:
        lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("Pss:"))


def rank_processes(launcher: psutil.Process) -> dict[int, psutil.Process]:
    """Return the first process of each rank below mpiexec; those below it have inherited its variables."""
    found: dict[int, psutil.Process] = {}
    for process in launcher.children(recursive=True):  # parents come before their children
        env = process.environ()
        rank = next((int(env[name]) for name in RANK_VARIABLES if name in env), None)
        if rank is not None:
            found.setdefault(rank, process)
    return found


def world_memory(launcher: psutil.Process, ranks: int) -> list[RankMemory]:
    """Return the memory of every rank of the world that a launcher runs."""
    processes = rank_processes(launcher)
    if sorted(processes) != list(range(ranks)):
        raise ValueError(f"expected ranks 0 to {ranks - 1} below mpiexec, found {sorted(processes)}")
    return [
        RankMemory(rank, role_of(rank), [pss_mb(each) for each in (process, *process.children(recursive=True))])
        for rank, process in sorted(processes.items())
    ]


def wait_until(happened: Callable[[], bool], ended: Callable[[], bool], timeout_s: float) -> bool:
    """Wait for something, and say whether it happened before the end of the world or of our patience."""
    deadline = time.monotonic() + timeout_s
    while not happened():
        if ended() or time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def measured(directory: Path, options: argparse.Namespace) -> list[RankMemory]:
    """Run a world until it idles, measure it and let it end."""
    jobs = JOBS_PER_WORKER * (options.ranks - 2)
    (directory / "Snakefile").write_text(SNAKEFILE.format(jobs=jobs))
    arguments = ["--executor", "daskmpi", "--daskmpi-cores", "1", "--jobs", "unlimited", "--scheduler", "greedy"]
    arguments += ["--default-resources", "mem_mb=10"]
    command = [*mpiexec_command(options.ranks), *snakemake_command(*arguments)]
    with started(command, directory, environment(CHECKOUT)) as process:
        if not wait_until((directory / "idle").exists, lambda: process.poll() is not None, options.timeout):
            raise RunError(f"The world did not run its {jobs} jobs in {options.timeout:g} s.", directory)
        time.sleep(SETTLE_S)
        memory = world_memory(psutil.Process(process.pid), options.ranks)
        (directory / "go").touch()
        if not wait_until(lambda: process.poll() is not None, lambda: False, options.timeout):
            raise RunError(f"The world did not end in {options.timeout:g} s.", directory)
        if process.returncode != 0:
            raise RunError(f"The world ended with exit code {process.returncode}.", directory)
    return memory


def table(memory: list[RankMemory]) -> str:
    """Return the figures as text, a line per rank."""
    lines = [f"{'rank':>4}  {'role':10}{'PSS MB':>8}{'limit':>7}  processes"]
    for each in memory:
        limit = LIMITS_MB.get(each.role, "-")
        parts = " + ".join(f"{part:.0f}" for part in each.pss_mb)
        mark = "  EXCEEDED" if each.exceeded else ""
        lines.append(f"{each.rank:4d}  {each.role:10}{each.total_mb:8.0f}{limit:>7}  {parts}{mark}")
    return "\n".join(lines)


def parsed_options() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ranks", type=int, default=4, help="ranks of the world; default: %(default)s")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a limit is exceeded")
    parser.add_argument("--timeout", type=float, default=120, help="seconds for each phase; default: 120")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    return parser.parse_args()


def main() -> int:
    """Measure, print the table, write the file and return the exit code."""
    options = parsed_options()
    with scratch_directory() as directory:
        memory = measured(directory, options)
    print(table(memory))
    if options.json:
        figures = {"limits_mb": LIMITS_MB, "ranks": [{**vars(each), "total_mb": each.total_mb} for each in memory]}
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return int(options.check and any(each.exceeded for each in memory))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RunError as e:
        sys.exit(f"FAILED: {e}")
