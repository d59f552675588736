"""How many trivial jobs a second this plugin runs, beside what else could run them.

Runs on: one machine, in memory (``/dev/shm``).
Called by: hand, ``python tests/benchmark/throughput.py``.

Four executors run the same workflow of N jobs ``echo {wildcards.i} > {output}``, in turn, several rounds:

a  ``nothing``   creates empty outputs and runs nothing: what Snakemake alone can do, a ceiling for everybody
b  ``local``     Snakemake's own, with the ``--cores`` that suits it best
c  ``spawning``  a ``python -m snakemake`` per job, as cluster executors do; far fewer jobs, as it is far slower
d  ``daskmpi``   this plugin, under mpiexec

Jobs/s counts the work and not the start: N divided by the time from Snakemake's ``onstart`` hook to its ``onsuccess``
hook, which lie around its scheduling loop and run in the main process only. Python's start, MPI's and the building of
the DAG are before it, the end of the world of ranks is after it; the column *whole* has them.

Snakemake starts at most 100 jobs a second unless told otherwise (``--max-jobs-per-timespan``, default ``100/1s``). With
its default arguments a, b and c are bound by that; d lifts it by itself. ``--max-jobs-per-timespan 1000000/1s`` lifts
it for all, which shows the cost of each executor itself. Both are worth knowing: the first is what users get.
"""

import argparse
import json
import os
import platform
import shutil
import sys
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from commands import (
    BENCHMARKS,
    CHECKOUT,
    REFERENCE_PLUGINS,
    RunError,
    environment,
    mpiexec_command,
    scratch_directory,
    seconds_of,
    snakemake_command,
)
from cpu_times import KINDS

SNAKEFILE = """\
import json
import sys
import time

sys.path.append({benchmarks!r})
import cpu_times

def note(event):
    # Around what is measured: this takes time itself.
    first, cpu, last = time.time(), cpu_times.snapshot(), time.time()
    with open("events", "a") as file:
        json.dump([event, last if event == "start" else first, cpu], file)
        print(file=file)

onstart:
    note("start")

onsuccess:
    note("end")

rule all:
    input:
        expand("parts/{{p}}", p=range(0, {jobs}, {part}))
        if {jobs} > {part}
        else expand("out/{{i}}.txt", i=range({jobs})),

# Snakemake's preparation of one job takes time in proportion to the square of its inputs: 7 s for 10,000.
rule part:
    input:
        lambda wildcards: expand("out/{{i}}.txt", i=range({jobs})[int(wildcards.p):][:{part}]),
    output:
        touch("parts/{{p}}"),

rule work:
    output:
        "out/{{i}}.txt",
    shell:
        "echo {{wildcards.i}} > {{output}}"
"""

#: Jobs whose outputs one job takes, where there are more than these; those jobs come on top, and are not counted.
_PART = 1000

#: What local's ``--cores`` is tried with, as multiples of the machine's cores. More than 1 helps although the jobs then
#: share cores: a scheduling round weighs every job that is ready and not yet running, and there are fewer of those.
LOCAL_CORES_FACTORS = (1, 8, 64)


@dataclass
class Sample:
    """One run, in seconds."""

    #: From onstart to onsuccess.
    work_s: float
    #: The whole command, from its start to its exit.
    whole_s: float
    #: CPU seconds from onstart to onsuccess by kind of process.
    cpu_s: dict[str, float]


@dataclass
class Contender:
    """One executor, how it is started and what was measured."""

    letter: str
    name: str
    jobs: int
    arguments: list[str]
    #: What stands before the Snakemake command.
    prefix: list[str] = field(default_factory=list)
    #: Whether the jobs' commands ran, so that outputs have content.
    runs_jobs: bool = True
    samples: list[Sample] = field(default_factory=list)

    def rates(self) -> list[float]:
        """Return each run's jobs per second, slowest first."""
        return sorted(self.jobs / sample.work_s for sample in self.samples)

    def summary(self) -> dict[str, Any]:
        """Return the figures of the table, with all runs, as JSON can hold them."""
        rates = self.rates()
        return {
            "name": self.name,
            "arguments": [*self.prefix[1:], *self.arguments],
            "jobs": self.jobs,
            "jobs_per_s": {"median": median(rates), "min": rates[0], "max": rates[-1]},
            "ms_per_job": 1000 / median(rates),
            "whole_s": median(sample.whole_s for sample in self.samples),
            "cpu_ms_per_job": cpu_ms(self),
            "samples": [vars(sample) for sample in self.samples],
        }


