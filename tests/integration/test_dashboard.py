"""Dask's dashboard, on request: whoever knows its address sees it, and nobody else on the machine gets anything."""

from __future__ import annotations

import base64
import contextlib
import http.client
import importlib.util
import json
import os
import pty
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from bokeh.client import pull_session

from mpis import MPIS
from records import Record
from required import at_night, skip_or_fail
from snakemake_executor_plugin_daskmpi.record import dashboard

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness import Run, Workflow

SNAKEFILE = """
    rule all:
        input: "out"

    rule held:
        output: "out"
        shell: "touch started; while [ ! -e go ]; do sleep 0.05; done; touch {output}"
"""

#: Below the secret word.
PATHS = (
    "status",
    "workers",
    "metrics",
    "health",
    "info/main/workers.html",
    "json/counts.json",
    "static/js/bokeh.min.js",
    "statics/css/base.css",
)
#: What a browser asks for to open a websocket.
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": base64.b64encode(b"0" * 16).decode(),
    "Sec-WebSocket-Protocol": "bokeh, x",
}

#: Asks a port for some paths, and prints what it was answered.
STRANGER = """
import http.client, json, sys
answers = []
for path in sys.argv[2:]:
    connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=30)
    connection.request("GET", path)
    answer = connection.getresponse()
    answers.append([answer.status, answer.read().decode()])
print(json.dumps(answers))
"""


def answer_of(port: int, path: str, method: str = "GET") -> tuple[int, str]:
    """Return status and text of what is answered."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request(method, path, headers=UPGRADE if path.endswith("/ws") else {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def address_of(workflow: Workflow) -> tuple[int, str]:
    """Return the port of a run's dashboard, and its secret word."""
    (path,) = workflow.folder.glob(".snakemake/daskmpi/*/dashboard")
    assert path.stat().st_mode & 0o777 == 0o600
    page, metrics, tunnel = path.read_text().splitlines()
    _, word, last = urlsplit(page).path.split("/")
    assert (last, metrics) == ("status", page.removesuffix("status") + "metrics")
    port = urlsplit(page).port
    assert tunnel.startswith(f"ssh -L {port}:127.0.0.1:{port} ")
    return port, word


