"""Slurm's words in plain English: why a job waits, how it ended, why sbatch refused it.

Runs on: the login node. Pure: tables, and what is read from them.

The words are those of ``man squeue``, "JOB REASON CODES" and "JOB STATE CODES", Slurm 22.05 to 25.
"""

from __future__ import annotations

import datetime as dt
import re
import shlex
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.errors import CONTINUE, three_part_message
from snakemake_executor_plugin_daskmpi.slurm.submission import queue

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Why a pending job waits.
_WAITS = {
    "None": "Slurm has not looked at it yet",
    "Priority": "jobs with a higher priority are before it",
    "Resources": "the nodes it needs are busy",
    "Dependency": "a job that it depends on has not ended",
    "DependencyNeverSatisfied": "a job that it depends on failed, so it will never start",
    "BeginTime": "its earliest start is still to come",
    "Reservation": "its reservation has not begun",
    "Licenses": "a licence that it needs is in use",
    "JobHeldUser": "it is held; 'scontrol release' lets it go",
    "JobHeldAdmin": "an administrator holds it",
    "ReqNodeNotAvail": "nodes that it needs are down, drained or reserved, for maintenance perhaps",
    "PartitionDown": "the partition is down",
    "PartitionInactive": "the partition takes no jobs now",
    "PartitionNodeLimit": "it asks for more nodes than the partition allows, so it will not start",
    "PartitionTimeLimit": "its walltime is above the partition's limit, so it will not start",
    "PartitionConfig": "the partition does not allow what it asks for, so it will not start",
    "BadConstraints": "no node has what it asks for, so it will not start",
    "NodeDown": "a node that it needs is down",
    "Cleaning": "it ran, and its nodes are being cleaned up",
    "Prolog": "its nodes are being prepared",
    "InvalidAccount": "its account is not valid, so it will not start; --daskmpi-account",
    "InvalidQOS": "its quality of service is not valid, so it will not start; --daskmpi-qos",
    "AccountNotAllowed": "its account may not use the partition, so it will not start; --daskmpi-account",
    "QOSNotAllowed": "its quality of service may not be used there, so it will not start; --daskmpi-qos",
    "MaxMemPerLimit": "it asks for more memory per node or CPU than is allowed, so it will not start",
    "BurstBufferResources": "the burst buffer has too little room",
    "FrontEndDown": "no front-end node is up",
    "SystemFailure": "Slurm, the file system or the network failed",
}

#: What AssocGrpCpuLimit and its two hundred like are made of: whose limit, and of what.
_WHOSE = (
    (r"PerUser|MaxJobsPerUser|UserMax", "you run or ask for as much as one user may ({what})"),
    (r"^QOSMax|^AssocMax|PerJob", "it asks for more than one job may ({what}), so it will not start"),
    (r"^QOSGrp", "all jobs of its quality of service together use as much as they may ({what})"),
    (r"^Assoc", "all jobs of its account together use as much as they may ({what})"),
    (r"^QOS", "a limit of its quality of service is reached ({what})"),
)
_WHAT = (
    (r"CpuRunMin|CPURunMin|RunMinutes|RunMin", "CPU time of running jobs"),
    (r"Billing", "billing"),
    (r"Cpu|CPU|Core", "CPUs"),
    (r"Mem", "memory"),
    (r"Gres|GRES|GRE", "GPUs and other generic resources"),
    (r"Node", "nodes"),
    (r"Submit", "submitted jobs"),
    (r"Wall", "walltime"),
    (r"Job", "running jobs"),
)