def local_contender(jobs: int, cores: int) -> Contender:
    """Return Snakemake's own executor with a number of cores."""
    return Contender("b", f"local --cores {cores}", jobs, ["--executor", "local", "--cores", str(cores)])


def contenders(options: argparse.Namespace) -> list[Contender]:
    """Return the executors that were asked for, in the order in which they take turns."""
    remote = ["--jobs", "unlimited", "--executor"]
    world = mpiexec_command(options.ranks)
    known = [
        Contender("a", "nothing", options.jobs, [*remote, "nothing"], runs_jobs=False),
        local_contender(options.jobs, options.local_cores or machine_cores()),
        Contender("c", "spawning", options.spawn_jobs, [*remote, "spawning"]),
        Contender("d", f"daskmpi, {options.ranks} ranks", options.jobs, [*remote, "daskmpi"], prefix=world),
    ]
    return [contender for contender in known if contender.letter in options.only]


def machine_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0))


def measured(contender: Contender, scratch: Path, options: argparse.Namespace) -> Sample:
    """Run a contender once in a fresh directory, check its outputs and return its times."""
    directory = scratch / "run"
    (directory / "out").mkdir(parents=True)
    (directory / "Snakefile").write_text(SNAKEFILE.format(jobs=contender.jobs, part=_PART, benchmarks=str(BENCHMARKS)))
    # The plugin's own folder is on the path for d only: a, b and c run as without it.
    env = environment(CHECKOUT if contender.letter == "d" else REFERENCE_PLUGINS)
    common = ["--scheduler", "greedy", "--default-resources", "mem_mb=10"]
    if options.max_jobs_per_timespan:
        common += ["--max-jobs-per-timespan", options.max_jobs_per_timespan]
    command = [*contender.prefix, *snakemake_command(*contender.arguments, *common)]
    try:
        whole_s = seconds_of(command, directory, env, options.timeout)
        check_outputs(contender, directory)
        return sample_of(directory, whole_s)
    finally:
        shutil.rmtree(directory)


def sample_of(directory: Path, whole_s: float) -> Sample:
    """Return the difference of the two events that the Snakefile notes."""
    events = [json.loads(line) for line in (directory / "events").read_text().splitlines()]
    if [name for name, _, _ in events] != ["start", "end"]:
        raise RunError(f"Expected one start and one end, got: {events}", directory)
    (_, begin, before), (_, end, after) = events
    return Sample(end - begin, whole_s, {kind: after[kind] - before[kind] for kind in KINDS})


def check_outputs(contender: Contender, directory: Path) -> None:
    """Raise a RunError unless there is exactly one right output per job."""
    seen = {path.name: path.read_text() for path in (directory / "out").iterdir()}
    expected = {f"{i}.txt": f"{i}\n" if contender.runs_jobs else "" for i in range(contender.jobs)}
    if seen != expected:
        wrong = sum(seen.get(name) != text for name, text in expected.items())
        raise RunError(f"{contender.name}: {len(seen)} outputs for {contender.jobs} jobs, {wrong} wrong", directory)


def best_local(jobs: int, scratch: Path, options: argparse.Namespace) -> Contender:
    """Try local with several numbers of cores, once each, and return it with the best one."""
    tried = []
    for cores in sorted({min(factor * machine_cores(), max(jobs, 1)) for factor in LOCAL_CORES_FACTORS}):
        contender = local_contender(jobs, cores)
        sample = measured(contender, scratch, options)
        tried.append((sample.work_s, contender))
        print(f"trying {contender.name}: {jobs / sample.work_s:.0f} jobs/s", flush=True)
    return min(tried, key=lambda pair: pair[0])[1]


def table(measurements: list[Contender]) -> str:
    """Return the figures as text, a line per contender."""
    lines = [f"{'':22}{'jobs':>6}{'jobs/s':>9}{'min':>8}{'max':>8}{'ms/job':>9}{'whole s':>9}{'d / it':>8}"]
    ours = next((median(each.rates()) for each in measurements if each.letter == "d"), None)
    for each in measurements:
        rates = each.rates()
        middle = median(rates)
        whole_s = median(sample.whole_s for sample in each.samples)
        ratio = f"{ours / middle:8.2f}" if ours else f"{'-':>8}"
        lines.append(
            f"{each.letter}  {each.name:19}{each.jobs:6d}{middle:9.1f}{rates[0]:8.1f}{rates[-1]:8.1f}"
            f"{1000 / middle:9.2f}{whole_s:9.1f}{ratio}"
        )
    return "\n".join(lines)


