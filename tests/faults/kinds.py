"""What is done to a run, by real means, and how far a run has to bear it.

Runs on: the machine of the tests, as root where it mounts, or cuts connections.
Called by: campaign.
"""

from __future__ import annotations

import contextlib
import resource
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from scene import WORKERS

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    import psutil

    from scene import Scene


class End(StrEnum):
    """How far a run has to bear a fault."""

    #: It completes; lost jobs are run again with ``--retries``, and are named failures without.
    BEARS = "bears"
    #: Jobs may fail, whose failures are named; the others run.
    FAILS = "fails"
    #: It ends with a message that says why.
    ENDS = "ends"
    #: It is killed before it can say anything.
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault."""

    inject: Callable[[Scene, random.Random], None]
    end: End
    #: What one of the messages has to say, where there is one; a regular expression.
    says: str = r"Next: "
    #: Whether it needs root: it mounts, or has a network of its own.
    as_root: bool = False
    #: Whether the run gets a network of its own.
    own_network: bool = False
    #: Whether the run gets a clock of its own.
    own_clock: bool = False
    #: MB of memory that the load's hog takes.
    hog_mb: int = 10
    #: Whether it is for worlds of MPI ranks only, or for local ones only.
    only: str = ""
    #: How it ends in a world of MPI ranks, if not as in a local one.
    end_in_mpi: End | None = None
    #: Whether Snakemake itself may ask for ``--rerun-incomplete`` next time: it is told to end while jobs run, or gives
    #: up itself because it cannot tidy up after a job. After SIGKILL it may always.
    asks_to_rerun: bool = False
    #: Whether Snakemake itself meets it when it tidies up, and may end with an error of its own.
    hits_snakemake: bool = False
    #: How many jobs may have run once more than Snakemake knows: they had been sent to a worker to start after
    #: another one, had begun, and their worker died before it could say so. Or Snakemake was interrupted while it
    #: wrote that a job starts: then it drops that line.
    unknown_runs: int = 0

    #: Whether a keeper and its child may be killed at the same time, so that nobody is there to remove their folder.
    leaves_scratch: bool = False

    def end_of(self, launcher: str) -> End:
        """Return how far a run has to bear it."""
        return self.end if launcher == "local" or self.end_in_mpi is None else self.end_in_mpi


# -- processes -----------------------------------------------------------------------------------


def kill_body(scene: Scene, rng: random.Random) -> None:
    """Kill the process of a job."""
    if bodies := scene.wait_while_running(scene.bodies):
        rng.choice(bodies).kill()


def kill_program(scene: Scene, rng: random.Random) -> None:
    """Kill what a body has started."""

    def kill_one() -> bool:
        programs = scene.programs()
        if programs:
            rng.choice(programs).kill()
        return bool(programs)

    scene.wait_while_running(kill_one)


def kill_forkserver(scene: Scene, rng: random.Random) -> None:
    """Kill the forkserver of a worker."""
    if forkserver := scene.wait_while_running(lambda: scene.forkserver(rng.choice(WORKERS))):
        forkserver.kill()


def kill_worker(scene: Scene, rng: random.Random) -> None:
    """Kill the Dask worker of a rank."""
    scene.worker(rng.choice(WORKERS)).kill()


def kill_all_workers(scene: Scene, rng: random.Random) -> None:  # noqa: ARG001 - the same for all faults
    """Kill the Dask workers of all ranks."""
    for number in WORKERS:
        scene.worker(number).kill()


def kill_rank(scene: Scene, rng: random.Random) -> None:
    """Kill the process that mpiexec knows as a worker's rank."""
    scene.ranks[rng.choice(WORKERS)].kill()


def kill_scheduler(scene: Scene, rng: random.Random) -> None:  # noqa: ARG001
    """Kill the Dask scheduler."""
    scene.scheduler.kill()


def kill_client(scene: Scene, rng: random.Random) -> None:  # noqa: ARG001
    """Kill Snakemake."""
    scene.client.kill()


def kill_launcher(scene: Scene, rng: random.Random) -> None:
    """Kill mpiexec, or what it has on the node."""
    rng.choice(scene.launchers).kill()


def _stop(process: psutil.Process | None, seconds: float) -> None:
    if process is not None:
        process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        process.send_signal(signal.SIGCONT)


def stop_worker(scene: Scene, rng: random.Random) -> None:
    """Let a Dask worker stand still for some seconds."""
    _stop(scene.worker(rng.choice(WORKERS)), rng.choice([1, 3, 8]))


def stop_forkserver(scene: Scene, rng: random.Random) -> None:
    """Let a forkserver stand still for some seconds."""
    _stop(scene.wait_while_running(lambda: scene.forkserver(rng.choice(WORKERS))), rng.choice([1, 3]))


def stop_body(scene: Scene, rng: random.Random) -> None:
    """Let the process of a job stand still for some seconds."""
    bodies = scene.wait_while_running(scene.bodies)
    _stop(rng.choice(bodies) if bodies else None, rng.choice([1, 3]))


def stop_scheduler(scene: Scene, rng: random.Random) -> None:
    """Let the Dask scheduler stand still for some seconds."""
    _stop(scene.scheduler, rng.choice([1, 3, 8]))


