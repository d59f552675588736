"""The job in Slurm's queue: its state, why it waits, how it ended, and the order to end it.

Runs on: the login node.

A hetjob is listed once per component, as ``12+0``, ``12+1``; its batch script runs in the first.
"""

from __future__ import annotations

import contextlib
import pwd
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.slurm.controller import answer_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from snakemake_executor_plugin_daskmpi.slurm.controller import Answer

    #: Runs one of Slurm's programs.
    AnswerOf = Callable[[list[str]], Answer]

#: Between fields; no name holds it.
_SEPARATOR = "\x1f"
#: Id, state, reason, expected or real start, partition, integer priority, nodes.
_FORMAT = _SEPARATOR.join(("%i", "%T", "%r", "%S", "%P", "%Q", "%N"))

#: States in which a job will not run any more.
ENDED = frozenset(
    {"COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "OUT_OF_MEMORY", "BOOT_FAIL"}
    | {"DEADLINE", "REVOKED", "LAUNCH_FAILED", "RECONFIG_FAIL"}
)
#: States in which it has nodes.
RUNNING = frozenset({"RUNNING", "COMPLETING", "CONFIGURING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT"})


@dataclass(frozen=True, slots=True)
class QueuedJob:
    """One line of the queue: a job, or a component of a hetjob."""

    id: str
    state: str
    #: Slurm's word for why it waits, ``None`` if it does not.
    reason: str = "None"
    #: When it is expected to start, or did, ``2026-11-23T14:02:11``; "" if Slurm does not know.
    start: str = ""
    partition: str = ""
    priority: int = 0
    #: The nodes it has, in Slurm's notation.
    nodes: str = ""

    @property
    def number(self) -> str:
        """The job's id without the component's offset."""
        return self.id.partition("+")[0]


#: What squeue says of a job that it does not know (any more). Any other refusal says nothing of the job.
_UNKNOWN = "Invalid job id"


class SlurmSilenceError(Exception):
    """Slurmctld did not tell. Caught where asking again is possible; its text is what was seen."""


def job_command(job_id: str) -> list[str]:
    """Return the question for one job, ended a few minutes ago or not."""
    return ["squeue", "--noheader", "--states=all", f"--jobs={job_id}", f"--format={_FORMAT}"]


def pending_command(partition: str) -> list[str]:
    """Return the question for all pending jobs of a partition."""
    return ["squeue", "--noheader", "--states=PENDING", f"--partition={partition}", f"--format={_FORMAT}"]


def parse_queue(text: str) -> list[QueuedJob]:
    r"""Return the jobs of ``squeue``'s answer, in its order.

    >>> parse_queue("7\x1fPENDING\x1fPriority\x1fN/A\x1fmain,gpu\x1f100\x1f\n")[0].reason
    'Priority'
    """
    rows = (line.split(_SEPARATOR) for line in text.splitlines() if line.count(_SEPARATOR) == _FORMAT.count(_SEPARATOR))
    return [_queued_job(*(part.strip() for part in row)) for row in rows]


def _queued_job(id_: str, state: str, reason: str, start: str, partition: str, priority: str, nodes: str) -> QueuedJob:  # noqa: PLR0917, PLR0913
    number = int(priority) if priority.isdigit() else 0
    return QueuedJob(id_, state, reason, "" if start in {"N/A", "NONE"} else start, partition, number, nodes)


def job_of(job_id: str, answer_of: AnswerOf = answer_of) -> list[QueuedJob]:
    """Return what the queue says of a job, one entry per component; nothing if it does not know it (any more).

    Raises
    ------
    SlurmSilenceError
        If slurmctld does not answer, or squeue is refused an answer: that is no end of the job.
    """
    answer = _heard(answer_of(job_command(job_id)))
    if answer.code != 0 and _UNKNOWN not in answer.err:
        raise SlurmSilenceError(answer.words)
    return sorted(parse_queue(answer.out), key=lambda job: [int(n) for n in re.findall(r"\d+", job.id)])


def number_ahead(jobs: Sequence[QueuedJob], answer_of: AnswerOf = answer_of) -> int | None:
    """Return about how many jobs of its partition stand before a pending job; None if that is not why it waits.

    Raises
    ------
    SlurmSilenceError
        If slurmctld does not answer.
    """
    for job in jobs:
        if job.state == "PENDING" and job.reason in {"Priority", "Resources"}:
            answer = _heard(answer_of(pending_command(job.partition)))
            return count_ahead(job, parse_queue(answer.out)) if answer.code == 0 else None
    return None


def count_ahead(job: QueuedJob, pending: Sequence[QueuedJob]) -> int:
    """Return how many jobs have a higher priority; the components of a hetjob count as one.

    >>> count_ahead(QueuedJob("9+0", "PENDING", priority=5), [QueuedJob("7", "PENDING", priority=6)] * 2)
    1
    """
    return len({other.number for other in pending if other.priority > job.priority and other.number != job.number})


# -- how it ended -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class End:
    """How a job ended, as Slurm says."""

    state: str
    #: Exit code of the batch script; None if Slurm does not know, or it has not ended.
    code: int | None = None
    #: Who cancelled it; "" if nobody did or Slurm does not tell.
    by: str = ""


def end_command(job_id: str) -> list[str]:
    """Return the question for a job's end while slurmctld remembers it."""
    return ["scontrol", "--oneliner", "show", "job", job_id]


def history_command(job_id: str) -> list[str]:
    """Return the question for a job's end to the site's accounting."""
    return ["sacct", "--noheader", "--parsable2", "--allocations", f"--jobs={job_id}", "--format=State,ExitCode"]


def parse_end(text: str) -> End | None:
    """Return the end of the job's first component from ``scontrol``'s answer.

    >>> parse_end("JobId=1 HetJobOffset=0 JobState=TIMEOUT Reason=TimeLimit ExitCode=0:15")
    End(state='TIMEOUT', code=143, by='')
    """
    state = re.search(r"\bJobState=(\w+)", text)
    code = re.search(r"\bExitCode=(\d+:\d+)", text)
    return End(state[1], _exit_code(state[1], code[1]) if code else None) if state else None


def parse_history(text: str) -> End | None:
    """Return the end of the job's first component from ``sacct``'s answer.

    >>> parse_history("CANCELLED by 1000|0:0")
    End(state='CANCELLED', code=0, by='1000')
    """
    match = re.match(r"([A-Z_]+)\S*(?: by (\S+))?\|(\d+:\d+)", text)
    return End(match[1], _exit_code(match[1], match[3]), match[2] or "") if match else None


def end_of(job_id: str, answer_of: AnswerOf = answer_of) -> End | None:
    """Return how a job ended, from slurmctld or the site's accounting; None if neither knows.

    Raises
    ------
    SlurmSilenceError
        If slurmctld does not answer.
    """
    told = _heard(answer_of(end_command(job_id)))
    end = parse_end(told.out) if told.code == 0 else None
    if end is None or end.state == "CANCELLED":
        # Only the accounting knows who did it. Where there is none, sacct fails at once.
        history = answer_of(history_command(job_id))
        end = (parse_history(history.out) if history.code == 0 else None) or end
    return replace(end, by=_user_name(end.by)) if end else None


def _user_name(by: str) -> str:
    """Return a user's name for what ``sacct`` writes: a number."""
    with contextlib.suppress(KeyError, ValueError):
        return pwd.getpwuid(int(by)).pw_name
    return by


def _exit_code(state: str, text: str) -> int | None:
    """Return Slurm's ``code:signal`` as a shell's exit code; None in a state in which it stands for none yet."""
    if state not in ENDED | {"COMPLETING"}:
        return None
    code, signal = (int(part) for part in text.split(":"))
    return 128 + signal if signal else code


# -- ending it ----------------------------------------------------------------------------------------


def interrupt_command(job_id: str) -> list[str]:
    """Return the order that sends Ctrl-C to all ranks of a running job, not to its batch script."""
    return ["scancel", "--signal=INT", job_id]


def cancel_command(job_id: str) -> list[str]:
    """Return the order that ends a job, pending or running."""
    return ["scancel", job_id]


def order(command: list[str], answer_of: AnswerOf = answer_of) -> Answer:
    """Give an order; a job that has ended already is no error.

    Raises
    ------
    SlurmSilenceError
        If slurmctld does not answer.
    """
    return _heard(answer_of(command))


def _heard(answer: Answer) -> Answer:
    if answer.is_silence:
        raise SlurmSilenceError(answer.words)
    return answer


# -- submitting it ------------------------------------------------------------------------------------


def submit_command(script: str, arguments: Sequence[str] = ()) -> list[str]:
    """Return the order to submit a batch script, with options that cannot stand in it."""
    return ["sbatch", "--parsable", *arguments, script]


def parse_submitted(text: str) -> tuple[str, str]:
    r"""Return id and cluster from ``sbatch --parsable``; the cluster is "" where there is only one.

    >>> parse_submitted("12;blue\n"), parse_submitted("sbatch: a site's greeting\n13\n")
    (('12', 'blue'), ('13', ''))
    """
    matches = re.findall(r"^(\d+)(?:;(\S+))?\s*$", text, re.MULTILINE)
    return matches[-1] if matches else ("", "")


def own_scripts_command(states: str = "all") -> list[str]:
    """Return the question for the batch scripts of the user's jobs in some states."""
    return ["squeue", "--noheader", "--me", f"--states={states}", f"--format=%i{_SEPARATOR}%o"]


def parse_script_jobs(text: str, stamp: str) -> list[str]:
    r"""Return the ids of the jobs whose scripts' paths hold a stamp; paths may hold newlines.

    >>> parse_script_jobs("7\x1f/a/job.sh\n8+0\x1f/b\nc/2026-x/job.sh\n", "2026-x")
    ['8']
    """
    found, job = [], ""
    for line in text.splitlines():
        id_, separator, _ = line.partition(_SEPARATOR)
        job = id_.strip() if separator else job
        if stamp in line:
            found.append(job.partition("+")[0])
    return [*dict.fromkeys(found)]


def find_submitted(stamp: str) -> str:
    """Return the id of the job that was submitted although no answer came, "" if it was not.

    Raises
    ------
    SlurmSilenceError
        If slurmctld does not answer, or squeue is refused an answer.
    """
    answer = _heard(answer_of(own_scripts_command()))
    if answer.code != 0:
        raise SlurmSilenceError(answer.words)
    return next(iter(parse_script_jobs(answer.out, stamp)), "")
