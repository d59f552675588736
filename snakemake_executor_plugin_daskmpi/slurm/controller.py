"""Slurm's programs, run: bounded in time, patient while slurmctld is away, and plain about refusals.

Runs on: the login node.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.errors import LaunchError, NoSlurmError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: Seconds for which a slurmctld that does not answer is asked again. Restarts and fail-overs take about one minute.
PATIENCE_S = 120.0
#: Seconds between two tries, first and at most. The programs themselves take about ten to give up.
_PAUSES_S = (0.5, 5.0)
#: Seconds after which a program is killed; sites raise Slurm's MessageTimeout (10 s) to 100 at most.
_TIMEOUT_S = 120.0

#: What Slurm's programs say when slurmctld is down, restarts, or has too much to do. The last ones may come
#: after it has done what was asked.
_AWAY = re.compile(
    r"Unable to contact slurm controller|Zero Bytes were transmitted|Transport endpoint is not connected"
    r"|Connection (?:refused|timed out)|in standby mode|temporarily unable|Unable to establish controller machine"
    r"|Socket timed out|Slurm backup controller|Unexpected message received|Communication connection failure",
    re.IGNORECASE,
)

#: What they say on a machine that has them, and no slurm.conf and nobody to ask for one.
_NO_CLUSTER = "Could not establish a configuration source"

#: The user's own formats and filters would change what the programs print.
_FORMATS = ("SQUEUE_", "SINFO_", "SACCT_", "SCONTROL_", "SLURM_TIME_FORMAT", "SLURM_BITSTR_LEN")
#: Variables of Slurm that say where the cluster is; all others are of an allocation that we may sit in.
_WHERE = ("SLURM_CONF", "SLURM_CLUSTERS", "SLURM_JWT", "SLURM_SACK_KEY", "SLURM_DEBUG_FLAGS")


@dataclass(frozen=True, slots=True)
class Answer:
    """How one of Slurm's programs ended."""

    command: tuple[str, ...]
    code: int
    out: str
    err: str

    @property
    def is_silence(self) -> bool:
        """Whether slurmctld did not answer. What was asked of it may have been done all the same."""
        return self.code != 0 and _AWAY.search(self.err) is not None

    @property
    def words(self) -> str:
        """What the program said, on one line."""
        lines = (line.strip() for line in (self.err or self.out).splitlines())
        return "; ".join(line for line in lines if line) or f"nothing, and ended with exit code {self.code}"


def answer_of(command: list[str], *, timeout_s: float = _TIMEOUT_S, added: Mapping[str, str] | None = None) -> Answer:
    """Run one of Slurm's programs, out of reach of the terminal's Ctrl-C, for at most some seconds.

    Parameters
    ----------
    added
        Environment variables that only this program gets.

    Raises
    ------
    NoSlurmError
        If there is no such program, or no cluster that it belongs to.
    """
    if shutil.which(command[0]) is None:
        raise _no_slurm(f"{command[0]} is not on PATH.")
    # Without a configuration, each of Slurm's programs looks for one for a minute.
    if (named := os.environ.get("SLURM_CONF")) and not Path(named).exists():
        raise _no_slurm(f"SLURM_CONF is {named}, and there is no such file.")
    try:
        done = subprocess.run(  # noqa: S603
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout_s,
            check=False,
            env={**environ_of(os.environ), **(added or {})},
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        return Answer(tuple(command), -1, "", f"Socket timed out: {command[0]} gave no answer in {timeout_s:.0f} s")
    if done.returncode and _NO_CLUSTER in done.stderr:
        raise _no_slurm(f"{command[0]} is here, and finds no cluster that it belongs to ({_NO_CLUSTER}).")
    return Answer(tuple(command), done.returncode, done.stdout, done.stderr)


def _no_slurm(seen: str) -> NoSlurmError:
    return NoSlurmError(
        "There is no Slurm here.",
        seen=seen,
        next_step="run this on a login node of the cluster (perhaps after 'module load slurm'), "
        "or use --daskmpi-launcher local.",
    )


def environ_of(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of Slurm's programs: none of an allocation that we sit in, no formats of the user's.

    A job submitted from within an allocation would inherit its sizes.

    >>> environ_of({"SLURM_CONF": "/c", "SLURM_MEM_PER_CPU": "1", "SQUEUE_FORMAT": "%i", "HOME": "/h"})
    {'SLURM_CONF': '/c', 'HOME': '/h'}
    """
    return {
        name: value
        for name, value in environ.items()
        if (not name.startswith(("SLURM_", "SLURMD_", "PMI_", "PMIX_")) or name in _WHERE)
        and not name.startswith(_FORMATS)
    }


def say(line: str) -> None:
    """Tell the user something, beside what a script may parse. A terminal that is gone is no error."""
    with contextlib.suppress(OSError):
        print(f"daskmpi: {line}", file=sys.stderr, flush=True)


def ask(command: list[str], *, patience_s: float = PATIENCE_S, tell: Callable[[str], None] = say) -> str:
    """Return what one of Slurm's programs prints; ask again for a while if slurmctld is away.

    Only for questions: what was ordered may have been done although no answer came.

    Raises
    ------
    LaunchError
        If it refuses, or slurmctld stays away.
    """
    give_up = time.monotonic() + patience_s
    pause, longest = _PAUSES_S
    told = False
    while True:
        answer = answer_of(command)
        if answer.code == 0:
            return answer.out
        if not answer.is_silence:
            raise LaunchError(
                f"Slurm's {command[0]} did not tell what it was asked.",
                seen=f"{shlex.join(command)} said: {answer.words}.",
                next_step="run that command by hand, and ask the site's support about what it says.",
            )
        if time.monotonic() >= give_up:
            raise away(answer, patience_s)
        if not told:
            tell(f"Slurm's controller does not answer ({answer.words}); asking again for up to {patience_s:.0f} s.")
            told = True
        time.sleep(pause)
        pause = min(longest, 2 * pause)


def away(answer: Answer, patience_s: float) -> LaunchError:
    """Return the error of a slurmctld that stays away."""
    return LaunchError(
        f"Slurm's controller (slurmctld) did not answer for {patience_s:.0f} s; nothing was submitted.",
        seen=f"{answer.command[0]} said: {answer.words}.",
        next_step="scontrol ping tells when it is back; then run the same command again.",
    )