def stop_client(scene: Scene, rng: random.Random) -> None:
    """Let Snakemake stand still for some seconds."""
    _stop(scene.client, rng.choice([1, 3, 8]))


def stand_still(scene: Scene, rng: random.Random) -> None:
    """Let a worker, the scheduler or Snakemake stand still for a minute."""
    _stop(scene.process(rng.choice([0, 1, *WORKERS])), 60)


def interrupt(scene: Scene, rng: random.Random) -> None:  # noqa: ARG001
    """Do what a terminal does on Ctrl-C."""
    scene.run.interrupt()


def interrupt_twice(scene: Scene, rng: random.Random) -> None:
    """Do what a terminal does when Ctrl-C is pressed twice."""
    scene.run.interrupt()
    time.sleep(rng.choice([0.0, 0.2, 1.0]))
    with contextlib.suppress(ProcessLookupError):
        scene.run.interrupt()


def interrupt_client(scene: Scene, rng: random.Random) -> None:  # noqa: ARG001
    """Send SIGINT to Snakemake alone."""
    scene.client.send_signal(signal.SIGINT)


def terminate_client(scene: Scene, rng: random.Random) -> None:  # noqa: ARG001
    """Send SIGTERM to Snakemake."""
    scene.client.send_signal(signal.SIGTERM)


def do_nothing(scene: Scene, rng: random.Random) -> None:
    """Leave it alone: what is wrong is in the load already."""


# -- files ---------------------------------------------------------------------------------------


def limit_file_size(scene: Scene, rng: random.Random) -> None:
    """Limit the size of files that a worker's jobs may write to nothing."""
    if forkserver := scene.wait_while_running(lambda: scene.forkserver(rng.choice(WORKERS))):
        resource.prlimit(forkserver.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))