#: States in which a job ended, what happened, and what can be done.
_ENDS = {
    "TIMEOUT": (
        "it reached its walltime",
        f"{CONTINUE}: it goes on from the finished jobs; --daskmpi-walltime asks for more.",
    ),
    "DEADLINE": ("it reached its deadline", f"{CONTINUE}."),
    "CANCELLED": (
        "it was cancelled",
        f"{CONTINUE}; finished jobs are not repeated.",
    ),
    "NODE_FAIL": ("a node failed", f"{CONTINUE}; finished jobs are not repeated."),
    "BOOT_FAIL": ("its nodes did not boot", "run the same command again; sinfo -R shows which nodes are out."),
    "LAUNCH_FAILED": ("its nodes could not start it", "run the same command again; sinfo -R shows which are out."),
    "PREEMPTED": (
        "a job of higher priority took its nodes",
        f"{CONTINUE}; --daskmpi-partition or --daskmpi-qos may name one that is not preempted.",
    ),
    "OUT_OF_MEMORY": (
        "it used more memory than it has",
        f"raise mem_mb of the rules that ran last, and {CONTINUE}.",
    ),
}

#: What sbatch says, what it means, and what can be changed.
_REFUSALS = (
    (r"invalid partition", "there is no such partition", "--daskmpi-partition to one that 'sinfo -s' lists"),
    (
        r"partition not available|inactive or drain",
        "the partition takes no jobs now",
        "--daskmpi-partition to another one that 'sinfo -s' lists as up",
    ),
    (
        r"group not permitted",
        "your groups may not use the partition",
        "--daskmpi-partition to one that is open to you",
    ),
    (
        r"invalid account|account/partition|account not permitted",
        "the account does not exist, is not yours, or may not use this partition",
        "--daskmpi-account to one that 'sacctmgr show associations user=$USER format=account,partition' lists",
    ),
    (
        r"invalid qos|qos not permitted",
        "the quality of service does not exist or is not open to you",
        "--daskmpi-qos to one that 'sacctmgr show qos format=name' lists",
    ),
    (
        r"feature",
        "no node has the features that the rules or --daskmpi-constraint ask for",
        "constraint to features that 'sinfo -o \"%f %N\"' lists",
    ),
    (
        r"gres|gpu",
        "no node has the GPUs or generic resources",
        "gpu, gpu_model or gres to what 'sinfo -o \"%G %N\"' lists",
    ),
    (
        r"node configuration|memory specification|more processors|node count|cpu count",
        "no node is as large as a task, or the partition has too few",
        "--daskmpi-max-workers and --daskmpi-max-cores to less, or the rules' threads and mem_mb",
    ),
    (
        r"policy|submit limit|node limit|maximum",
        "a limit of your account or quality of service is reached",
        "--daskmpi-max-workers, --daskmpi-account or --daskmpi-qos, or wait until your jobs have ended",
    ),
    (r"time limit", "the walltime is above the partition's limit", "--daskmpi-walltime to less"),
    (
        r"unrecognized option|invalid option|ambiguous|invalid argument|invalid .*specification",
        "an argument of sbatch is not one",
        "--daskmpi-sbatch-args, and slurm_extra of the rules, as 'man sbatch' writes them",
    ),
    (
        r"access/permission denied|authentication|credential",
        "Slurm does not know you",
        "nothing, and ask the site's support",
    ),
)


def waiting_text(reason: str) -> str:
    """Return why a job waits.

    >>> waiting_text("Resources")
    'the nodes it needs are busy'
    >>> waiting_text("AssocGrpCpuLimit")
    'all jobs of its account together use as much as they may (CPUs)'
    >>> waiting_text("ReqNodeNotAvail, UnavailableNodes:n1")
    'nodes that it needs are down, drained or reserved, for maintenance perhaps'
    """
    word = re.split(r"[,\s(]", reason, maxsplit=1)[0]
    if word in _WAITS:
        return _WAITS[word]
    if "Limit" in word or word.startswith(("QOS", "Assoc")):
        what = next((text for pattern, text in _WHAT if re.search(pattern, word)), "a limit")
        if whose := next((text for pattern, text in _WHOSE if re.search(pattern, word)), ""):
            return whose.format(what=what)
    return f"Slurm's reason is {reason}"


