"""The same workflow by all that could run it, side by side: seconds for 32 jobs of 0, 0.1, 1 and 10 s on 8 slots.

Runs on: one machine as root, with the Slurm of the tests (four nodes of it) and network access for pip.
Called by: hand, ``python tests/benchmark/field.py [--svg FILE]``; takes about half an hour on 2 cores.

``local``        Snakemake's own executor, ``--cores 8``
``slurm``        Snakemake's slurm plugin, ``--jobs 8``: each job is a job of Slurm's
``hyperqueue``   its cluster-generic plugin, and a HyperQueue worker of 8 cores; submitted by HyperQueue's Python API,
                 since PyPI has no ``hq`` program
``plain-dask``   the executor in ``plugins``: each job a task of Dask's
``daskmpi``      this plugin in one Slurm job of four tasks, two of them workers of 4 cores

Each is measured as its users get it, from the command to its end: starts, queue, polls (the slurm plugin looks first
after 40 s, cluster-generic each 10 s). Only Snakemake's limit of job starts is lifted for all. Other plugins are
installed into folders of their own, which only they see: a plugin that is installed is imported at each start of
Snakemake.
"""

import argparse
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from commands import (
    CHECKOUT,
    REFERENCE_PLUGINS,
    RunError,
    environment,
    seconds_of,
    snakemake_command,
)

sys.path.append(str(CHECKOUT / "tests"))
from slurm_cluster import SlurmCluster, missing

SLOTS = 8
SNAKEFILE = """\
rule all:
    input:
        expand("out/{{i}}.txt", i=range({jobs})),

rule work:
    output:
        "out/{{i}}.txt",
    resources:
        mem_mb=50,
        runtime=5,
    shell:
        "sleep {seconds}; echo {{wildcards.i}} > {{output}}"
"""

SLURM_SCRIPT = """\
#!/bin/bash
#SBATCH --ntasks=4 --cpus-per-task=4 --mem-per-cpu=500 --no-kill --output={log}
srun --mpi=pmi2 --cpus-per-task=4 --kill-on-bad-exit=0 --wait=0 --no-kill {command} && touch ended
"""

#: Prints the number of the job that it made of a job script.
HQ_SUBMIT = """\
import sys
from hyperqueue import Client, Job
job = Job()
job.program(["sh", sys.argv[2]])
print(Client(sys.argv[1]).submit(job).id)
"""


@dataclass
class Contender:
    """One way to run the workflow."""

    name: str
    #: Returns the command for a directory.
    command: Callable[[Path], list[str]]
    python_path: tuple[Path, ...]
    #: Seconds of each round, by the seconds that a job takes.
    seconds: dict[float, list[float]] = field(default_factory=dict)


