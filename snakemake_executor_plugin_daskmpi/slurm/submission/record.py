"""The record of a submission: which Slurm job a working directory has, so that it is not submitted twice.

Runs on: the login node; the node of a job whose successor is submitted.

``.snakemake/daskmpi/submitted.json`` is made before Snakemake's lock is released and goes when the job has ended. In
between it tells of the job, whose id is "" while it is being submitted. Each submission has a folder of its own beside
it, which stays: the batch script, all that the job wrote, its exit code. A job that submits its own successor hands the
record on to it, and tells in its folder which it is.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import json
import os
import shlex
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snakemake_executor_plugin_daskmpi import command_line
from snakemake_executor_plugin_daskmpi.errors import LaunchError
from snakemake_executor_plugin_daskmpi.rank import whole_file
from snakemake_executor_plugin_daskmpi.slurm.controller import PATIENCE_S, say
from snakemake_executor_plugin_daskmpi.slurm.submission import queue
from snakemake_executor_plugin_daskmpi.slurm.submission.progress import SUBMISSION

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Files in a submission's folder.
SCRIPT = "job.sh"
OUTPUT = "output.log"
EXIT_CODE = "exit-code"

#: Seconds after which a submission on another host that has not got an id counts as given up.
_STALE_S = 900.0
#: Seconds between two questions while slurmctld is away.
_PAUSE_S = 3.0


@dataclass(frozen=True, slots=True)
class Record:
    """One submission."""

    #: Its folder, absolute; the last part is unlike that of any other.
    folder: str
    #: The command line that was submitted, as typed.
    command: str
    #: When, where and by which process.
    when: str
    host: str
    pid: int
    #: Further arguments of sbatch, beside the script.
    arguments: tuple[str, ...] = ()
    #: Slurm's id; "" while it is being submitted.
    job_id: str = ""
    #: Slurm's cluster, "" where there is one only.
    cluster: str = ""
    #: Folder of the submission whose job submits this one, "" if the user does.
    follows: str = ""

    @property
    def stamp(self) -> str:
        """The end of the script's path, by which Slurm's queue is searched."""
        return f"{Path(self.folder).name}/{SCRIPT}"

    @property
    def exit_code(self) -> int | None:
        """What the batch script ended with; None before it has."""
        try:
            return int((Path(self.folder) / EXIT_CODE).read_text())
        except (OSError, ValueError):
            return None


def home_of(workdir: Path) -> Path:
    """Return the folder of all that we keep in a working directory."""
    return workdir / ".snakemake" / "daskmpi"


def new_record(
    workdir: Path, command: Sequence[str], arguments: Sequence[str] = (), folder: str = "", follows: str = ""
) -> Record:
    """Return the record of a submission to come, in a folder of its own unless one is given."""
    now = dt.datetime.now().astimezone()
    folder = folder or str(home_of(workdir) / "submissions" / f"{now:%Y-%m-%dT%H%M%S.%f}-{os.getpid()}")
    when = now.isoformat(sep=" ", timespec="seconds")
    return Record(
        folder, shlex.join(command), when, socket.gethostname(), os.getpid(), tuple(arguments), follows=follows
    )


def path_of(record: Record) -> Path:
    """Return the file that holds a record."""
    return Path(record.folder).parent.parent / "submitted.json"


def read(workdir: Path) -> Record | None:
    """Return the record of a working directory; None if there is none, or none that can be read."""
    try:
        return record_of((home_of(workdir) / "submitted.json").read_text())
    except (OSError, ValueError, TypeError, KeyError):
        return None


def record_of(text: str) -> Record:
    """Read what :func:`text_of` wrote; ValueError, TypeError or KeyError if it is something else."""
    held: dict[str, Any] = json.loads(text)
    return Record(**{**held, "arguments": tuple(held["arguments"])})


def claim(record: Record) -> None:
    """Write the record of a submission that begins; exactly one of several at a time succeeds.

    Raises
    ------
    LaunchError
        If there is a record already, but of the submission that this one follows.
    """
    path = path_of(record)
    held = read(path.parent.parent.parent) if record.follows else None
    if held is not None and held.folder == record.follows:
        save(record)
        return
    # Complete when it gets its name, since others may read it at once.
    draft = Path(record.folder) / "record.json"
    draft.write_text(text_of(record))
    try:
        os.link(draft, path)
    except FileExistsError:
        other = read(path.parent.parent.parent)
        raise (
            running_error(other, [])
            if other
            else LaunchError(
                "Another submission from this working directory got there first.",
                seen=f"{path} was made a moment ago.",
                next_step="run the same command again, which says what runs.",
            )
        ) from None
    finally:
        draft.unlink()


def save(record: Record) -> None:
    """Replace what is on disk by a newer state of the same submission."""
    whole_file.write(path_of(record), text_of(record))


def remove(record: Record) -> None:
    """Forget a submission that has ended or failed; one that came after it stays."""
    path = path_of(record)
    held = read(path.parent.parent.parent)
    if held is None or held.folder == record.folder:
        with contextlib.suppress(OSError):
            path.unlink()


def text_of(record: Record) -> str:
    """Return a record as it stands in a file."""
    return json.dumps(dataclasses.asdict(record), indent=2) + "\n"


# -- is it still there? --------------------------------------------------------------------------------


def jobs_of(record: Record) -> list[queue.QueuedJob]:
    """Return what the queue says of a submission that still waits or runs, nothing if it has ended.

    Raises
    ------
    SlurmSilenceError
        If slurmctld does not answer.
    """
    if record.exit_code is not None:
        return []
    job_id = record.job_id or queue.find_submitted(record.stamp)
    jobs = queue.job_of(job_id) if job_id else []
    return [] if all(job.state in queue.ENDED for job in jobs) else jobs


def is_being_submitted(record: Record) -> bool:
    """Say whether the process that submits may still be at it."""
    if record.job_id:
        return False
    if record.host != socket.gethostname():
        return time.time() - dt.datetime.fromisoformat(record.when).timestamp() < _STALE_S
    return record.pid != os.getpid() and Path(f"/proc/{record.pid}").exists()


def refuse_second(workdir: Path, patience_s: float = PATIENCE_S) -> None:
    """Return if a working directory has no job; forget the record of one that has ended.

    Raises
    ------
    LaunchError
        If its job waits or runs, or slurmctld does not tell.
    """
    record = read(workdir)
    if record is None:
        return
    if is_being_submitted(record):
        raise running_error(record, [])
    give_up = time.monotonic() + patience_s
    told = False
    while True:
        try:
            jobs = jobs_of(record)
            break
        except queue.SlurmSilenceError as silence:
            if time.monotonic() >= give_up:
                raise LaunchError(
                    f"Slurm does not tell whether job {record.job_id} of this working directory still runs.",
                    seen=f"{silence}.",
                    next_step="scontrol ping tells when Slurm's controller is back; then run the same command again.",
                ) from None
            if not told:
                say(f"Slurm's controller does not answer ({silence}); asking again for up to {patience_s:.0f} s.")
                told = True
            time.sleep(min(_PAUSE_S, max(0.1, give_up - time.monotonic())))
    if jobs:
        save(dataclasses.replace(record, job_id=jobs[0].number))
        raise running_error(record, jobs)
    remove(record)


def running_error(record: Record, jobs: Sequence[queue.QueuedJob]) -> LaunchError:
    """Return the error of a second submission."""
    where = f"; {state_text(jobs)}" if jobs else ""
    job = (
        f"Slurm job {record.job_id or jobs[0].number}"
        if record.job_id or jobs
        else "a Slurm job that is being submitted"
    )
    number = record.job_id or (jobs[0].number if jobs else "")
    first = f"squeue --job {number}; scancel {number} ends it; " if number else "wait a moment, then "
    return LaunchError(
        f"This working directory has {job} already; nothing was submitted.",
        seen=f"submitted on {record.when} from {record.host} (process {record.pid}) by: {record.command}{where}.",
        next_step=f"{first}snakemake-daskmpi follow shows its output.",
    )


def state_text(jobs: Sequence[queue.QueuedJob]) -> str:
    """Return where a job is.

    >>> state_text([queue.QueuedJob("1+0", "RUNNING", nodes="n1"), queue.QueuedJob("1+1", "RUNNING", nodes="n[2-3]")])
    'it runs on n1,n[2-3]'
    """
    if any(job.state in queue.RUNNING for job in jobs):
        return "it runs on " + ",".join(job.nodes for job in jobs if job.nodes)
    return f"it is {jobs[0].state.lower()} in partition {jobs[0].partition}"


def notice(arguments: Sequence[str]) -> None:
    """Say so if the working directory of a command line has a job that waits or runs.

    While it runs, Snakemake ends with an error about its lock before it comes to us. Never an error itself, and
    free where there is no record.
    """
    workdir = Path.cwd() / command_line.directory_of(arguments)
    record = read(workdir)
    if record is None or record.folder == os.environ.get(SUBMISSION):
        return
    with contextlib.suppress(queue.SlurmSilenceError, LaunchError):
        if jobs := jobs_of(record):
            number = jobs[0].number
            say(
                f"Slurm job {number} of this working directory, submitted on {record.when}: {state_text(jobs)}. "
                f"'snakemake-daskmpi follow' shows its output, 'scancel {number}' ends it."
            )
