"""A real terminal (tmux), in which a shell runs.

Runs on: the machine of the tests.
Called by: tests, through the fixture of conftest.
"""

from __future__ import annotations

import shlex
import subprocess
import uuid
from typing import TYPE_CHECKING

from runs import wait_until

if TYPE_CHECKING:
    from harness import Workflow


class Terminal:
    """A real terminal, 90 columns wide, in which a shell runs."""

    def __init__(self, workflow: Workflow) -> None:
        self._tmux = ["tmux", "-L", f"daskmpi-{uuid.uuid4().hex}", "-f", "/dev/null"]
        # What it had when it was opened, as some shells export it, must not matter.
        size = ("COLUMNS=80", "LINES=25")
        shell = shlex.join(["env", *size, *(f"{k}={v}" for k, v in _changed(workflow.environ())), "PS1=ready$ ", "sh"])
        self._do("new-session", "-d", "-x", "90", "-y", "30", "-c", str(workflow.folder), shell)

    def _do(self, *args: str) -> str:
        return subprocess.run([*self._tmux, *args], check=True, capture_output=True, text=True).stdout

    @property
    def text(self) -> str:
        """What it shows."""
        return self._do("capture-pane", "-p")

    def type(self, *keys: str) -> None:
        """Press keys."""
        self._do("send-keys", *keys)

    def resize(self, width: int, height: int) -> None:
        """Change its size."""
        self._do("resize-window", "-x", str(width), "-y", str(height))

    def shows(self, *words: str) -> str:
        """Wait until it shows some words, and return all that it shows."""
        text = ""

        def has_them() -> bool:
            nonlocal text
            text = self.text
            return all(word in text for word in words)

        wait_until(has_them, on_timeout=lambda: f"{words} not in\n{text}", timeout_s=20, every_s=0.1)
        return text

    def close(self) -> None:
        """Close it."""
        subprocess.run([*self._tmux, "kill-server"], check=False, capture_output=True)


def _changed(environ: dict[str, str]) -> list[tuple[str, str]]:
    """Return what a terminal has to be told of an environment."""
    return [(name, environ[name]) for name in ("PATH", "PYTHONPATH", "TMPDIR", "DASKMPI_TEST_ID") if name in environ]
