"""How the benchmarks start what they measure: Snakemake commands, alone or under mpiexec.

Runs on: the machine that is measured.
Called by: the benchmarks that lie beside it.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

BENCHMARKS = Path(__file__).resolve().parent
CHECKOUT = BENCHMARKS.parent.parent
REFERENCE_PLUGINS = BENCHMARKS / "plugins"

LOG = "output.log"
#: Seconds for processes to end after SIGTERM; arbitrary, a world of ranks takes about two.
GRACE_S = 10


class RunError(Exception):
    """A measured command failed, or did not do its work."""

    def __init__(self, what: str, directory: Path) -> None:
        """Say what happened and show the end of the log in the directory."""
        log = directory / LOG
        tail = log.read_text(errors="replace").splitlines()[-40:] if log.exists() else ["(no output)"]
        super().__init__("\n".join([what, "  Seen: the last lines of its output:", *(f"    {line}" for line in tail)]))


@contextmanager
def scratch_directory() -> Iterator[Path]:
    """Give an empty directory in memory, so that no disk is measured, and remove it."""
    memory = Path("/dev/shm")  # noqa: S108 - mkdtemp makes a private directory in it
    base = memory if os.access(memory, os.W_OK) else Path(tempfile.gettempdir())
    if base != memory:
        print(f"note: {memory} is not writable, so file times of {base} are part of what is measured")
    directory = Path(tempfile.mkdtemp(prefix="daskmpi-benchmark-", dir=base))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def environment(*python_path: Path) -> dict[str, str]:
    """Return the environment of measured commands: this one, less what would distort them.

    Bytecode has to be written, else every start compiles everything, which no user's does; a profile would change the
    arguments that we compare.
    """
    env = {key: text for key, text in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    env["SNAKEMAKE_PROFILE"] = "none"
    env["PYTHONPATH"] = os.pathsep.join([*map(str, python_path), *filter(None, [env.get("PYTHONPATH")])])
    return env


def snakemake_command(*arguments: str) -> list[str]:
    """Return a Snakemake command of the Python that runs this."""
    return [sys.executable, "-m", "snakemake", *arguments]


def mpiexec_command(ranks: int) -> list[str]:
    """Return the beginning of a command that runs in a world of ranks.

    PyPI's MPIs put their mpiexec beside the interpreter. One found on PATH has to belong to the MPI that mpi4py uses.
    """
    beside = Path(sys.executable).with_name("mpiexec")
    return [str(beside) if beside.exists() else "mpiexec", "-n", str(ranks)]


@contextmanager
def started(command: list[str], directory: Path, env: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in a directory, its output in a file there; if it still runs at the end, it is ended."""
    with (directory / LOG).open("wb") as log:
        process = subprocess.Popen(
            command, cwd=directory, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield process
    finally:
        end_tree(process)


def end_tree(process: subprocess.Popen[bytes]) -> None:
    """End a command and all that descends from it, politely first."""
    if process.poll() is not None:
        return
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    process.terminate()
    _, alive = psutil.wait_procs(family, timeout=GRACE_S)
    for straggler in alive:
        straggler.kill()
    psutil.wait_procs(alive, timeout=GRACE_S)


def seconds_of(command: list[str], directory: Path, env: dict[str, str], timeout_s: float) -> float:
    """Run a command to its end and return its wall time, or raise a RunError with the tail of its output."""
    begin = time.monotonic()
    with started(command, directory, env) as process:
        try:
            code = process.wait(timeout_s)
        except subprocess.TimeoutExpired as e:
            raise RunError(f"Still running after {timeout_s:g} s: {' '.join(command)}", directory) from e
    if code != 0:
        raise RunError(f"Exit code {code}: {' '.join(command)}", directory)
    return time.monotonic() - begin
