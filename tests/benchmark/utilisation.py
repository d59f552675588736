"""How busy the slots of a world are while jobs wait, and how long it takes from the command to the first job.

Runs on: one machine; bodies sleep, so two cores do for many slots.
Called by: hand, ``python tests/benchmark/utilisation.py [--ranks 66 --cores 1]``.

From the record of one run under ``mpiexec``: the time that jobs run between the moment when all slots are taken for
the first time and the last start of a job, over what the slots offer in it. Beside it, what the slowest of as many
Pythons takes that only import what a rank does, all started at once.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from commands import (
    CHECKOUT,
    RunError,
    environment,
    mpiexec_command,
    scratch_directory,
    seconds_of,
    snakemake_command,
)

from snakemake_executor_plugin_daskmpi.record.run_view import RunView

if TYPE_CHECKING:
    from pathlib import Path

SNAKEFILE = """\
rule all:
    input:
        expand("out/{{i}}", i=range({jobs})),

rule work:
    output:
        "out/{{i}}",
    shell:
        "sleep {seconds}; touch {{output}}"
"""

#: What every rank imports before the ranks meet.
IMPORTS = "import snakemake.cli, distributed, dask_mpi, mpi4py"


@dataclass(frozen=True)
class Span:
    """When a job ran, in seconds since the epoch."""

    start: float
    end: float


def spans_of(directory: Path) -> list[Span]:
    """Return when the jobs of the one run in a directory ran."""
    (folder,) = directory.glob(".snakemake/daskmpi/*")
    view = RunView(folder)
    view.update()
    return [Span(job.started_at, job.ended_at) for job in view.jobs.values() if job.started_at and job.ended_at]


def utilisation(spans: list[Span], slots: int) -> float:
    """Return the part of the slots' time that jobs use, from when all are taken until the last job starts."""
    starts = sorted(span.start for span in spans)
    if len(starts) <= slots:
        raise ValueError("there must be more jobs than slots")
    begin, end = starts[slots - 1], starts[-1]
    used = sum(max(0.0, min(span.end, end) - max(span.start, begin)) for span in spans)
    return used / (slots * (end - begin))


def imports_s(number: int) -> float:
    """Return how long the slowest takes of so many Pythons that import what a rank does."""
    begin = time.monotonic()
    started = [subprocess.Popen([sys.executable, "-c", IMPORTS], env=environment(CHECKOUT)) for _ in range(number)]
    if any(process.wait() for process in started):
        raise RuntimeError("the imports failed")
    return time.monotonic() - begin


def main() -> None:
    """Measure once, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ranks", type=int, default=6, help="of which two are no workers; default: %(default)s")
    parser.add_argument("--cores", type=int, default=16, help="slots of each worker; default: %(default)s")
    parser.add_argument("--rounds", type=int, default=4, help="jobs for each slot; default: %(default)s")
    parser.add_argument("--seconds", type=float, default=10, help="of each job; default: %(default)s")
    parser.add_argument("--timeout", type=float, default=900, help="seconds that the run may take; default: 900")
    options = parser.parse_args()
    slots = (options.ranks - 2) * options.cores
    with scratch_directory() as scratch:
        directory = scratch / "run"
        (directory / "out").mkdir(parents=True)
        (directory / "Snakefile").write_text(SNAKEFILE.format(jobs=slots * options.rounds, seconds=options.seconds))
        arguments = ["--executor", "daskmpi", "--jobs", "unlimited", "--scheduler", "greedy"]
        arguments += ["--daskmpi-cores", str(options.cores), "--default-resources", "mem_mb=10"]
        command = [*mpiexec_command(options.ranks), *snakemake_command(*arguments)]
        begin = time.time()
        whole_s = seconds_of(command, directory, environment(CHECKOUT), options.timeout)
        spans = spans_of(directory)
        if len(spans) != slots * options.rounds:
            raise RunError(f"{len(spans)} of {slots * options.rounds} jobs ended", directory)
    first_s, bare_s = min(span.start for span in spans) - begin, imports_s(options.ranks)
    print(f"{slots} slots of {options.ranks - 2} workers, {len(spans)} jobs of {options.seconds:g} s: {whole_s:.1f} s")
    print(f"utilisation while jobs wait: {utilisation(spans, slots):.3f}")
    print(f"from the command to the first job: {first_s:.1f} s; imports alone, {options.ranks} at once: {bare_s:.1f} s")


if __name__ == "__main__":
    try:
        main()
    except RunError as e:
        sys.exit(f"FAILED: {e}")
