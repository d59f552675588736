"""What Linux offers to keep families of processes together.

Runs on: every rank.

A job's process leads a session. What stays in that session is the job's; what leaves it, as daemons do, is not.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import time
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.rank.graces import UNKILLABLE_S

if TYPE_CHECKING:
    from collections.abc import Collection

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
#: Characters of a command line in a message.
_SHORT = 78


def end_with_parent(number: int) -> None:
    """Have the kernel send this process a signal when its parent dies, however that happens."""
    _prctl(_PR_SET_PDEATHSIG, number)


def outlive_parent() -> None:
    """Undo :func:`end_with_parent`."""
    _prctl(_PR_SET_PDEATHSIG, 0)


def call_this(name: str) -> None:
    """Give this process the name that ``ps -e`` and ``top`` show; its first 15 characters count.

    Without blanks: where Slurm (22.05) finds the processes of a job by their parents (``proctrack/linuxproc``), it
    takes the words of ``/proc/PID/stat`` apart by them, and would never end what has one in its name.
    """
    _prctl(_PR_SET_NAME, ctypes.create_string_buffer(name.replace(" ", "-").encode()[:15]))


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent dies."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def allow_open_files(number: int) -> None:
    """Raise this process's soft limit of open files to a number, or as far as the hard one lets it; never lower it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    wanted = number if hard == unlimited else min(number, hard)
    if soft != unlimited and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def be_killed_first(score: int) -> None:
    """Add to this process's score in the kernel's choice when memory is short, where ``/proc`` lets it.

    What it starts inherits the score. Raising it is anyone's right (``man 5 proc_pid_oom_score_adj``).
    """
    with contextlib.suppress(OSError, ValueError), open("/proc/self/oom_score_adj", "r+") as file:
        score = min(1000, int(file.read()) + score)
        file.seek(0)
        file.write(str(score))


def send(pid: int, number: int) -> None:
    """Send a signal to a process if it is still there."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def send_to_group(pid: int, number: int) -> None:
    """Send a signal to the process group of a process, or to itself alone if it leads none (yet)."""
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        send(pid, number)


def end_session(number: int, grace_s: float) -> None:
    """Send a signal to all descendants of this process, and give them time to end.

    For a process that leads its session and ends next itself: it takes the exit codes of its children. Children that
    have left the session, as daemons have, are left alone.
    """
    sid, deadline = os.getpid(), time.monotonic() + grace_s
    for child in _children_of(sid):
        for pid in (child, *descendants_of(child)) if session_of(child) == sid else ():
            send(pid, number)
    while has_children(in_session=sid) and time.monotonic() < deadline:
        time.sleep(0.002)


def has_children(in_session: int | None = None) -> bool:
    """Say whether this process has children that live, of a session or of any; those that have ended are reaped."""
    with contextlib.suppress(ChildProcessError):
        while os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG) is not None:
            pass
        return in_session is None or any(session_of(pid) == in_session for pid in _children_of(os.getpid()))
    return False


def sessions_of_children(keep: Collection[int]) -> set[int]:
    """Return the sessions of the living children of this process, without those to keep out."""
    return {session_of(pid) for pid in _children_of(os.getpid()) if pid not in keep} - {0}


def session_of(pid: int) -> int:
    """Return the session of a process, 0 if it has gone or is a zombie."""
    fields = _stat_of(pid)
    return int(fields[3]) if fields and fields[0] != "Z" else 0


def members_of(sid: int) -> list[int]:
    """Return all living processes of a session, whoever their parents are."""
    return [pid for name in os.listdir("/proc") if name.isdigit() and session_of(pid := int(name)) == sid]


def programs_of(sid: int) -> str:
    """Return the programs of a session as messages have them, without the shells that wait for others of them."""
    members = members_of(sid)
    parents = {int(fields[1]) for pid in members if (fields := _stat_of(pid))}
    named = [f"{text} (process {pid})" for pid in members if pid not in parents and (text := _command_of(pid))]
    return ", ".join(named[:3]) + (f" and {len(named) - 3} more" if len(named) > 3 else "")  # noqa: PLR2004 - a short list


def send_to_session(sid: int, number: int) -> None:
    """Send a signal to all processes of a session."""
    for pid in members_of(sid):
        send(pid, number)


def _command_of(pid: int) -> str:
    """Return what a process is called for messages: its command line, cut short; "" if it has gone."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
        words = file.read(4096).split(b"\0")
        text = b" ".join(words).decode(errors="replace").strip()
        return f"{text[:77]}…" if len(text) > _SHORT else text
    return ""


def _stat_of(pid: int) -> list[str]:
    """Return the fields of a process in /proc from its state on, empty if it has gone."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat") as file:
        # Its name stands in parentheses, and may hold some.
        return file.read().rpartition(")")[2].split()
    return []


def kill_descendants(keep: frozenset[int] | set[int] = frozenset()) -> None:
    """Kill and reap all descendants of this process, except those that descend from some to keep.

    For a process that adopts orphans: none escapes by leaving its session. In rounds, since
    the children of a killed process come to this one. What cannot be killed (it waits for a dead
    file system, or belongs to another user) is given up after some seconds.
    """
    deadline = time.monotonic() + UNKILLABLE_S
    while victims := [pid for pid in _children_of(os.getpid()) if pid not in keep]:
        for pid in victims:
            for descendant in (*descendants_of(pid), pid):
                send(descendant, signal.SIGKILL)
        for pid in victims:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        if time.monotonic() > deadline:
            return
        # A killed process is gone within microseconds, unless the machine is overloaded.
        time.sleep(0.0005)


def kill_family(pid: int) -> None:
    """Kill a process with all its descendants, parents first, so that none sees a child die and goes on.

    What is forked while this looks comes to whoever adopts orphans, who has to kill it.
    """
    for member in [pid, *descendants_of(pid)]:
        send(member, signal.SIGKILL)


def redirect_output(log: str) -> None:
    """Send this process's stdout and stderr to the end of a log."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def descendants_of(pid: int) -> list[int]:
    """Return all processes below a process, parents before their children."""
    return [d for child in _children_of(pid) for d in (child, *descendants_of(child))]


def _children_of(pid: int) -> list[int]:
    """Return the children of all threads of a process, from Linux's /proc."""
    children: list[int] = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{thread}/children") as file:
                children += map(int, file.read().split())
    return children


def _prctl(option: int, value: int | ctypes.Array[ctypes.c_char]) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)