def fill(folder: Path) -> None:
    """Fill a file system."""
    with contextlib.suppress(OSError), (folder / ".filler").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def mount(folder: Path, size_kb: int = 4096) -> Callable[[], object]:
    """Make a folder a small file system of its own, and return what ends that."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_kb}k", "faults", folder], check=True)
    return lambda: subprocess.run(["umount", "--lazy", folder], check=True)


def fill_outputs(scene: Scene, rng: random.Random) -> None:  # noqa: ARG001
    """Fill the file system of the outputs."""
    fill(scene.outputs)
    scene.repairs.append((scene.outputs / ".filler").unlink)


def fill_logs(scene: Scene, rng: random.Random) -> None:  # noqa: ARG001
    """Fill the file system of the logs."""
    fill(scene.logs)
    scene.repairs.append((scene.logs / ".filler").unlink)


def _freeze(scene: Scene, folder: Path) -> None:
    def freeze() -> bool:
        # Refused while a file is open for writing.
        command = ["mount", "-o", "remount,ro", folder]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0

    if scene.wait_while_running(freeze):
        scene.repairs.append(lambda: subprocess.run(["mount", "-o", "remount,rw", folder], check=True))


def freeze_outputs(scene: Scene, rng: random.Random) -> None:  # noqa: ARG001
    """Make the folder of the outputs read-only."""
    _freeze(scene, scene.outputs)


def remove_logs(scene: Scene, rng: random.Random) -> None:  # noqa: ARG001
    """Remove the folder of the logs."""
    shutil.rmtree(scene.logs, ignore_errors=True)


def remove_scratch(scene: Scene, rng: random.Random) -> None:  # noqa: ARG001
    """Remove the scratch folders of all workers, as a clean-up of /tmp does."""
    for folder in scene.scratch():
        shutil.rmtree(folder, ignore_errors=True)


# -- network -------------------------------------------------------------------------------------


def _in_network(scene: Scene, *command: str) -> None:
    inside = ["nsenter", "-t", str(scene.run.process.pid), "-n", *command]
    done = subprocess.run(inside, check=False, capture_output=True, text=True)
    if done.returncode and not scene.run.has_ended:
        msg = f"{command} has no effect: {done.stderr}"
        raise RuntimeError(msg)


def no_network() -> str | None:
    """Return why a run cannot have a network of its own that can be disturbed, None if it can."""
    tries = "iptables -A INPUT -m statistic --mode random --probability 0.1 -j DROP && tc qdisc add dev lo root tbf"
    command = ["unshare", "--net", "sh", "-c", f"{tries} rate 1mbit burst 100kb latency 300ms"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return done.stderr.strip() if done.returncode else None


def lose_packets(scene: Scene, rng: random.Random) -> None:
    """Lose a part of all packets between the processes of the run for some seconds."""
    rule = ["INPUT", "-i", "lo", "-m", "statistic", "--mode", "random", "--probability", rng.choice(["0.05", "0.3"])]
    _in_network(scene, "iptables", "-A", *rule, "-j", "DROP")
    time.sleep(rng.choice([1, 4]))
    _in_network(scene, "iptables", "-D", *rule, "-j", "DROP")


def slow_down_network(scene: Scene, rng: random.Random) -> None:
    """Let all packets pass a narrow gate for the rest of the run."""
    gate = ["rate", rng.choice(["256kbit", "1mbit"]), "burst", "100kb", "latency", "300ms"]
    _in_network(scene, "tc", "qdisc", "add", "dev", "lo", "root", "tbf", *gate)


def cut_network(scene: Scene, rng: random.Random) -> None:
    """Cut all connections of one rank for some seconds."""
    process = scene.process(rng.choice([0, 2]))
    rules = [
        ["INPUT", "-p", "tcp", f"--{side}", str(connection.laddr.port), "-j", "DROP"]
        for connection in process.net_connections("tcp")
        for side in ("sport", "dport")
    ]
    for rule in rules:
        _in_network(scene, "iptables", "-A", *rule)
    time.sleep(rng.choice([1, 4]))
    _in_network(scene, "iptables", "-F")


# -- time ----------------------------------------------------------------------------------------


def no_clock() -> str | None:
    """Return why a run cannot have a clock of its own that jumps, None if it can."""
    return None if shutil.which("cc") else "there is no C compiler"


def own_clock(scene: Scene) -> dict[str, str]:
    """Return the environment of a run that has a clock of its own, which shows the right time so far."""
    library = scene.clock.with_suffix(".so")
    source = Path(__file__).with_name("clock.c")
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    _set_clock(scene, 0)
    return {"LD_PRELOAD": str(library), "DASKMPI_TEST_CLOCK": str(scene.clock)}


def _set_clock(scene: Scene, offset_s: int) -> None:
    new = scene.clock.with_suffix(".new")
    new.write_text(f"{offset_s:+d}")
    new.rename(scene.clock)


def jump_in_time(scene: Scene, rng: random.Random) -> None:
    """Set the clock of all processes of the run, forward or back.

    Back by seconds only: Dask (2026.8) counts the milliseconds for which it gathers messages by the time of day, so
    that what it tells of workers may wait for as long as the clock was set back.
    """
    _set_clock(scene, rng.choice([-20, -5, 30, 3600, 86400]))


KINDS = {
    "kill-body": Kind(kill_body, End.BEARS),
    "kill-program": Kind(kill_program, End.BEARS),
    "kill-forkserver": Kind(kill_forkserver, End.BEARS, says="forkserver"),
    "kill-worker": Kind(kill_worker, End.BEARS, says="was lost", unknown_runs=4),
    "kill-all-workers": Kind(kill_all_workers, End.FAILS, says="All workers are lost", unknown_runs=8),
    # MPICH's mpiexec ends all ranks then.
    "kill-rank": Kind(kill_rank, End.SILENT, only="mpi"),
    "kill-scheduler": Kind(kill_scheduler, End.ENDS, says="scheduler is gone", asks_to_rerun=True),
    "kill-client": Kind(kill_client, End.SILENT),
    # What Snakemake prints goes through it, so the last of that is lost.
    "kill-launcher": Kind(kill_launcher, End.SILENT, only="mpi", unknown_runs=60),
    "stop-worker": Kind(stop_worker, End.BEARS),
    "stop-forkserver": Kind(stop_forkserver, End.BEARS),
    "stop-body": Kind(stop_body, End.BEARS),
    "stop-scheduler": Kind(stop_scheduler, End.BEARS),
    "stop-client": Kind(stop_client, End.BEARS),
    "stand-still": Kind(stand_still, End.BEARS),
    "interrupt": Kind(interrupt, End.ENDS, says="", asks_to_rerun=True, unknown_runs=1),
    # At the second, mpiexec kills all ranks.
    "interrupt-twice": Kind(
        interrupt_twice, End.ENDS, says="", asks_to_rerun=True, unknown_runs=1, end_in_mpi=End.SILENT
    ),
    "interrupt-client": Kind(interrupt_client, End.ENDS, says="", asks_to_rerun=True, unknown_runs=1),
    "terminate-client": Kind(terminate_client, End.ENDS, says="", asks_to_rerun=True, unknown_runs=1),
    # Honest jobs go on beside it; whether it is ended for it depends on the memory that there is.
    "hog": Kind(do_nothing, End.FAILS, hog_mb=1500),
    "limit-file-size": Kind(limit_file_size, End.FAILS),
    "full-outputs": Kind(fill_outputs, End.FAILS, says="No space left on device", as_root=True, hits_snakemake=True),
    "full-logs": Kind(fill_logs, End.BEARS, says="No space left on device", as_root=True),
    "read-only-outputs": Kind(
        freeze_outputs,
        End.FAILS,
        says="Read-only file system",
        as_root=True,
        asks_to_rerun=True,
        hits_snakemake=True,
    ),
    "no-logs": Kind(remove_logs, End.BEARS),
    "no-scratch": Kind(remove_scratch, End.BEARS, only="local"),
    "lost-packets": Kind(lose_packets, End.BEARS, as_root=True, own_network=True),
    "slow-network": Kind(slow_down_network, End.BEARS, as_root=True, own_network=True),
    "cut-network": Kind(cut_network, End.BEARS, as_root=True, own_network=True),
    "clock-jump": Kind(jump_in_time, End.BEARS, own_clock=True),
}
