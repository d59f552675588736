"""What a body costs by its kind, and by how long its Snakefile takes to parse; beside Snakemake's local executor.

Runs on: one machine, in memory (``/dev/shm``).
Called by: hand, ``python tests/benchmark/bodies.py``.

Workflows of N jobs: ``shell``, ``script`` (Bash) and ``run`` in a Snakefile that takes no time to parse, and ``run`` in
Snakefiles that compute for a while first. Each is run in turn, in rounds, by Snakemake's own executor (for ``run``,
which takes it a start of Snakemake each, with fewer jobs), by this plugin, and for ``run`` also with
``--daskmpi-shared-parse``. ``--other FOLDER`` adds another checkout of this plugin, for comparing two versions of it.

Snakemake's limit of starts a second is lifted for all. Jobs/s are N divided by the time from ``onstart`` to
``onsuccess``, as in throughput.py.
"""

import argparse
import os
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from commands import CHECKOUT, RunError, environment, scratch_directory, seconds_of, snakemake_command

SNAKEFILE = """\
import time

until = time.process_time() + {parse_s}
while time.process_time() < until:
    pass

def note(event):
    with open("events", "a") as file:
        print(event, time.time(), file=file)

onstart:
    note("start")

onsuccess:
    note("end")

rule all:
    input:
        expand("out/{{i}}.txt", i=range({jobs})),

rule work:
    output:
        "out/{{i}}.txt",
    {body}
"""

BODIES = {
    "shell": 'shell: "echo {wildcards.i} > {output}"',
    "script": 'script: "work.sh"',
    "run": 'run: open(output[0], "w").write(wildcards.i + "\\n")',
}
SCRIPT = 'echo "${snakemake_wildcards[i]}" > "${snakemake_output[0]}"\n'


@dataclass
class Contender:
    """One workflow with one executor."""

    kind: str
    parse_s: float
    name: str
    jobs: int
    arguments: list[str]
    #: The checkout whose plugin it runs with.
    checkout: Path = CHECKOUT
    rates: list[float] = field(default_factory=list)


def contenders(options: argparse.Namespace) -> list[Contender]:
    """Return all that is measured, in the order in which they take turns."""
    cores = len(os.sched_getaffinity(0))
    local = ["--executor", "local", "--cores", str(8 * cores)]
    ours = ["--executor", "daskmpi", "--jobs", "unlimited", "--daskmpi-cores", str(8 * cores)]
    found = []
    for kind, parse_s in [("shell", 0.0), ("script", 0.0), *(("run", s) for s in (0.0, *options.parse_s))]:
        if kind not in options.kinds:
            continue
        is_run = kind == "run"
        jobs = max(options.jobs // (10 if parse_s else 2), 4) if is_run else options.jobs
        few = max(4, options.jobs // 50)
        found.append(Contender(kind, parse_s, "local", few if is_run else jobs, local))
        found.append(Contender(kind, parse_s, "daskmpi", jobs, ours))
        if is_run:
            found.append(Contender(kind, parse_s, "daskmpi, shared parse", jobs, [*ours, "--daskmpi-shared-parse"]))
        if options.other:
            found.append(Contender(kind, parse_s, "daskmpi, other", jobs, ours, options.other))
    return found


def measured(contender: Contender, scratch: Path, timeout_s: float) -> float:
    """Run a contender once in a fresh directory, check its outputs and return its jobs a second."""
    directory = scratch / "run"
    (directory / "out").mkdir(parents=True)
    text = SNAKEFILE.format(parse_s=contender.parse_s, jobs=contender.jobs, body=BODIES[contender.kind])
    (directory / "Snakefile").write_text(text)
    (directory / "work.sh").write_text(SCRIPT)
    common = ["--scheduler", "greedy", "--default-resources", "mem_mb=10", "--max-jobs-per-timespan", "1000000/1s"]
    try:
        command = snakemake_command(*contender.arguments, *common)
        seconds_of(command, directory, environment(contender.checkout), timeout_s)
        seen = {path.name: path.read_text() for path in (directory / "out").iterdir()}
        if seen != {f"{i}.txt": f"{i}\n" for i in range(contender.jobs)}:
            raise RunError(f"{contender.name}: wrong outputs", directory)
        return contender.jobs / work_seconds(directory)
    finally:
        shutil.rmtree(directory)


def work_seconds(directory: Path) -> float:
    """Return the time between the two events that the Snakefile notes."""
    events = [line.split() for line in (directory / "events").read_text().splitlines()]
    if [name for name, _ in events] != ["start", "end"]:
        raise RunError(f"Expected one start and one end, got: {events}", directory)
    (_, begin), (_, end) = events
    return float(end) - float(begin)


def table(measurements: list[Contender]) -> str:
    """Return the figures as text, a line for each contender."""
    head = f"{'body':8}{'parse s':>8}  {'executor':24}"
    lines = [f"{head}{'jobs':>6}{'jobs/s':>9}{'min':>8}{'max':>8}{'ms/job':>9}{'/ local':>9}"]
    for each in measurements:
        middle = median(each.rates)
        same = (e for e in measurements if (e.kind, e.parse_s, e.name) == (each.kind, each.parse_s, "local"))
        ratio = middle / median(next(same).rates)
        lines.append(
            f"{each.kind:8}{each.parse_s:8.1f}  {each.name:24}{each.jobs:6d}{middle:9.1f}{min(each.rates):8.1f}"
            f"{max(each.rates):8.1f}{1000 / middle:9.2f}{ratio:9.2f}"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure in rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1000, help="jobs of a run; default: %(default)s")
    parser.add_argument("--repeats", type=int, default=3, help="rounds, of which the median; default: %(default)s")
    parser.add_argument("--parse-s", type=float, nargs="*", default=[0.1, 2.0], help="default: 0.1 2.0")
    parser.add_argument("--kinds", nargs="+", choices=BODIES, default=list(BODIES), help="default: all")
    parser.add_argument("--other", type=Path, metavar="FOLDER", help="another checkout of this plugin")
    parser.add_argument("--timeout", type=float, default=900, help="seconds that one run may take; default: 900")
    options = parser.parse_args()
    entrants = contenders(options)
    with scratch_directory() as scratch:
        for turn in range(options.repeats):
            for each in entrants:
                each.rates.append(measured(each, scratch, options.timeout))
                what = f"{each.kind}, {each.parse_s} s, {each.name}"
                print(f"round {turn + 1}, {what}: {each.rates[-1]:.1f} jobs/s", flush=True)
    print(f"\n{table(entrants)}")


if __name__ == "__main__":
    try:
        main()
    except RunError as e:
        sys.exit(f"FAILED: {e}")
