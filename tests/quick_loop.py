"""An event loop in which nobody waits: when there is nothing to do until a timer, it is that late at once."""

from __future__ import annotations

import asyncio
import selectors
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine


class _Selector(selectors.DefaultSelector):
    """Looks for what has come, and lets time pass where nothing has."""

    passed_s = 0.0

    def select(self, timeout: float | None = None) -> Any:
        found = super().select(0)
        if not found and timeout:
            # What another process has yet to do takes real time, and little of it.
            found = super().select(min(timeout, 0.001))
            self.passed_s += 0.0 if found else timeout
        return found


class QuickLoop(asyncio.SelectorEventLoop):
    """A loop whose clock is ahead by all that it would have waited."""

    def __init__(self) -> None:
        self._ahead = _Selector()
        super().__init__(self._ahead)

    def time(self) -> float:
        """Return seconds."""
        return super().time() + self._ahead.passed_s


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a test in a loop of its own, for 1,000 s of its time at most."""
    loop = QuickLoop()
    try:
        loop.run_until_complete(asyncio.wait_for(coroutine, 1000))
    finally:
        loop.close()
