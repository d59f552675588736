"""What is done to a run while it grows, by real means, and how far it has to bear it.

Runs on: the machine of the tests, as root, with the tests' Slurm.
Called by: campaign.
"""

from __future__ import annotations

import contextlib
import signal
import time
from typing import TYPE_CHECKING

import psutil

from growing import phases
from kinds import End, Kind
from slurm_cluster import ClusterError

if TYPE_CHECKING:
    import random

    from scene import Scene
    from slurm_cluster import SlurmCluster

#: Seconds from the first process of a further job until it has joined, about: faults come at any step of that.
_JOINS_WITHIN_S = 3.0
#: Seconds for which Slurm, or a part of it, is away.
_AWAY_S = (2, 8, 20)


def _slurm(scene: Scene) -> SlurmCluster:
    assert scene.workflow.slurm
    return scene.workflow.slurm


def _jobs(scene: Scene, *wanted: str) -> list[str]:
    """Return the further jobs whose newest phase is one of some."""
    return [job for job, of_it in phases(scene.workflow).items() if of_it[-1] in wanted]


def _wait_for(scene: Scene, rng: random.Random, *wanted: str) -> str | None:
    """Wait for a further job in a phase; None if the run ends before."""
    return scene.wait_while_running(lambda: (jobs := _jobs(scene, *wanted)) and rng.choice(jobs))


def _processes(scene: Scene, job: str) -> list[psutil.Process]:
    """Return the Python processes of a further job."""
    found = []
    for process in scene.workflow.processes():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("SLURM_JOB_ID") == job and "daskmpi" in " ".join(process.cmdline()):
                found.append(process)
    return found


def _joining(scene: Scene) -> list[psutil.Process]:
    return [process for job in _jobs(scene, "queued", "started") for process in _processes(scene, job)]


def kill_joining(scene: Scene, rng: random.Random) -> None:
    """Kill a process of a further job on its way into the world, at any step of that."""
    if scene.wait_while_running(lambda: _joining(scene)):
        time.sleep(rng.uniform(0, _JOINS_WITHIN_S))
        # Where all have joined meanwhile, it is one of those.
        found = _joining(scene) or [p for job in _jobs(scene, "joined") for p in _processes(scene, job)]
        rng.choice(found).kill()


def kill_joined(scene: Scene, rng: random.Random) -> None:
    """Kill a process of a further job that has joined: its keeper, its worker or the forkserver."""
    if job := _wait_for(scene, rng, "joined"):
        rng.choice(_processes(scene, job)).kill()


def stop_joined(scene: Scene, rng: random.Random) -> None:
    """Let a process of a further job stand still for some seconds."""
    if job := _wait_for(scene, rng, "joined"):
        process = rng.choice(_processes(scene, job))
        process.send_signal(signal.SIGSTOP)
        time.sleep(rng.choice([1, 3, 8]))
        process.send_signal(signal.SIGCONT)


def _cancel(scene: Scene, job: str | None) -> None:
    if job:
        _slurm(scene).ask("scancel", job)


def cancel_queued(scene: Scene, rng: random.Random) -> None:
    """Fill all nodes, so that a further job has to wait, and take it out of the queue."""
    fill_nodes(scene, rng)
    for job in _jobs(scene, "joined", "started"):
        _cancel(scene, job)
    _cancel(scene, _wait_for(scene, rng, "queued"))


def cancel_started(scene: Scene, rng: random.Random) -> None:
    """Cancel a further job on its way into the world."""
    if scene.wait_while_running(lambda: _joining(scene)):
        time.sleep(rng.uniform(0, _JOINS_WITHIN_S))
        if jobs := _jobs(scene, "queued", "started", "joined"):
            _cancel(scene, rng.choice(jobs))


def cancel_joined(scene: Scene, rng: random.Random) -> None:
    """Cancel a further job that is at work."""
    _cancel(scene, _wait_for(scene, rng, "joined"))


def silence_controller(scene: Scene, rng: random.Random) -> None:
    """Have slurmctld say nothing for some seconds."""
    with _slurm(scene).hanging("slurmctld"):
        time.sleep(rng.choice(_AWAY_S))


def kill_controller(scene: Scene, rng: random.Random) -> None:
    """Kill slurmctld, and start it again some seconds later."""
    slurm = _slurm(scene)
    slurm.kill_daemon("slurmctld")
    time.sleep(rng.choice(_AWAY_S))
    slurm.start_controller()


