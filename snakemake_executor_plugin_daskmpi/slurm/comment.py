"""The comment of a Slurm job, which ``squeue -o %k`` shows: whose it is, and how far our run got.

Runs on: rank 1. Pure.
Called by: client.job_comment.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What ours begin with.
_PREFIX = "daskmpi: "


def own_job(environ: Mapping[str, str]) -> str:
    """Return the Slurm job that a process is in, as ``scontrol`` names it; "" if it is on no node of one.

    A shell of ``salloc`` on a login node has the job's number, and is on none of its nodes. The number of a task of an
    array may be that of the array, which means all of its tasks.

    >>> own_job({"SLURM_JOB_ID": "7", "SLURMD_NODENAME": "n1"}), own_job({"SLURM_JOB_ID": "7"})
    ('7', '')
    >>> own_job({"SLURM_JOB_ID": "9", "SLURMD_NODENAME": "n1", "SLURM_HET_JOB_ID": "8"})
    '8'
    >>> own_job(dict(SLURM_JOB_ID="9", SLURMD_NODENAME="n1", SLURM_ARRAY_JOB_ID="9", SLURM_ARRAY_TASK_ID="4"))
    '9_4'
    """
    if "SLURMD_NODENAME" not in environ:
        return ""
    if "SLURM_ARRAY_JOB_ID" in environ and "SLURM_ARRAY_TASK_ID" in environ:
        return f"{environ['SLURM_ARRAY_JOB_ID']}_{environ['SLURM_ARRAY_TASK_ID']}"
    return environ.get("SLURM_HET_JOB_ID") or environ.get("SLURM_JOB_ID", "")


def text_of(done: int, total: int, failed: int) -> str:
    """Return what the comment says.

    >>> text_of(120, 400, 2)
    'daskmpi: 120 of 400 jobs done, 2 failed'
    """
    return f"{_PREFIX}{done} of {total} jobs done" + (f", {failed} failed" if failed else "")


def show_command(job: str) -> list[str]:
    """Return the question for a job, with all of its components."""
    return ["scontrol", "show", "job", job]


def is_free(shown: str) -> bool:
    r"""Say whether no component of a job has a comment of the user's.

    Parameters
    ----------
    shown
        What :func:`show_command` prints. Slurm leaves the field out, or writes ``(null)``, where there is no comment.

    >>> [is_free(f"JobId=7 JobName=x\n   Comment={text}\n   Power=\n") for text in ("(null)", "daskmpi: 1 of", "mine")]
    [True, True, False]
    >>> is_free("JobId=7 JobName=x\n   AdminComment=theirs\n   Power=\n")
    True
    """
    comments = re.findall(r"^\s+Comment=(.*)$", shown, re.MULTILINE)
    return all(comment in {"", "(null)"} or comment.startswith(_PREFIX) for comment in comments)


def update_command(job: str, text: str) -> list[str]:
    """Return the order to give a job, with all of its components, a comment."""
    return ["scontrol", "update", f"JobId={job}", f"Comment={text}"]
