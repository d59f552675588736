"""Many runs with one fault each: ``python tests/faults/campaign.py --seeds 0-199 --launcher local``.

Runs on: the machine of the tests, as root for the faults of file systems and networks.
Called by: a developer; test_faults runs some of its seeds.

The kind of a seed's fault, its moment and its details come from the seed alone. A fault comes when so many jobs have
finished. After it, the invariants are checked, and then the same command has to complete the workflow. At the end
stands a table of faults and outcomes; the folder of a run that violated an invariant is kept.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parent.parent)]

import growth_kinds
import invariants
import kinds
from account import account_of
from harness import Workflow
from load import FULL, GROWING, QUICK, SNAKEFILE, Load
from scene import Scene
from slurm_cluster import SlurmCluster

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runs import Run

#: A network of its own, which has just the loopback.
_OWN_NETWORK = ("unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")
#: How often each job is tried again where a run tries again at all.
_RETRIES = 3


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, as a seed has it."""

    seed: int
    name: str
    launcher: str
    #: The part of all jobs that have finished when it comes.
    after: float
    retries: int
    keep_going: bool

    @property
    def kind(self) -> kinds.Kind:
        """What it is."""
        return (growth_kinds if self.launcher == "grow" else kinds).KINDS[self.name]

    def __str__(self) -> str:
        """Return it as a report has it."""
        going = " --keep-going" * self.keep_going
        return f"seed {self.seed}: {self.name} after {self.after:.0%}, --retries {self.retries}{going}"

    def start(self, scene: Scene, *args: str, first: bool = False) -> Run:
        """Start the run that it is to hit, or the one that continues it."""
        hog_mb = self.kind.hog_mb if first else 1
        grows = first and self.launcher == "grow"
        arguments = ["--daskmpi-cores", "1" if grows else "2", "--daskmpi-mem-mb", "1000", *args]
        if grows:
            arguments += ["--daskmpi-grow", "3"]
        elif self.launcher in ("local", "grow"):
            arguments += ["--daskmpi-workers", "2"]
        if first:
            arguments += ["--retries", str(self.retries), *["--keep-going"] * self.keep_going]
        arguments += [*scene.load.config, f"hog_mb={hog_mb}"]
        prefix = _OWN_NETWORK if first and self.kind.own_network else ()
        env = kinds.own_clock(scene) if first and self.kind.own_clock else {}
        launcher = "local" if self.launcher == "grow" else self.launcher
        return scene.workflow.start(*arguments, launcher=launcher, prefix=prefix, env=env)


def names_for(launcher: str) -> list[str]:
    """Return the kinds of faults that there can be."""
    if launcher == "grow":
        return list(growth_kinds.KINDS)
    where = "local" if launcher == "local" else "mpi"
    return [name for name, kind in kinds.KINDS.items() if kind.only in ("", where)]


