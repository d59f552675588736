"""Keys that somebody presses while a picture is on the terminal.

Runs on: wherever somebody looks at a run, in a terminal.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import termios
import time
import tty
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def single_keys() -> Iterator[int | None]:
    """Yield the file descriptor of which keys are read as they are pressed; None if this has no terminal to read of."""
    try:
        fd = sys.stdin.fileno()
        # In the background, a terminal's settings are not for us to change.
        before = termios.tcgetattr(fd) if os.tcgetpgrp(fd) == os.getpgrp() else None
    except (OSError, ValueError, AttributeError, termios.error):
        before = None
    if before is None:
        yield None
        return
    tty.setcbreak(fd)
    try:
        yield fd
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


def is_pressed(key: bytes, fd: int | None, within_s: float) -> bool:
    """Wait for a key for so many seconds, and say whether it was pressed; others count as nothing."""
    until = time.monotonic() + within_s
    while (left := until - time.monotonic()) > 0:
        if fd is None:
            time.sleep(left)
        elif select.select([fd], [], [], left)[0]:
            read = os.read(fd, 64)
            if key in read:
                return True
            fd = fd if read else None
    return False
