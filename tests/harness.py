"""Start Snakemake as a user does, watch it, and look for what it leaves behind.

Runs on: the machine of the tests. No mocks: real processes, real signals, real files.
Called by: the integration tests, through the fixtures of conftest.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import uuid
from base64 import urlsafe_b64decode
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from forked import Forked
from mpis import MPIS
from required import NIGHT, skip_or_fail
from runs import Run, SlurmRun, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from slurm_cluster import SlurmCluster

#: The environment variable that all descendants of a test inherit, jobs included.
MARKER = "DASKMPI_TEST_ID"

#: How a test says that Snakemake itself is to run the jobs, for comparison.
REFERENCE = "snakemake's local executor"

#: What would change how a run behaves, and is the developer's own business.
_PRIVATE_PREFIXES = ("SLURM_", "SNAKEMAKE_", "PMI_", "PMIX_", "CUDA_VISIBLE", "ROCR_VISIBLE", "PYTHONDONTWRITEBYTECODE")

#: What ``ps -e`` calls a rank of a local world.
RANK_NAME = re.compile(r"rank-(\d+)-")

#: Fields of a metadata record that differ from run to run: times, and a hash of memory addresses.
_TRANSIENT = ("starttime", "endtime", "job_hash", "namespace")


def require(name: str) -> None:
    """Skip a test aloud if an MPI is missing; fail instead if ``DASKMPI_REQUIRE`` names it."""
    if not MPIS[name].is_there:
        skip_or_fail(name, f"{name} is not installed; python tests/mpis.py lifts this")


@dataclass(slots=True)
class Workflow:
    """A workflow in a folder of its own, and the runs of it."""

    folder: Path
    #: Short, since MPIs put sockets there, whose paths are limited to 107 characters.
    tmpdir: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="dm-")))
    test_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    runs: list[Run] = field(default_factory=list)
    #: Set by tests that kill what would have cleaned up.
    killed: bool = False
    #: Set by the fixture slurm.
    slurm: SlurmCluster | None = None
    #: Whether each run is a program of its own, not a fork of one that has imported Snakemake.
    starts_programs: bool = NIGHT

    # -- files ---------------------------------------------------------------------------------

    def write(self, name: str, text: str) -> Path:
        """Write a file of the workflow; the text may be indented."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    def read(self, name: str) -> str:
        """Return the content of a file."""
        return (self.folder / name).read_text()

    def has(self, name: str) -> bool:
        """Say whether a file is there."""
        return (self.folder / name).exists()

    def lines(self, name: str) -> list[str]:
        """Return the lines of a file, none if it is not there."""
        return self.read(name).splitlines() if self.has(name) else []

    def wait_for(self, *names: str, run: Run | SlurmRun, timeout_s: float = 120.0, filled: bool = False) -> None:
        """Wait for files that jobs of a run write, and for a line in each if they are to be filled."""
        missing = lambda: [name for name in names if not (self.lines(name) if filled else self.has(name))]  # noqa: E731
        wait_until(
            lambda: not missing() or run.has_ended,
            on_timeout=lambda: f"{missing()} are missing, and the run says:\n{run.text}",
            timeout_s=timeout_s,
        )
        assert not missing(), f"the run ended without {missing()}:\n{run.text}"

    # -- runs ----------------------------------------------------------------------------------

    def start(
        self,
        *args: str,
        launcher: str = "local",
        ranks: int = 4,
        env: dict[str, str] | None = None,
        prefix: Sequence[str] = (),
    ) -> Run:
        """Start Snakemake in the workflow's folder.

        Parameters
        ----------
        launcher
            One of ``--daskmpi-launcher``; the name of an MPI for a world of its ranks; or REFERENCE.
        prefix
            A program that starts it, with its arguments.
        """
        environ = {**self.environ(), **(env or {})}
        ours = ["--executor", "daskmpi", "--jobs", "unlimited"]
        arguments = [*(["--executor", "local"] if launcher == REFERENCE else ours), *args]
        if launcher not in (REFERENCE, "auto", *MPIS):
            arguments += ["--daskmpi-launcher", launcher]
        if launcher not in MPIS and not prefix:
            return self.start_snakemake(arguments, environ)
        command = [sys.executable, "-m", "snakemake", *arguments]
        if launcher == "mpiexec":
            require("mpich")
        if launcher in MPIS:
            require(launcher)
            environ = {**environ, **MPIS[launcher].environ, **(env or {})}
            command = [str(MPIS[launcher].mpiexec), "-n", str(ranks), *command]
        return self.start_command([*prefix, *command], environ)

    def run(self, *args: str, **options: Any) -> Run:
        """Start Snakemake and wait for its end."""
        run = self.start(*args, **options)
        run.wait()
        return run

    def environ(self) -> dict[str, str]:
        """Return the environment of a user who has just installed the package, and activated its environment."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith(_PRIVATE_PREFIXES)}
        # Scripts and shell commands say python and snakemake.
        environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environ["PATH"]])
        cluster = self.slurm.environ if self.slurm else {}
        return {**environ, **cluster, MARKER: self.test_id, "TMPDIR": str(self.tmpdir)}

    def start_snakemake(self, arguments: list[str], environ: dict[str, str]) -> Run:
        """Start Snakemake with a command line of its own in the workflow's folder."""
        # PYTHONPATH may add plugins, which are found when Snakemake starts.
        if self.starts_programs or "PYTHONPATH" in environ:
            return self.start_command([sys.executable, "-m", "snakemake", *arguments], environ)
        log = self._next_log()
        self.runs.append(Run(Forked(arguments, self.folder, environ, log), log))
        return self.runs[-1]

    def _next_log(self) -> Path:
        log = self.folder / ".runs" / f"{len(self.runs) + 1}.log"
        log.parent.mkdir(exist_ok=True)
        return log

    def start_command(self, command: list[str], environ: dict[str, str]) -> Run:
        """Start a program in the workflow's folder."""
        log = self._next_log()
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.runs.append(Run(process, log))
        return self.runs[-1]

    def sbatch(self, script: str, *args: str, env: dict[str, str] | None = None) -> SlurmRun:
        """Submit a batch script from the workflow's folder, as a user does.

        Parameters
        ----------
        script
            Its text (which may be indented), or the path of a file.
        args
            Further arguments of sbatch, before the script.
        """
        assert self.slurm, "the test needs the fixture slurm"
        number = len(list(self.folder.glob(".runs/*"))) + 1
        if "\n" in script:
            script = str(self.write(f".runs/{number}.sl", script))
        log = self.folder / ".runs" / f"{number}.slurm.log"
        log.parent.mkdir(exist_ok=True)
        done = subprocess.run(
            ["sbatch", "--parsable", f"--output={log}", *args, script],
            cwd=self.folder,
            env={**self.environ(), **(env or {})},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"sbatch refused: {done.stderr}"
        return SlurmRun(int(done.stdout.partition(";")[0]), self.slurm, log)

    # -- its processes -------------------------------------------------------------------------

    def processes(self) -> list[psutil.Process]:
        """Return all living processes of this test, whoever their parent is by now."""
        wanted, folder = f"{MARKER}={self.test_id}".encode(), str(self.folder)
        found = []
        for entry in Path("/proc").iterdir():
            # Zombies have no environment any more.
            with contextlib.suppress(OSError, psutil.Error):
                # Forks of ours show what they were forked with, and are known by where they are.
                if entry.name.isdigit() and (
                    os.readlink(entry / "cwd").startswith(folder)
                    or wanted in (entry / "environ").read_bytes().split(b"\0")
                ):
                    found.append(psutil.Process(int(entry.name)))
        return found

    def rank(self, number: int) -> psutil.Process:
        """Return the process that is a rank of the world: the topmost that calls itself so."""
        family, parents = {}, {}
        for process in self.processes():
            # Others come and go, as the shells of jobs.
            with contextlib.suppress(OSError, psutil.Error):
                if _rank_of(process) == number:
                    parents[process.pid] = process.ppid()
                    family[process.pid] = process
        tops = [process for pid, process in family.items() if parents[pid] not in family]
        assert len(tops) == 1, f"rank {number} is {tops} of {describe(self.processes())}"
        return tops[0]

    def ranks(self) -> set[int]:
        """Return the ranks of the world of which some process is there."""
        found = set()
        for process in self.processes():
            with contextlib.suppress(OSError, psutil.Error):
                if (number := _rank_of(process)) is not None:
                    found.add(number)
        return found

    def server(self, number: int) -> psutil.Process:
        """Return the process that does the work of a rank: in an MPI world, the child of its keeper."""
        rank = self.rank(number)
        if _told_rank(rank) is not None:
            return rank
        (child,) = rank.children()
        return child

    # -- what is left --------------------------------------------------------------------------

    def assert_nothing_left(self) -> None:
        """Check that no process, lock or scratch directory outlives the runs.

        A process takes its sockets along.
        """
        wait_until(
            lambda: not self.processes(),
            on_timeout=lambda: f"still there: {describe(self.processes())}",
        )
        if not self.killed:
            assert not self.locks(), "locks are left"
            assert not list(self.tmpdir.glob("daskmpi-*")), "scratch directories are left"

    def locks(self) -> list[Path]:
        """Return Snakemake's locks of the folder."""
        return list(self.folder.glob(".snakemake/locks/*"))

    def incomplete(self) -> set[str]:
        """Return the files that Snakemake holds for incomplete."""
        return set(self._snakemakes("incomplete"))

    def metadata(self) -> dict[str, dict[str, Any]]:
        """Return Snakemake's records of the output files, without what differs from run to run."""
        records = {name: json.loads(path.read_text()) for name, path in self._snakemakes("metadata").items()}
        for database in self.folder.rglob(".snakemake/metadata.db"):
            records |= _rows(database)
        return {name: {k: v for k, v in record.items() if k not in _TRANSIENT} for name, record in records.items()}

    def _snakemakes(self, table: str) -> dict[str, Path]:
        """Return the files of one of Snakemake's tables, also where it works in a folder below this one."""
        return {name: path for at in self.folder.rglob(f".snakemake/{table}") for name, path in _decoded(at).items()}

    def tree(self, *folders: str) -> dict[str, bytes | None]:
        """Return all files below some folders with their contents, and directories with None."""
        paths = [path for folder in folders for path in (self.folder / folder).rglob("*")]
        return {str(p.relative_to(self.folder)): p.read_bytes() if p.is_file() else None for p in paths}

    def kill_all(self) -> None:
        """Kill all processes of this test."""
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                process.kill()

    def close(self) -> None:
        """Kill whatever is left, and drop the scratch directory."""
        self.kill_all()
        for run in self.runs:
            run.process.wait(10)
        shutil.rmtree(self.tmpdir, ignore_errors=True)


def _rank_of(process: psutil.Process) -> int | None:
    """Return the rank that a process is, or descends from by forks; in a local world too."""
    environ = process.environ()
    if environ.get("SLURM_JOB_NAME", "").endswith("-further"):
        return None  # its numbers begin anew
    for name in ("OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK"):
        if name in environ:
            return int(environ[name])
    return _told_rank(process)


def _told_rank(process: psutil.Process) -> int | None:
    """Return the rank that a process of a local world was told to be."""
    named = RANK_NAME.match(Path(f"/proc/{process.pid}/comm").read_text())
    return int(named[1]) if named else None


def describe(processes: Iterable[psutil.Process]) -> str:
    """Return processes as a failing test shows them."""
    lines = []
    for process in processes:
        with contextlib.suppress(psutil.Error):
            lines.append(f"{process.pid} (parent {process.ppid()}): {' '.join(process.cmdline())[:150]}")
    return "\n".join(lines)


def _rows(database: Path) -> dict[str, dict[str, Any]]:
    """Return the rows of Snakemake's database (``--persistence-backend db``) by output file."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.row_factory = sqlite3.Row
        return {row["target"]: dict(row) for row in connection.execute("SELECT * FROM snakemake_metadata")}


def _decoded(folder: Path) -> dict[str, Path]:
    """Return the files of one of Snakemake's tables by what their names stand for."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file():
            name = "".join(part.removeprefix("@") for part in path.relative_to(folder).parts)
            with contextlib.suppress(ValueError):
                found[urlsafe_b64decode(name).decode()] = path
    return found
