"""Jobs whose process has ended, and has left programs in its session: until when they are waited for.

Runs on: ranks >= 2, in the forkserver. It acts on processes only through what it is given.

A program that a shell has started in the background, or for ``tee >(gzip > …)``, may be writing still when the shell
has ended. Snakemake's own executor would take the job for done and let it write. Here the job has ended when the
program has; one that does not end is killed, and the job has failed then.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from snakemake_executor_plugin_daskmpi.rank.graces import UNKILLABLE_S

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

#: Seconds after which it is said that a job's programs still run.
_SAY_AFTER_S = 2.0
#: Seconds for what a killed process has left: some clean up after it, as Python's keeper of shared memory does.
_AFTER_KILL_S = 0.5
_NEVER = float("inf")


@dataclass(slots=True)
class _Left:
    """What is left of one job. Times are on the caller's clock."""

    say_at: float
    #: When it is killed or, once it was, given up.
    kill_at: float
    #: Whether the job's process was killed.
    is_orphaned: bool = False
    is_killed: bool = False
    #: What had to be killed since it ran for too long.
    overdue: str = ""


@dataclass(slots=True)
class Lingering:
    """All that is left of a worker's jobs, by session.

    Parameters
    ----------
    name
        Returns the programs of a session, as messages have them.
    kill
        Kills all of a session.
    """

    name: Callable[[int], str]
    kill: Callable[[int], None]
    #: Seconds that programs have: ``--daskmpi-linger``.
    bound_s: float = 0.0
    _left: dict[int, _Left] = field(default_factory=dict)

    @property
    def sessions(self) -> Collection[int]:
        """The sessions that are waited for."""
        return self._left.keys()

    def add(self, sid: int, now: float, *, is_killed: bool) -> None:
        """Wait for what is left in a session; for a moment only if its process was killed, which is the reason then."""
        bound_s = min(self.bound_s, _AFTER_KILL_S) if is_killed else self.bound_s
        self._left[sid] = _Left(now + _SAY_AFTER_S, now + bound_s, is_orphaned=is_killed)

    def pause_s(self, now: float) -> float | None:
        """Return the seconds until :meth:`look` has something to do though no process ends; None if it never has."""
        soonest = min((at for left in self._left.values() for at in (left.say_at, left.kill_at)), default=_NEVER)
        return None if soonest == _NEVER else max(0.0, soonest - now)

    def look(self, alive: Collection[int], now: float) -> tuple[dict[int, str], dict[int, str]]:
        """Kill what is over time.

        Parameters
        ----------
        alive
            Sessions in which something lives.

        Returns
        -------
        ended, lingering
            Sessions of which nothing is left, with what had to be killed, "" if nothing had; and sessions with the
            programs that it is to be said of that they still run.
        """
        ended, lingering = {}, {}
        for sid, left in list(self._left.items()):
            if sid not in alive or (left.is_killed and now >= left.kill_at):
                ended[sid] = self._left.pop(sid).overdue
            elif now >= left.kill_at:
                left.overdue = "" if left.is_orphaned else self.name(sid)
                left.is_killed, left.say_at, left.kill_at = True, _NEVER, now + UNKILLABLE_S
                self.kill(sid)
            elif now >= left.say_at:
                left.say_at = _NEVER
                lingering[sid] = self.name(sid)
        return ended, lingering

    def failure(self, overdue: str) -> dict[str, Any]:
        """Return fields of the report of a job whose programs had to be killed."""
        return {
            "failed": True,
            "reason": f"its body has ended, but {overdue} still ran {self.bound_s:g} s later and was killed",
            "next_step": "end the command with 'wait' if the program is to end by itself, raise --daskmpi-linger if it "
            "needs longer, or start it by 'setsid -f' if it is to outlive the job.",
        }