def what_to_tell(jobs: Sequence[queue.QueuedJob], ahead: int | None) -> tuple[object, str]:
    """Return what makes a new line worth while, and the line; "" if there is nothing to tell.

    >>> what_to_tell([queue.QueuedJob("7", "PENDING", "Priority", "", "main")], 3)[1]
    'Slurm job 7 waits in partition main: jobs with a higher priority are before it; about 3 before it.'
    """
    waiting = [job for job in jobs if job.state not in queue.ENDED | queue.RUNNING]
    running = [job for job in jobs if job.state in queue.RUNNING]
    if running and not waiting:
        nodes = ",".join(job.nodes for job in running if job.nodes)
        return "running", f"Slurm job {running[0].number} runs on {nodes}; its output follows."
    if not waiting:
        return None, ""
    # Of a hetjob's components, the one that says most.
    job = max(waiting, key=lambda job: (job.reason not in {"None", "Priority"}, job.reason == "Priority"))
    line = f"Slurm job {job.number} waits in partition {job.partition}: {waiting_text(job.reason)}"
    if ahead:
        line += f"; about {ahead} before it"
    start = next((job.start for job in waiting if job.start), "")
    if start:
        line += f"; expected to start {start_text(start, dt.datetime.now())}"  # noqa: DTZ005 - Slurm writes local time
    return (job.state, job.reason, ahead, bool(start)), line + "."


def start_text(start: str, now: dt.datetime) -> str:
    """Return one of Slurm's times as people say it.

    >>> start_text("2026-11-23T14:02:11", dt.datetime(2026, 11, 23, 9))
    'at 14:02'
    >>> start_text("2026-11-25T04:02:11", dt.datetime(2026, 11, 23, 9))
    'on Wed 25 Nov at 04:02'
    """
    try:
        time_ = dt.datetime.fromisoformat(start)
    except ValueError:
        return start
    return f"at {time_:%H:%M}" if time_.date() == now.date() else f"on {time_:%a %d %b} at {time_:%H:%M}"


def end_message(job_id: str, state: str, *, by: str = "", output: str = "") -> str:
    """Return what the user reads of a job that Slurm ended.

    Parameters
    ----------
    by
        Who cancelled it, "" if that is not known.
    output
        File with all that the job wrote.
    """
    happened, next_step = _ENDS.get(state, (f"Slurm calls its end {state}", f"scontrol show job {job_id}"))
    happened += f" by {by}" * bool(by)
    seen = f"its state is {state}; all that it wrote is in {output}."
    return three_part_message(f"Slurm job {job_id} ended early: {happened}.", seen=seen, next_step=next_step)


def vanished_message(job_id: str, output: str) -> str:
    """Return what the user reads of a job that Slurm knows nothing of any more."""
    return three_part_message(
        f"Slurm job {job_id} is gone, and nobody knows how it ended.",
        seen=f"squeue and sacct do not list it, and it left no exit code; all that it wrote is in {output}.",
        next_step=f"{CONTINUE}; finished jobs are not repeated.",
    )


def refusal_message(said: str, script: str) -> str:
    """Return what the user reads when sbatch refuses the job.

    >>> print(refusal_message("sbatch: error: invalid partition specified: x", "job.sh"))
    Slurm refused the job: there is no such partition.
      Seen: sbatch: error: invalid partition specified: x. The script is job.sh.
      Next: change --daskmpi-partition to one that 'sinfo -s' lists.
    """
    found = ((means, change) for pattern, means, change in _REFUSALS if re.search(pattern, said, re.IGNORECASE))
    means, change = next(found, ("it says why", ""))
    return three_part_message(
        f"Slurm refused the job: {means}.",
        seen=f"{said.rstrip('.')}. The script is {script}.",
        next_step=f"change {change}." if change else f"sbatch --test-only {shlex.quote(script)}",
    )