def cost_table(measurements: list[Contender]) -> str:
    """Return milliseconds of CPU for each job, by what took them; workers are those and all bodies."""
    lines = [f"CPU ms/job{'':12}" + "".join(f"{kind:>11}" for kind in (*KINDS, "all"))]
    lines += [
        f"{each.letter}  {each.name:19}" + "".join(f"{ms:11.2f}" for ms in cpu_ms(each).values())
        for each in measurements
    ]
    return "\n".join(lines)


def cpu_ms(contender: Contender) -> dict[str, float]:
    """Return milliseconds of CPU for each job by kind of process, and of all; medians."""
    samples = [sample.cpu_s | {"all": sum(sample.cpu_s.values())} for sample in contender.samples]
    return {kind: median(1000 * cpu[kind] / contender.jobs for cpu in samples) for kind in (*KINDS, "all")}


def ratios(measurements: list[Contender]) -> str:
    """Return what this plugin costs as ratios to what a and b cost, as text; empty if one of them did not run."""
    by_letter = {each.letter: each for each in measurements}
    if not by_letter.keys() >= {"a", "b", "d"}:
        return ""
    nothing, local, ours = (cpu_ms(by_letter[letter]) for letter in "abd")
    # Bodies that have ended count with their programs. These cost what they cost with local.
    python = ours["workers"] + ours["programs"] - local["programs"]
    return "\n".join(
        f"{text:58}{ratio:6.2f}"
        for text, ratio in {
            "CPU of rank 1 / nothing": ours["Snakemake"] / nothing["Snakemake"],
            "CPU of rank 0 / nothing": ours["scheduler"] / nothing["Snakemake"],
            "CPU of workers without local's cost of programs / nothing": python / nothing["Snakemake"],
            "CPU of all / local": ours["all"] / local["all"],
        }.items()
    )


def report(measurements: list[Contender], options: argparse.Namespace) -> dict[str, Any]:
    """Return everything that is needed to judge or repeat the measurement."""
    packages = ("snakemake", "snakemake-interface-executor-plugins", "distributed", "dask-mpi", "mpi4py")
    return {
        "options": {key: value for key, value in vars(options).items() if key != "json"},
        "machine": {"cores": machine_cores(), "platform": platform.platform(), "load": os.getloadavg()},
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
        "contenders": {each.letter: each.summary() for each in measurements},
    }


def parsed_options() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1000, help="jobs per run; default: %(default)s")
    parser.add_argument("--spawn-jobs", type=int, default=20, help="jobs per run of c; default: %(default)s")
    parser.add_argument("--repeats", type=int, default=5, help="rounds, of which the median; default: %(default)s")
    parser.add_argument("--only", nargs="+", choices="abcd", default=list("abcd"), help="which to run; default: all")
    parser.add_argument("--ranks", type=int, default=4, help="ranks of the world of d; default: %(default)s")
    parser.add_argument("--local-cores", type=int, metavar="N", help="--cores of local; default: the best of three")
    parser.add_argument("--max-jobs-per-timespan", metavar="N/TIME", help="Snakemake's option; default: its default")
    parser.add_argument("--timeout", type=float, default=900, help="seconds that one run may take; default: 900")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    return parser.parse_args()


def main() -> None:
    """Measure in rounds, print the table, write the file."""
    options = parsed_options()
    entrants = contenders(options)
    with scratch_directory() as scratch:
        if options.local_cores is None:
            entrants = [best_local(each.jobs, scratch, options) if each.letter == "b" else each for each in entrants]
        for turn in range(options.repeats):
            for each in entrants:
                each.samples.append(measured(each, scratch, options))
                print(f"round {turn + 1}, {each.name}: {each.jobs / each.samples[-1].work_s:.1f} jobs/s", flush=True)
    print("", *filter(None, (table(entrants), cost_table(entrants), ratios(entrants))), sep="\n\n")
    if options.json:
        options.json.write_text(json.dumps(report(entrants, options), indent=2) + "\n")


if __name__ == "__main__":
    try:
        main()
    except RunError as e:
        sys.exit(f"FAILED: {e}")
