"""The launcher ``sbatch`` as its user sees it: the job behind a run, its record, and Slurm's view of it.

Runs on: the machine of the tests.
Called by: tests/slurm/test_submit*.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from harness import require, wait_until
from mpis import MPIS

if TYPE_CHECKING:
    from harness import Workflow
    from runs import Run
    from slurm_cluster import SlurmCluster


def submit(workflow: Workflow, *args: str) -> Run:
    """Start Snakemake with the launcher as from a login node, where MPICH is the environment's MPI."""
    require("mpich")
    return workflow.start(*args, launcher="sbatch", env=MPIS["mpich"].environ)


def is_pending(run: Run) -> None:
    """Wait until a run says why its job waits."""
    wait_until(lambda: " waits in partition " in run.text or run.has_ended, on_timeout=lambda: run.text)
    assert not run.has_ended, run.text


def id_of(text: str) -> str:
    """Return the id of the Slurm job that a run told of."""
    found = re.search(r"Slurm job (\d+)", text)
    assert found, text
    return found[1]


def occupy(workflow: Workflow, slurm: SlurmCluster, partition: str) -> str:
    """Have another user's job take all of a partition's only node; return its id."""
    other = workflow.sbatch("#!/bin/bash\nexec sleep 300\n", f"--partition={partition}", "--exclusive")
    job_id = str(other.job_id)
    wait_until(lambda: "RUNNING" in slurm.squeue(f"--job={job_id}", "--format=%T"), on_timeout=slurm.squeue)
    return job_id


def queued(slurm: SlurmCluster) -> set[str]:
    """Return the ids of all jobs in the queue; a hetjob has one."""
    return {line.partition("+")[0] for line in slurm.squeue("--format=%i").splitlines()}


def assert_no_trace(workflow: Workflow, folder: str = ".") -> None:
    """Check that the next command finds neither a lock nor a record."""
    snakemake = workflow.folder / folder / ".snakemake"
    assert not list(snakemake.glob("locks/*")), "a lock is left"
    assert not (snakemake / "daskmpi/submitted.json").exists(), "a record is left"


def nodes_of(slurm: SlurmCluster, job_id: str) -> list[set[str]]:
    """Return the nodes of each component of a job, which may have ended."""
    # A job's name may hold line breaks.
    components = re.split(r"^(?=JobId=)", slurm.scontrol("--oneliner", "show", "job", job_id), flags=re.MULTILINE)
    found = {}
    for text in components[1:]:
        offset, names = re.search(r" HetJobOffset=(\d+)", text), re.search(r" NodeList=(\S+)", text)
        assert names, text
        found[int(offset[1]) if offset else 0] = set(slurm.scontrol("show", "hostnames", names[1]).split())
    return [found[n] for n in sorted(found)]
