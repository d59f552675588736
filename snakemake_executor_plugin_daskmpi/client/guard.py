"""End a run when anything in its event loop fails: otherwise it would wait for ever.

Runs on: rank 1, in the link's thread.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

_log = logging.getLogger(__name__)


class Guard:
    """Runs steps of an event loop, and tells of those that fail.

    Parameters
    ----------
    on_error
        Is told.
    """

    def __init__(self, on_error: Callable[[Exception], None]) -> None:
        self._on_error = on_error
        #: What is under way and not waited for, held so that it is not collected.
        self._tasks: set[asyncio.Task[None]] = set()

    def step(self, fn: Callable[[], None]) -> Callable[[], None]:
        """Return a function as a step of the loop, which raises nothing."""

        def guarded() -> None:
            try:
                fn()
            except Exception as error:  # noqa: BLE001 - becomes the run's error
                self._tell(error)

        return guarded

    def in_background(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Have something done that is not waited for."""

        async def guarded() -> None:
            try:
                await coroutine
            except Exception as error:  # noqa: BLE001 - becomes the run's error
                self._tell(error)

        self._tasks.add(task := asyncio.ensure_future(guarded()))
        task.add_done_callback(self._tasks.discard)

    def _tell(self, error: Exception) -> None:
        _log.error("the run breaks", exc_info=error)
        self._on_error(error)
