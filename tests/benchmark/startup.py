"""What a run of one trivial job takes from beginning to end: the start of Snakemake and of a world, and their end.

Runs on: one machine, in memory (``/dev/shm``).
Called by: hand, ``python tests/benchmark/startup.py``.

Snakemake's own executor, a local world and a world of MPI ranks take turns, so that what else the machine does falls on
all of them. ``--other FOLDER`` adds another checkout of this plugin, and tells what this one saves, pair by pair.
Seconds are wall time.
"""

import argparse
import itertools
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from commands import CHECKOUT, environment, mpiexec_command, scratch_directory, seconds_of, snakemake_command

SNAKEFILE = """\
rule all:
    output: "one.txt"
    shell: "touch {output}"
"""


@dataclass
class Contender:
    """One way to run it."""

    name: str
    command: list[str]
    #: The checkout whose plugin it runs with.
    checkout: Path = CHECKOUT
    seconds: list[float] = field(default_factory=list)

    def run(self, directory: Path, timeout_s: float) -> None:
        """Run it once, in a directory that is made for it."""
        directory.mkdir()
        (directory / "Snakefile").write_text(SNAKEFILE)
        try:
            self.seconds.append(seconds_of(self.command, directory, environment(self.checkout), timeout_s))
            assert (directory / "one.txt").exists()
        finally:
            shutil.rmtree(directory)


def contenders(other: Path | None) -> list[Contender]:
    """Return all that is measured, in the order in which they take turns; pairs follow one another."""
    ours = snakemake_command("--executor", "daskmpi", "--jobs", "unlimited")
    ways = {"a local world": ours, "4 ranks of MPI": [*mpiexec_command(4), *ours]}
    found = [Contender("local executor", snakemake_command("--executor", "local", "--cores", "1"))]
    for name, command in ways.items():
        found.append(Contender(name, command))
        if other is not None:
            found.append(Contender(f"{name}, other", command, other))
    return found


def main() -> None:
    """Measure in rounds and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="rounds after a first one for the caches; default: 5")
    parser.add_argument("--other", type=Path, metavar="FOLDER", help="another checkout of this plugin")
    parser.add_argument("--timeout", type=float, default=120, help="seconds that one run may take; default: 120")
    options = parser.parse_args()
    entrants = contenders(options.other)
    with scratch_directory() as scratch:
        for turn in range(1 + options.repeats):
            for each in entrants:
                each.run(scratch / "run", options.timeout)
            print(
                f"round {turn}: " + ", ".join(f"{each.name} {each.seconds[-1]:.2f} s" for each in entrants), flush=True
            )
    print(f"\n{'':28}{'median':>8}{'min':>8}{'max':>8}")
    for each in entrants:
        counted = each.seconds[1:]
        print(f"{each.name:28}{median(counted):8.2f}{min(counted):8.2f}{max(counted):8.2f}")
    for each, its_other in itertools.pairwise(entrants):
        if its_other.name == f"{each.name}, other":
            saved = [theirs - mine for mine, theirs in zip(each.seconds[1:], its_other.seconds[1:], strict=True)]
            print(f"{each.name}: {median(saved):.2f} s less than the other (median of {len(saved)} pairs)")


if __name__ == "__main__":
    main()
