"""How far a run got is the comment of its Slurm job, which costs the run nothing."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from batch_runs import TWO, batch_of
from batch_runs import submit as submit_batch
from harness import require, wait_until
from mpis import MPIS
from snakemake_executor_plugin_daskmpi.client.job_comment import JobComment

if TYPE_CHECKING:
    import pytest

    from harness import Workflow
    from runs import SlurmRun
    from slurm_cluster import SlurmCluster

SNAKEFILE = """\
    rule all:
        input: "early", "late"

    rule early:
        output: "early"
        resources: mem_mb=10
        shell: "touch {output}"

    rule late:
        output: "late"
        resources: mem_mb=10
        shell: "touch started; while [ ! -e go ]; do sleep 0.05; done; test ! -s go; touch {output}"
    """

#: Without MPI: workers of a Slurm job on one node.
BATCH = """\
    #!/bin/bash
    #SBATCH --ntasks=1 --cpus-per-task=2 --mem-per-cpu=512
    {before}
    python -m snakemake --executor daskmpi --jobs unlimited --daskmpi-launcher local --daskmpi-workers 1
    """


def comments(slurm: SlurmCluster, run: SlurmRun) -> set[str]:
    """Return the comments of a job's components."""
    return set(slurm.squeue(f"--job={run.job_id}", "--states=all", "--format=%k").splitlines())


def has_comment(slurm: SlurmCluster, run: SlurmRun, text: str) -> None:
    """Wait until all components of a job have a comment."""
    wait_until(
        lambda: comments(slurm, run) == {text},
        on_timeout=lambda: f"{comments(slurm, run)}\n{run.text}",
        timeout_s=60,
    )


def log_of_rank_1(workflow: Workflow) -> str:
    (path,) = workflow.folder.glob(".snakemake/daskmpi/*/rank-1.log")
    return path.read_text()


def pythons(workflow: Workflow) -> list[psutil.Process]:
    """Return the processes of the run, without those of Slurm, which wait for the controller."""
    found = []
    for process in workflow.processes():
        with contextlib.suppress(psutil.Error, OSError):
            if "python" in Path(process.exe()).name:
                found.append(process)
    return found


def test_squeue_shows_how_far_a_run_in_a_hetjob_got(workflow: Workflow, slurm: SlurmCluster):
    require("mpich")
    workflow.write("Snakefile", SNAKEFILE)
    batch = batch_of(workflow, exports=tuple(MPIS["mpich"].environ.items()))
    run = submit_batch(workflow, TWO, batch)
    workflow.wait_for("started", run=run)
    wait_until(
        lambda: all(" jobs done" in text and "daskmpi: " in text for text in comments(slurm, run)),
        on_timeout=lambda: f"{comments(slurm, run)}\n{run.text}",
        timeout_s=60,
    )
    assert not run.has_ended
    workflow.write("go", "this job fails")
    run.wait()
    has_comment(slurm, run, "daskmpi: 1 of 3 jobs done, 1 failed")


def test_a_comment_of_the_users_own_stays(workflow: Workflow, slurm: SlurmCluster):
    workflow.write("Snakefile", SNAKEFILE)
    workflow.write("go", "")
    run = workflow.sbatch(BATCH.format(before="#SBATCH --comment='my own'"))
    run.ends_with(0)
    assert comments(slurm, run) == {"my own"}
    assert f"Slurm job {run.job_id} has a comment of its user's, which stays" in log_of_rank_1(workflow)


def test_a_site_that_refuses_comments_is_asked_once_and_told_of_in_the_log_alone(
    workflow: Workflow, slurm: SlurmCluster
):
    workflow.write("Snakefile", SNAKEFILE)
    workflow.write("go", "")
    refusing = workflow.write(
        "bin/scontrol",
        f"""\
        #!/bin/sh
        [ "$1" = update ] || exec {shutil.which("scontrol")} "$@"
        echo "$*" >> {workflow.folder}/ordered
        echo "slurm_update error: Access/permission denied" >&2
        exit 1
        """,
    )
    refusing.chmod(0o755)
    run = workflow.sbatch(BATCH.format(before=f"export PATH={refusing.parent}:$PATH"))
    run.ends_with(0)
    assert len(workflow.lines("ordered")) == 1
    assert "denied" not in run.text
    assert "slurm_update error: Access/permission denied" in log_of_rank_1(workflow)
    assert comments(slurm, run) <= {"(null)"}


def test_a_controller_that_is_silent_delays_no_run(workflow: Workflow, slurm: SlurmCluster):
    workflow.write("Snakefile", SNAKEFILE)
    run = workflow.sbatch(BATCH.format(before=""))
    workflow.wait_for("started", run=run)
    wait_until(lambda: "daskmpi: " in "".join(comments(slurm, run)), on_timeout=lambda: run.text)
    controller = int((slurm.folder / "run/slurmctld.pid").read_text())
    os.kill(controller, signal.SIGSTOP)
    try:
        workflow.write("go", "")
        wait_until(lambda: "3 of 3 steps (100%) done" in run.text, on_timeout=lambda: run.text)
        done_at = time.monotonic()
        wait_until(lambda: not pythons(workflow), on_timeout=lambda: run.text)
        took_s = time.monotonic() - done_at
    finally:
        os.kill(controller, signal.SIGCONT)
    run.ends_with(0)
    assert took_s < 5, "Slurm's program has ten seconds, and nobody waits for it"


def scontrol(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Put a program of this name on PATH."""
    path = folder / "scontrol"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_only_what_has_changed_is_written_and_the_last_comment_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    scontrol(tmp_path, monkeypatch, f'echo "$*" >> {tmp_path}/asked')
    counts = [(0, 3, 0), (0, 3, 0), (1, 3, 0)]
    n_counted = 0

    def count() -> tuple[int, int, int]:
        nonlocal n_counted
        n_counted += 1
        return counts[min(n_counted, len(counts)) - 1]

    kept = JobComment("7", count, every_s=0.01)
    wait_until(lambda: n_counted > 4, on_timeout=lambda: f"counted {n_counted} times")
    counts[:] = [(2, 3, 1)]
    kept.end()
    kept.wait()
    assert (tmp_path / "asked").read_text().splitlines() == [
        "show job 7",
        "update JobId=7 Comment=daskmpi: 0 of 3 jobs done",
        "update JobId=7 Comment=daskmpi: 1 of 3 jobs done",
        "update JobId=7 Comment=daskmpi: 2 of 3 jobs done, 1 failed",
    ]


def test_who_waits_for_the_last_comment_of_a_silent_site_waits_for_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    scontrol(tmp_path, monkeypatch, "exec sleep 5")
    kept = JobComment("7", lambda: (0, 1, 0))
    started = time.monotonic()
    kept.end()
    kept.wait()
    assert time.monotonic() - started < 3
