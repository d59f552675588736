"""A real Chromium, which loads a page and tells what it saw.

Runs on: the machine of the tests.

It is spoken to through two pipes, in the protocol of its developer tools: no port, and no other program.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

from required import skip_or_fail

if TYPE_CHECKING:
    from pathlib import Path

_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_TIMEOUT_S = 60.0


class Browser:
    """Chromium with one page.

    Parameters
    ----------
    folder
        For its profile and its log.
    """

    def __init__(self, folder: Path) -> None:
        if _CHROMIUM is None:
            skip_or_fail("chromium", "no chromium here: apt-get install chromium")
        theirs, ours = os.pipe(), os.pipe()
        # Its ends are 3 and 4, which are taken here.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 20) for end in (theirs[0], ours[1])]
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--no-first-run"]
        command = [_CHROMIUM, *options, f"--user-data-dir={folder / 'profile'}", "about:blank"]
        with (folder / "chromium.log").open("wb") as log:
            self._process = subprocess.Popen(
                ["bash", "-c", f'exec "$@" 3<&{ends[0]} 4>&{ends[1]}', "bash", *command],
                pass_fds=ends,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        for end in (theirs[0], ours[1], *ends):
            os.close(end)
        self._write_end, self._read_end = theirs[1], ours[0]
        self._buffer, self._number, self._session = b"", 0, ""
        #: Errors of scripts, of the policy and of loading, and addresses that were asked for.
        self.errors: list[str] = []
        self.addresses: list[str] = []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def open(self, page: Path, width: int = 1280, height: int = 900, **media: str) -> None:
        """Load a page, and wait until its plots are drawn."""
        self.errors.clear()
        self.addresses.clear()
        shape = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.ask("Emulation.setDeviceMetricsOverride", **shape)
        features = [{"name": name.replace("_", "-"), "value": value} for name, value in media.items()]
        self.ask("Emulation.setEmulatedMedia", features=features)
        self.ask("Page.navigate", url=page.as_uri())
        give_up_at = time.monotonic() + _TIMEOUT_S
        while self.value("document.documentElement.dataset.drawn") != "yes":
            assert time.monotonic() < give_up_at, f"the plots were not drawn: {self.errors}"
            time.sleep(0.05)

    def value(self, expression: str) -> Any:
        """Return the value of an expression of JavaScript."""
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        return answer["result"].get("value")

    def screenshot(self, path: Path) -> None:
        """Write what all of the page looks like."""
        shot = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Return the answer to a request, and take note of what happened before."""
        self._number += 1
        request = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            request["sessionId"] = self._session
        os.write(self._write_end, json.dumps(request).encode() + b"\0")
        while True:
            message = self._next()
            if message.get("id") == self._number:
                assert "error" not in message, message
                return message["result"]
            self._take_note(message.get("method"), message.get("params", {}))

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            assert select.select([self._read_end], [], [], _TIMEOUT_S)[0], "Chromium says nothing"
            part = os.read(self._read_end, 1 << 20)
            assert part, "Chromium has ended"
            self._buffer += part
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    def _take_note(self, event: str | None, told: dict[str, Any]) -> None:
        if event == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(told["exceptionDetails"])[:1000])
        elif event == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning"):
            self.errors.append(json.dumps(told["args"])[:1000])
        elif event == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
            self.errors.append(f"{told['entry']['text']} {told['entry'].get('url', '')}"[:1000])
        elif event == "Network.requestWillBeSent":
            self.addresses.append(told["request"]["url"][:200])

    def close(self) -> None:
        """End it, with all of its processes."""
        os.close(self._write_end)
        os.close(self._read_end)
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
