"""Continue a Slurm job that Slurm has requeued, without the user's help.

Runs on: rank 1, and the process in the batch script that becomes ``srun``.

Slurm starts a job again under the same id (``scontrol requeue``, preemption, a lost node) once all processes of its
earlier life are gone. So a lock that this job took in an earlier life can be removed. It is recognised by its files,
which were noted when it was taken. Any other lock is left alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snakemake_executor_plugin_daskmpi import command_line
from snakemake_executor_plugin_daskmpi.client import exit_code
from snakemake_executor_plugin_daskmpi.rank import roles, whole_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: By which Snakemake runs jobs again that were cut off.
_RERUN = ("--rerun-incomplete", "--ri")


def note_lock(workdir: Path, environ: Mapping[str, str], first_run: str) -> None:
    """Note that the lock of a working directory is that of the Slurm job that we are in; no effect outside of one.

    Parameters
    ----------
    first_run
        Of the chain that this life's run is in, by its id, for the run of the next life.
    """
    if "SLURM_JOB_ID" not in environ:
        return
    lock = _lock_of(workdir)
    held = {"job": environ["SLURM_JOB_ID"], "life": _life(environ), "lock": lock, "first_run": first_run}
    path = _note_of(workdir)
    with contextlib.suppress(OSError):  # then a requeue needs --unlock
        path.parent.mkdir(parents=True, exist_ok=True)
        whole_file.write(path, json.dumps(held) + "\n")


def take_up(workdir: Path, environ: Mapping[str, str]) -> bool:
    """Say whether an earlier life of the Slurm job that we are in worked here; release the lock that it left."""
    held = _left_by_earlier_life(workdir, environ)
    lock = _lock_of(workdir)
    if held and lock and lock == held.get("lock"):
        for name in lock:
            (_locks(workdir) / name).unlink(missing_ok=True)
    return bool(held)


def first_run(workdir: Path, environ: Mapping[str, str]) -> str:
    """Return the id of the run that began the chain of an earlier life of our Slurm job; "" if there is none."""
    return str(_left_by_earlier_life(workdir, environ).get("first_run", ""))


def resume(arguments: Sequence[str]) -> None:
    """Continue what an earlier life of our Slurm job left; may restart this command with ``--rerun-incomplete``.

    Outputs of jobs that were cut off would otherwise be an error. Ranks that are not Snakemake go on.
    """
    seat = roles.seat_of(os.environ)
    if not _life(os.environ) or (seat is not None and seat.role is not roles.Role.CLIENT):
        return
    workdir = Path.cwd() / command_line.directory_of(arguments)
    if take_up(workdir, os.environ) and exit_code.is_command_line() and not set(_RERUN) & set(arguments):
        print("daskmpi: this Slurm job was requeued: jobs that were cut off run again.", file=sys.stderr, flush=True)
        command = command_line.same_command(_RERUN[0])
        os.execv(command[0], command)  # noqa: S606


def _left_by_earlier_life(workdir: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    """Return what an earlier life of the Slurm job that we are in has noted; nothing if there is none."""
    try:
        held: dict[str, Any] = json.loads(_note_of(workdir).read_text())
        is_ours = bool(held["job"] == environ.get("SLURM_JOB_ID") and held["life"] < _life(environ))
    except (OSError, ValueError, TypeError, KeyError):
        return {}
    return held if is_ours else {}


def _life(environ: Mapping[str, str]) -> int:
    """Return how often the Slurm job that we are in was started before."""
    return int(environ.get("SLURM_RESTART_COUNT", "0"))


def _note_of(workdir: Path) -> Path:
    return workdir / ".snakemake" / "daskmpi" / "lock-owner.json"


def _locks(workdir: Path) -> Path:
    return workdir / ".snakemake" / "locks"


def _lock_of(workdir: Path) -> dict[str, list[int]]:
    """Return the files that are Snakemake's lock, with what tells them from those of another one."""
    found = {path.name: path.stat() for path in sorted(_locks(workdir).glob("*.lock"))}
    return {name: [stat.st_mtime_ns, stat.st_size] for name, stat in found.items()}