def refuse_jobs(scene: Scene, rng: random.Random) -> None:
    """Have Slurm refuse all jobs, and cancel what has joined, so that others are asked for."""
    slurm = _slurm(scene)
    slurm.scontrol("update", "partitionname=main", "state=drain")
    scene.repairs.append(lambda: slurm.scontrol("update", "partitionname=main", "state=up"))
    for job in _jobs(scene, "joined"):
        _cancel(scene, job)
    time.sleep(rng.choice(_AWAY_S))


def fill_nodes(scene: Scene, rng: random.Random) -> None:  # noqa: ARG001 - the same for all faults
    """Fill all nodes that are free with jobs of somebody else."""
    slurm = _slurm(scene)
    for node in slurm.nodes:
        with contextlib.suppress(ClusterError):
            slurm.ask("sbatch", "--job-name=other", "--output=/dev/null", f"--nodelist={node}", "--wrap", "sleep 1000")
    scene.repairs.append(lambda: slurm.ask("scancel", "--name=other"))


def lose_node(scene: Scene, rng: random.Random) -> None:
    """Set the node of a further job down."""
    if job := _wait_for(scene, rng, "joined"):
        slurm = _slurm(scene)
        node = slurm.squeue(f"--jobs={job}", "--format=%N").strip()
        slurm.scontrol("update", f"nodename={node}", "state=down", "reason=fault")


def kill_slurmd(scene: Scene, rng: random.Random) -> None:
    """Kill the slurmd of a further job's node, and start it again some seconds later."""
    if job := _wait_for(scene, rng, "joined"):
        slurm = _slurm(scene)
        node = slurm.squeue(f"--jobs={job}", "--format=%N").strip()
        slurm.kill_daemon(node)
        time.sleep(rng.choice(_AWAY_S))
        slurm.start_node(node)


def send_away(scene: Scene, rng: random.Random) -> None:
    """Have a further job leave by hand."""
    if job := _wait_for(scene, rng, "joined"):
        workflow = scene.workflow
        workflow.start_command(["snakemake-daskmpi", "shrink", job], workflow.environ()).ends_with(0)


def interrupt(scene: Scene, rng: random.Random) -> None:
    """Press Ctrl-C while a further job is in the queue, starts or is at work."""
    if _wait_for(scene, rng, "queued", "started", "joined"):
        time.sleep(rng.uniform(0, _JOINS_WITHIN_S))
        scene.run.interrupt()


def kill_client(scene: Scene, rng: random.Random) -> None:
    """Kill Snakemake while a further job is in the queue, starts or is at work."""
    if _wait_for(scene, rng, "queued", "started", "joined"):
        time.sleep(rng.uniform(0, _JOINS_WITHIN_S))
        scene.client.kill()


def kill_scheduler(scene: Scene, rng: random.Random) -> None:
    """Kill the Dask scheduler while a further job is in the queue, starts or is at work."""
    if _wait_for(scene, rng, "queued", "started", "joined"):
        time.sleep(rng.uniform(0, _JOINS_WITHIN_S))
        scene.scheduler.kill()


KINDS = {
    "kill-joining": Kind(kill_joining, End.BEARS, unknown_runs=4, leaves_scratch=True),
    "kill-joined": Kind(kill_joined, End.BEARS, unknown_runs=4, leaves_scratch=True),
    "stop-joined": Kind(stop_joined, End.BEARS),
    "cancel-queued": Kind(cancel_queued, End.BEARS, unknown_runs=8),
    "cancel-started": Kind(cancel_started, End.BEARS, unknown_runs=4),
    "cancel-joined": Kind(cancel_joined, End.BEARS, unknown_runs=4),
    "silent-controller": Kind(silence_controller, End.BEARS),
    "kill-controller": Kind(kill_controller, End.BEARS),
    "refused-jobs": Kind(refuse_jobs, End.BEARS, unknown_runs=8),
    "full-nodes": Kind(fill_nodes, End.BEARS),
    "lose-node": Kind(lose_node, End.BEARS, unknown_runs=4, leaves_scratch=True),
    "kill-slurmd": Kind(kill_slurmd, End.BEARS),
    "send-away": Kind(send_away, End.BEARS),
    "interrupt-growing": Kind(interrupt, End.ENDS, says="", asks_to_rerun=True, unknown_runs=1),
    "kill-client-growing": Kind(kill_client, End.SILENT),
    "kill-scheduler-growing": Kind(kill_scheduler, End.ENDS, says="scheduler is gone", asks_to_rerun=True),
}