def installed(folder: Path, *packages: str) -> Path:
    """Install packages without what they need, which is there, into a folder of their own, and return it."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
    subprocess.run([*pip, *packages], check=True)
    return folder


def snakemake(executor: str, *arguments: str) -> list[str]:
    """Return a command with what all have in common."""
    common = ["--scheduler", "greedy", "--max-jobs-per-timespan", "1000000/1s", "--executor", executor]
    return snakemake_command(*common, *arguments)


@contextmanager
def hyperqueue(folder: Path) -> Iterator[Path]:
    """Start a server with one worker, and yield its folder."""
    program = (
        "import sys; from hyperqueue.cluster import LocalCluster, WorkerConfig; "
        "cluster = LocalCluster(sys.argv[1], WorkerConfig(cores=int(sys.argv[2]))); print('up', flush=True); "
        "sys.stdin.read(); cluster.stop()"
    )
    server = folder / "server"
    env = environment(folder)
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(server), str(SLOTS)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=env,
        text=True,
    )
    try:
        # Before, the server prints a table about itself.
        if "up\n" not in (process.stdout or ()):
            raise RunError("HyperQueue's server did not start", folder)
        yield server
    finally:
        process.kill()
        process.wait()


@contextmanager
def slurm() -> Iterator[dict[str, str]]:
    """Start a Slurm, and yield what its clients have in their environment.

    The slurm plugin takes all of Slurm's variables from its jobs, which then look for the configuration where it lies
    on any cluster. So it does here, for the time.
    """
    place = Path("/etc/slurm/slurm.conf")
    if place.exists():
        sys.exit(f"There is a Slurm on this machine: {place} exists.")
    place.unlink(missing_ok=True)  # of a run that was killed
    cluster = SlurmCluster()
    cluster.up()
    try:
        place.parent.mkdir(exist_ok=True)
        place.symlink_to(cluster.conf)
        yield cluster.environ
    finally:
        place.unlink(missing_ok=True)
        cluster.down()
        cluster.wipe()


def contenders(names: list[str], scratch: Path, server: Path | None) -> list[Contender]:
    """Return those that were asked for."""

    def daskmpi(directory: Path) -> list[str]:
        command = " ".join(snakemake("daskmpi", "--jobs", "unlimited"))
        (directory / "job.sl").write_text(SLURM_SCRIPT.format(log=directory / "slurm.log", command=command))
        # sbatch --wait looks after 2, 4, 8, … seconds.
        return ["bash", "-c", "sbatch job.sl && until [ -e ended ]; do sleep 0.1; done"]

    def generic(_: Path) -> list[str]:
        submit = f"{sys.executable} {scratch / 'hq_submit.py'} {server}"
        (scratch / "hq_submit.py").write_text(HQ_SUBMIT)
        return snakemake("cluster-generic", "--jobs", str(SLOTS), "--cluster-generic-submit-cmd", submit)

    # This Slurm has no database, which the plugin would ask by default.
    of_slurm = ("--jobs", str(SLOTS), "--slurm-status-command", "squeue")
    of_slurm += ("--default-resources", "slurm_account=none", "slurm_partition=main")
    makers: dict[str, Callable[[], Contender]] = {
        "local": lambda: Contender("local", lambda _: snakemake("local", "--cores", str(SLOTS)), ()),
        "slurm": lambda: Contender(
            "slurm",
            lambda _: snakemake("slurm", *of_slurm),
            (
                installed(
                    scratch / "slurm", "snakemake-executor-plugin-slurm", "snakemake-executor-plugin-slurm-jobstep"
                ),
            ),
        ),
        "hyperqueue": lambda: Contender(
            "hyperqueue",
            generic,
            (installed(scratch / "generic", "snakemake-executor-plugin-cluster-generic"), scratch / "hyperqueue"),
        ),
        "plain-dask": lambda: Contender(
            "plain-dask", lambda _: snakemake("plain-dask", "--jobs", str(SLOTS)), (REFERENCE_PLUGINS,)
        ),
        "daskmpi": lambda: Contender("daskmpi", daskmpi, (CHECKOUT,)),
    }
    return [makers[name]() for name in names]


NAMES = ["local", "slurm", "hyperqueue", "plain-dask", "daskmpi"]


def measured(
    contender: Contender, job_s: float, scratch: Path, slurm: dict[str, str], options: argparse.Namespace
) -> float:
    """Run a contender once in a fresh directory, check its outputs and return its seconds."""
    directory = scratch / "run"
    (directory / "out").mkdir(parents=True)
    (directory / "Snakefile").write_text(SNAKEFILE.format(jobs=options.jobs, seconds=job_s))
    env = {**environment(*contender.python_path), **slurm, "BENCHMARK_SLOTS": str(SLOTS)}
    env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env["PATH"]])
    try:
        seconds = seconds_of(contender.command(directory), directory, env, options.timeout)
        seen = {path.name: path.read_text() for path in (directory / "out").iterdir()}
        if seen != {f"{i}.txt": f"{i}\n" for i in range(options.jobs)}:
            raise RunError(f"{contender.name}: wrong outputs", directory)
        return seconds
    finally:
        shutil.rmtree(directory)


def table(measurements: list[Contender], jobs: int) -> str:
    """Return the medians as a table in Markdown, with the least that is possible."""
    durations = list(measurements[0].seconds)
    ideal = [f"{-(-jobs // SLOTS) * job_s:.1f}" for job_s in durations]
    rows = [[each.name, *(f"{median(each.seconds[job_s]):.1f}" for job_s in durations)] for each in measurements]
    lines = [
        ["", *(f"{job_s:g} s" for job_s in durations)],
        ["---"] * (1 + len(durations)),
        ["the bodies alone", *ideal],
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in [*lines, *rows])


def draw(measurements: list[Contender], jobs: int, file: Path) -> None:
    """Draw the medians, on a logarithmic axis since they differ by orders of magnitude."""
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt

    durations = list(measurements[0].seconds)
    figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
    width = 0.8 / len(measurements)
    for number, each in enumerate(measurements):
        places = [index + (number - (len(measurements) - 1) / 2) * width for index in range(len(durations))]
        axes.bar(places, [median(each.seconds[job_s]) for job_s in durations], width * 0.95, label=each.name)
    for index, job_s in enumerate(durations):
        if job_s:
            axes.hlines(-(-jobs // SLOTS) * job_s, index - 0.45, index + 0.45, color="black", linestyle=":")
    axes.set_yscale("log")
    axes.set_ylabel("seconds, from command to end")
    axes.set_xticks(range(len(durations)), [f"{job_s:g} s" for job_s in durations])
    axes.set_xlabel(f"{jobs} jobs that sleep for so long, on {SLOTS} slots (dotted: the bodies alone)")
    axes.legend(
        ncols=len(measurements), loc="upper center", bbox_to_anchor=(0.5, 1.15), frameon=False, fontsize="small"
    )
    figure.savefig(file, metadata={"Date": None})


def main() -> None:
    """Measure in rounds, print the table, draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=32, help="jobs of a run; default: %(default)s")
    parser.add_argument("--job-s", type=float, nargs="+", default=[0, 0.1, 1, 10], help="default: 0 0.1 1 10")
    parser.add_argument("--repeats", type=int, default=1, help="rounds, of which the median; default: %(default)s")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, help="default: all")
    parser.add_argument("--timeout", type=float, default=900, help="seconds that one run may take; default: 900")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--svg", type=Path, help="draw the medians into this file")
    options = parser.parse_args()
    if reason := missing():
        sys.exit(reason)
    # Nodes have a /dev/shm each.
    with slurm() as slurm_environ, tempfile.TemporaryDirectory(prefix="field-") as folder:
        scratch = Path(folder)
        with hyperqueue(installed(scratch / "hyperqueue", "hyperqueue")) as server:
            entrants = contenders(options.only, scratch, server)
            for turn, job_s in itertools.product(range(options.repeats), options.job_s):
                for each in entrants:
                    took = measured(each, job_s, scratch, slurm_environ, options)
                    each.seconds.setdefault(job_s, []).append(took)
                    print(f"round {turn + 1}, {job_s:g} s, {each.name}: {took:.1f} s", flush=True)
    print(f"\n{table(entrants, options.jobs)}")
    if options.json:
        options.json.write_text(json.dumps({each.name: each.seconds for each in entrants}, indent=2) + "\n")
    if options.svg:
        draw(entrants, options.jobs, options.svg)


if __name__ == "__main__":
    try:
        main()
    except RunError as e:
        sys.exit(f"FAILED: {e}")