def readable_by_all(folder: Path) -> Iterator[Path]:
    """Yield the files in a folder that other users can read."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            if path.stat().st_mode & 0o005 == 0o005:
                yield from readable_by_all(path)
        elif path.is_file() and path.stat().st_mode & 0o004:
            yield path


@contextlib.contextmanager
def running(workflow: Workflow, launcher: str, *args: str) -> Iterator[Run]:
    """Hold a run whose only job has started; see it end well."""
    workflow.write("Snakefile", SNAKEFILE)
    run = workflow.start("--daskmpi-dashboard", *args, launcher=launcher, ranks=3)
    workflow.wait_for("started", run=run)
    yield run
    workflow.write("go", "")
    run.ends_with(0)


@pytest.mark.parametrize("launcher", ["local", "mpich", *at_night(sorted(set(MPIS) - {"mpich"}))])
def test_the_dashboard_answers_those_who_know_its_address_and_nobody_else(workflow: Workflow, launcher: str):
    with running(workflow, launcher) as run:
        port, word = address_of(workflow)
        assert f"http://127.0.0.1:{port}/…" in run.text
        assert {path: answer_of(port, f"/{word}/{path}")[0] for path in PATHS} == dict.fromkeys(PATHS, 200)
        assert "rank 2" in answer_of(port, f"/{word}/info/main/workers.html")[1]
        # By a websocket, as a browser does.
        session = pull_session(url=f"http://127.0.0.1:{port}/{word}/workers")
        assert session.document.roots
        starts = ("", "x/", "/", f"x/../{word}/", f"{word[:-1]}/", f"{word}x/", f"x/{word}/", "%2F", "%C3%A9/")
        wrong = [f"/{start}{path}" for path in ("", "sitemap.json", "status/ws", *PATHS) for start in starts]
        assert {answer_of(port, path)[0] for path in wrong} == {404}
        methods = ("POST", "HEAD", "PUT", "DELETE", "OPTIONS")
        assert {answer_of(port, "/status", method)[0] for method in methods} == {404}
    # Who still looks at it holds no run up.
    session.close()


def test_metrics_are_there_for_prometheus(workflow: Workflow):
    if importlib.util.find_spec("prometheus_client") is None:
        skip_or_fail("prometheus", "no prometheus-client here; pip install 'prometheus-client' lifts this")
    with running(workflow, "local"):
        port, word = address_of(workflow)
        status, text = answer_of(port, f"/{word}/metrics")
        assert (status, "\ndask_scheduler_workers{" in text) == (200, True)


@pytest.mark.parametrize("launcher", ["local", *at_night(["mpich"])])
def test_another_user_of_the_machine_gets_nothing(workflow: Workflow, stranger: list[str], launcher: str):
    with running(workflow, launcher) as run:
        port, word = address_of(workflow)
        paths = ["/", "/sitemap.json", *(f"/{path}" for path in PATHS)]
        command = [*stranger, sys.executable, "-c", STRANGER, str(port), *paths]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        answers = json.loads(done.stdout)
        assert [status for status, _ in answers] == [404] * len(paths)
        assert word not in done.stdout
        # Nor is the word where strangers may read: in Snakemake's own log, and the output that a batch system keeps.
        assert word not in run.text
        assert [path for path in readable_by_all(workflow.folder) if word.encode() in path.read_bytes()] == []
        look = f"grep -slz [{word[0]}]{word[1:]} /proc/[0-9]*/cmdline /proc/[0-9]*/environ"
        assert subprocess.run(["sh", "-c", look], capture_output=True, check=False).stdout == b""


def test_a_terminal_shows_the_whole_address(workflow: Workflow):
    workflow.write("Snakefile", SNAKEFILE)
    workflow.write("go", "")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "snakemake", "--executor", "daskmpi", "-j1", "--daskmpi-dashboard"]
    with open(ours, "rb", buffering=0) as terminal, subprocess.Popen(
        command, cwd=workflow.folder, env=workflow.environ(), stdin=subprocess.DEVNULL, stderr=theirs
    ) as process:  # fmt: skip
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # what reading a terminal says at its end
            while came := terminal.read(4096):
                shown += came
        assert process.wait() == 0, shown.decode()
    port, word = address_of(workflow)
    assert f"daskmpi: http://127.0.0.1:{port}/{word}/status" in shown.decode()
    assert [path for path in readable_by_all(workflow.folder) if word.encode() in path.read_bytes()] == []


def status_of(folder: Path, environ: dict[str, str], *command: str) -> str:
    """Return what status says on a terminal."""
    ours, theirs = pty.openpty()
    words = [*command, sys.executable, "-m", "snakemake_executor_plugin_daskmpi", "status", "-d", str(folder)]
    environ = {**environ, "TERM": "xterm", "COLUMNS": "200"}
    with open(ours, "rb", buffering=0) as terminal, subprocess.Popen(words, env=environ, stdout=theirs, stderr=theirs):
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # what reading a terminal says at its end
            while came := terminal.read(4096):
                shown += came
    return shown.decode()


def test_status_shows_the_whole_address_on_its_users_terminal_while_the_run_goes_on(workflow: Workflow):
    with running(workflow, "local"):
        port, word = address_of(workflow)
        address = f"Dask's dashboard: http://127.0.0.1:{port}/{word}/status"
        assert address in status_of(workflow.folder, workflow.environ())
        command = [sys.executable, "-m", "snakemake_executor_plugin_daskmpi", "status"]
        piped = subprocess.run(command, cwd=workflow.folder, env=workflow.environ(), capture_output=True, check=True)
        assert b"goes on" in piped.stdout
        assert word.encode() not in piped.stdout
    shown = status_of(workflow.folder, workflow.environ())
    assert "has ended" in shown
    assert word not in shown


def test_somebody_else_who_may_look_at_a_run_is_shown_no_address(stranger: list[str]):
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        record = Record(Path(name), host="elsewhere")
        dashboard.write(record.folder, dashboard.Address(socket.gethostname(), 41213, "abc"))
        for path in (record.path, *record.path.parents):
            if path.is_relative_to(name):
                path.chmod(0o755)
        environ = {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}
        assert "41213/abc" in status_of(Path(name), environ)
        shown = status_of(Path(name), environ, *stranger)
        assert "goes on" in shown
        assert "abc" not in shown


def test_a_bokeh_that_cannot_be_imported_costs_the_dashboard_and_no_job(workflow: Workflow):
    workflow.write("Snakefile", SNAKEFILE)
    workflow.write("go", "")
    workflow.write("broken/bokeh/__init__.py", "raise ImportError('too old by far')\n")
    path = os.pathsep.join([str(workflow.folder / "broken"), *filter(None, [os.environ.get("PYTHONPATH")])])
    run = workflow.start("--daskmpi-dashboard", launcher="local", env={"PYTHONPATH": path})
    run.ends_with(0)
    assert run.text.count("the run goes on without a dashboard: Rank 0 cannot serve Dask's dashboard.") == 1, run.text
    assert "\n  Seen: ImportError: too old by far\n  Next: pip install --upgrade " in run.text
    (log,) = workflow.folder.glob(".snakemake/daskmpi/*/rank-0.log")
    assert "too old by far" in log.read_text()


#: Snakemake's command line in a Python in which no package of that name can be found.
WITHOUT_BOKEH = """
import sys
from importlib.machinery import PathFinder
class Without(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] == "bokeh" else super().find_spec(name, path, target)
sys.meta_path[:] = [Without if finder is PathFinder else finder for finder in sys.meta_path]
from snakemake.cli import main
main(sys.argv[1:])
"""


@pytest.mark.parametrize("launcher", ["local", "mpich", *at_night(["mpiexec"])])
def test_without_bokeh_nothing_starts_and_one_message_says_what_to_install(workflow: Workflow, launcher: str):
    workflow.write("Snakefile", SNAKEFILE)
    args = ["--executor", "daskmpi", "-j1", "--daskmpi-dashboard"]
    environ, start = workflow.environ(), []
    if launcher == "mpich":
        environ |= MPIS[launcher].environ
        start = [str(MPIS[launcher].mpiexec), "-n", "3"]
    else:
        args += ["--daskmpi-launcher", launcher]
    run = workflow.start_command([*start, sys.executable, "-P", "-c", WITHOUT_BOKEH, *args], environ)
    assert run.wait() != 0
    assert run.text.count("--daskmpi-dashboard needs Bokeh") == 1, run.text
    assert run.text.count("Next: pip install 'snakemake-executor-plugin-daskmpi[dashboard]'") == 1
    assert not workflow.has("started")
    assert not workflow.has(".snakemake/daskmpi")