def fault_of(seed: int, launcher: str) -> Fault:
    """Return the fault of a seed: each kind comes once in as many seeds as there are kinds."""
    names = names_for(launcher)
    random.Random(seed // len(names)).shuffle(names)
    rng = random.Random(seed)
    return Fault(
        seed,
        names[seed % len(names)],
        launcher,
        # A run that is half done grows no more.
        after=rng.uniform(0.02, 0.5 if launcher == "grow" else 0.9),
        retries=rng.choice([0, _RETRIES]),
        keep_going=rng.random() < 0.7,
    )


@dataclass(slots=True)
class Result:
    """What a fault has come to."""

    fault: Fault
    #: In a few words, for the table.
    outcome: str
    violations: list[str] = field(default_factory=list)
    seconds: float = 0.0


def carry_out(fault: Fault, workflow: Workflow, load: Load) -> Result:
    """Start a run, let the fault hit it, and check all that must be true then."""
    started = time.monotonic()
    workflow.killed = True
    workflow.write("Snakefile", SNAKEFILE)
    scene = Scene(workflow, load, fault.launcher, run=None)  # type: ignore[arg-type]  # started once all is mounted
    with contextlib.ExitStack() as mounts:
        if fault.name in ("full-outputs", "read-only-outputs"):
            mounts.callback(kinds.mount(scene.outputs))
        if fault.name == "full-logs":
            mounts.callback(kinds.mount(scene.logs))
        result = _hit(fault, scene)
        result.violations += invariants.of_the_jobs(scene, fault)
        result.violations += invariants.of_what_is_left(scene, fault)
        for repair in scene.repairs:
            repair()
        result.violations += invariants.of_the_next_run(scene, fault)
        workflow.kill_all()
    result.seconds = time.monotonic() - started
    return result


def _hit(fault: Fault, scene: Scene) -> Result:
    scene.run = fault.start(scene, first=True)
    came = False
    try:
        scene.wait_for_progress(int(fault.after * scene.load.n_jobs))
        assert scene.ranks, f"it ended before there was a fault:\n{scene.run.text}"
        came = not scene.run.has_ended
        # It may end, or another process may, in the very moment in which the fault is to come.
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            fault.kind.inject(scene, random.Random(fault.seed))
        code = scene.run.wait()
    except AssertionError as error:
        scene.workflow.kill_all()
        return Result(fault, "hangs", [str(error)[:2000]])
    violations = list(invariants.of_the_end(scene, fault, code))
    return Result(fault, _outcome(fault, scene, code) if came else "came too late", violations)


def _outcome(fault: Fault, scene: Scene, code: int) -> str:
    n_failed = account_of(scene.run.text).n_failed
    if code == 0:
        return "completed with retries" if n_failed else "completed"
    end = fault.kind.end_of(fault.launcher)
    if end is kinds.End.SILENT:
        return "was killed"
    return "ended with a message" if end is kinds.End.ENDS else "named failures"


# -- the program -------------------------------------------------------------------------------


def table_of(results: list[Result]) -> str:
    """Return how often each kind of fault had which outcome."""
    outcomes = sorted({result.outcome for result in results} | {"VIOLATED"})
    counts = Counter((result.fault.name, result.outcome) for result in results)
    counts += Counter((result.fault.name, "VIOLATED") for result in results if result.violations)
    rows = [["fault", *outcomes], ["---"] * (1 + len(outcomes))]
    names = list(dict.fromkeys(result.fault.name for result in results))
    rows += [[name, *(str(counts[name, outcome] or "") for outcome in outcomes)] for name in sorted(names)]
    rows += [["all", *(str(sum(counts[name, outcome] for name in names)) for outcome in outcomes)]]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


@contextlib.contextmanager
def cluster() -> Iterator[SlurmCluster]:
    """Give a Slurm that is up."""
    slurm = SlurmCluster()
    slurm.up()
    try:
        yield slurm
    finally:
        slurm.down()
        slurm.wipe()


def reported(fault: Fault, folder: Path, load: Load, slurm: SlurmCluster | None) -> Result:
    """Carry out a fault, and print what came of it; the folder is kept if an invariant was violated."""
    workflow = Workflow(folder / f"{fault.launcher}-{fault.seed}-{fault.name}")
    workflow.slurm = slurm
    try:
        result = carry_out(fault, workflow, load)
    finally:
        workflow.close()
        if slurm:
            slurm.clear()
    print(f"{fault}: {result.outcome}, {result.seconds:.1f} s", flush=True)
    for violation in result.violations:
        print(f"  VIOLATED: {violation}\n    kept: {workflow.folder}", flush=True)
    if not result.violations:
        shutil.rmtree(workflow.folder, ignore_errors=True)
    return result


def main() -> int:
    """Run the campaign of the command line, and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0-199", help="the first and the last, or a list with commas")
    parser.add_argument("--launcher", default="local", help="local, the name of an MPI (mpich, openmpi, impi), or grow")
    parser.add_argument("--kinds", default="", help="only faults of these kinds, separated by commas")
    parser.add_argument("--quick", action="store_true", help="with fewer jobs")
    parser.add_argument("--folder", type=Path, help="where the folders of runs go; default: a new one")
    options = parser.parse_args()
    first, _, last = options.seeds.partition("-")
    seeds = range(int(first), int(last) + 1) if last else [int(seed) for seed in first.split(",")]
    wanted = [fault_of(seed, options.launcher) for seed in seeds]
    wanted = [fault for fault in wanted if not options.kinds or fault.name in options.kinds.split(",")]
    folder = options.folder or Path(tempfile.mkdtemp(prefix="faults-"))
    if any(fault.kind.as_root for fault in wanted) and os.geteuid() != 0:
        print("Faults that need root are left out.")
        wanted = [fault for fault in wanted if not fault.kind.as_root]
    load = GROWING if options.launcher == "grow" else QUICK if options.quick else FULL
    with contextlib.ExitStack() as stack:
        slurm = stack.enter_context(cluster()) if options.launcher == "grow" else None
        results = [reported(fault, folder, load, slurm) for fault in wanted]
    print(table_of(results))
    return any(result.violations for result in results)


if __name__ == "__main__":
    sys.exit(main())
