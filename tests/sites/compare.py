"""A workflow of somebody else's, run by Snakemake's local executor and by this plugin, and what differs.

Runs on: the machine of the tests. The interpreter has Snakemake, this plugin and what the workflow imports.
Called by: hand, ``python tests/sites/compare.py FOLDER``; with ``--slurm``, as root, with the programs of the tests'
Slurm. Nothing of it is part of CI.

The folder stays as it is: each side runs in a copy, and the local executor in two: what differs between these, the
workflow itself makes differ (dates, random numbers, names of temporary files). What comes after ``--`` is the
workflow's own (targets, ``--groups``, ``--config``); ``--profile FOLDER`` is a profile that may name another executor.
One row of a table is printed, and below it what differs. Nothing is fetched: a workflow that downloads needs its data
in the folder.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from differences import APART, HARMLESS, Left, cause, differing, missing_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: By name, how the plugin runs the jobs: as a local world, as ranks of one MPI world, as a planned Slurm job.
LAUNCHERS = {
    "local": ("--daskmpi-workers", "2", "--cores", "4"),
    "mpiexec": ("--daskmpi-launcher", "mpiexec", "--daskmpi-workers", "2", "--cores", "4"),
    "sbatch": ("--daskmpi-launcher", "sbatch"),
}
#: As many threads for every rule on all sides, since programs write into their output how many they had.
_THREADS = ("--max-threads", "2")
#: Seconds after which a run is ended.
_PATIENCE_S = 900
_HEADING = (
    "| workflow | run | exit codes | jobs | records | nothing left to do | files | of them differ | unexplained |"
)


@dataclass(slots=True)
class Side:
    """One run in a copy of the folder."""

    name: str
    code: int
    text: str
    #: What a dry run says afterwards: whether there is nothing to be done.
    is_done: bool
    left: Left

    @property
    def jobs(self) -> str:
        """How many jobs are done, of how many, as Snakemake says at last."""
        told = re.findall(r"^(\d+ of \d+) steps", self.text, re.MULTILINE)
        return told[-1] if told else "none"

    @property
    def n_records(self) -> int:
        """How many outputs have a record of how they were made."""
        return sum(path.is_file() for path in self.left.folder.glob("**/.snakemake/metadata/**/*"))


@dataclass(frozen=True, slots=True)
class Workflow:
    """What both sides run, and where."""

    source: Path
    workdir: str
    args: Sequence[str]
    environ: dict[str, str]
    keep: Path

    def run(self, name: str, *executor: str) -> Side:
        """Copy the workflow, run it, and look at what it leaves."""
        folder = self.keep / name
        shutil.copytree(self.source, folder, symlinks=True, ignore=shutil.ignore_patterns(*APART))
        code, text = self._ended(folder, *executor)
        (self.keep / f"{name}.log").write_text(text)
        # Not with the executor: a dry run of it says the same.
        is_done = "Nothing to be done" in self._ended(folder, "--dry-run")[1]
        return Side(name, code, text, is_done, Left.of(folder))

    def _ended(self, folder: Path, *options: str) -> tuple[int, str]:
        """Return exit code and output of a Snakemake."""
        done = subprocess.run(
            [sys.executable, "-m", "snakemake", *options, *_THREADS, *self.args],
            cwd=folder / self.workdir,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_PATIENCE_S,
            text=True,
            errors="replace",
            check=False,
        )
        return done.returncode, done.stdout


@contextlib.contextmanager
def surroundings(*, is_slurm: bool) -> Iterator[dict[str, str]]:
    """Yield the environment of all sides, with a Slurm if there is to be one."""
    if not is_slurm:
        yield dict(os.environ)
        return
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from slurm_cluster import SlurmCluster

    cluster = SlurmCluster()
    try:
        cluster.up()
        yield {**os.environ, **cluster.environ}
    finally:
        cluster.down()
        cluster.wipe()


def told(title: str, run: str, local: Side, again: Side, other: Side) -> bool:
    """Print a row of a table and what differs; return whether nothing is left to explain."""
    by_itself = set(differing(local.left, again.left))
    why: dict[str, list[str]] = {}
    odd = 0
    for name in differing(local.left, other.left):
        found = cause(local.left, other.left, name)
        lost = missing_lines(local.left, again.left, other.left, name)
        here, there, before = (name in side.left.files for side in (other, local, again))
        # What a second run of local has is no excuse for what this one has not.
        is_usual = name in by_itself and here in (there, before)
        odd += not is_usual and found not in HARMLESS
        kind = f"{found}, {'also from one run of local to the next' if is_usual else 'here only'}"
        why.setdefault(kind, []).append(f"{name} (without {lost[0]!r:.60} and {len(lost) - 1} more)" if lost else name)
    same = (local.code, local.jobs, local.n_records, local.is_done)
    row = [
        title,
        run,
        f"{local.code} / {other.code}",
        f"{local.jobs} / {other.jobs}",
        f"{local.n_records} / {other.n_records}",
        f"{local.is_done} / {other.is_done}",
        str(len(local.left.files)),
        str(sum(map(len, why.values()))),
        str(odd),
    ]
    print(_HEADING, "|---" * len(row) + "|", f"| {' | '.join(row)} |", "", sep="\n")
    for kind, names in sorted(why.items()):
        print(f"- {kind}: {', '.join(names[:6])}{f' and {len(names) - 6} more' if len(names) > 6 else ''}")
    return not odd and same == (other.code, other.jobs, other.n_records, other.is_done)


def main() -> int:
    """Compare; return 0 if there is nothing to explain."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workdir", default=".", help="where in the folder Snakemake is started")
    parser.add_argument("--launcher", choices=LAUNCHERS, default="local")
    parser.add_argument("--profile", type=Path, help="a profile; with --executor daskmpi for one side")
    parser.add_argument("--slurm", action="store_true", help="in a Slurm of several nodes on this machine")
    parser.add_argument("--keep", type=Path, help="a new folder for all copies and their output")
    parser.add_argument("--name", help="of the workflow, in the table")
    ours = sys.argv[1:]
    args = ours[ours.index("--") + 1 :] if "--" in ours else []
    options = parser.parse_args(ours[: len(ours) - len(args) - 1] if "--" in ours else ours)
    keep = options.keep or Path(tempfile.mkdtemp(prefix="compare-"))
    # A profile for a batch system says how many jobs; without one, the user has to.
    profile = ["--profile", str(options.profile.resolve())] if options.profile else ["--jobs", "unlimited"]
    with surroundings(is_slurm=options.slurm) as environ:
        workflow = Workflow(options.folder.resolve(), options.workdir, args, environ, keep)
        local, again = (workflow.run(name, "--executor", "local", "--cores", "2") for name in ("local", "again"))
        other = workflow.run("daskmpi", "--executor", "daskmpi", *LAUNCHERS[options.launcher], *profile)
    run = options.launcher + (f", profile {options.profile.name}" if options.profile else "")
    is_right = told(options.name or options.folder.resolve().name, run, local, again, other)
    print(f"- output and all copies: {keep}")
    return int(not is_right)


if __name__ == "__main__":
    sys.exit(main())
