"""One workflow, run by Snakemake's local executor and by this plugin in two fresh folders, and what differs.

Runs on: the machine of the tests.
Called by: campaign, test_differential; by hand ``python tests/differential/compare.py FOLDER`` runs what a campaign
has kept once more, after you have made it smaller.
"""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import hashlib
import json
import pickle
import re
import shlex
import shutil
import signal
import socketserver
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parent.parent)]

from generator import FOLDERS, Plan
from harness import REFERENCE, Workflow, describe, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runs import Run

#: What may differ, and why. Nothing else may.
DIFFERENCES = {
    "late/*": "programs in a session of their own end with the world, and may not have come to write a file",
    "processes": "the local executor leaves programs that are still running; here they end with the world",
    "parses of shadow jobs": "the local executor parses the Snakefile for a shadow job's command; here no one does: "
    "less is left in TMPDIR, and the command is formatted with rank 1's state",
    "sys.exit() in run": "the local executor waits for ever for such a body; here its exit code is that of the job",
    "os.chdir() in run": "the local executor then looks for the outputs elsewhere, and the job fails; here it does not",
    "retries of run": "the local executor's process for such a body, or for a shadow job, tries it again, too: it runs "
    "more often, and a second try finds the state that the first one has left",
    "daemons of multiprocessing": "the local executor's process cannot end them, and waits; here they are ended",
    "finalizers": "the local executor's process does not call each; here each is called",
    "functions": "how often functions of params and resources are called",
    "asyncio.run() in run": "an error under the local executor, whose bodies run in an event loop",
    "output of bodies": "the local executor's goes to the terminal; here to the terminal or to the job's own log",
}

#: What Snakemake keeps for itself, what the harness makes, and what is compared in other ways.
_APART = (".snakemake", ".runs", "__pycache__", "late", "relations", "segments", "unordered")
#: A finalizer that was called here, and not by the local executor.
_FINALIZED_HERE = re.compile(r"^side/\w+-del: None, here ")
#: Of a name, what tempfile and Snakemake draw.
_RANDOM = re.compile(
    r"(?<=[-_.])[a-zA-Z0-9_]{8}(?=$|\.)|(?<=^tmp)[a-z0-9_]{8}|(?<=snakemake)[a-z0-9_]{8}|(?<=/tmp)[a-z0-9_]{8}"
)
#: Seconds that the programs of a run have to end.
_PATIENCE_S = 20
#: A daemon that never ends by itself.
_STAYS = "3141.5"


class _Answers(socketserver.BaseRequestHandler):
    """Tells of each message which one of its connection it is."""

    def handle(self) -> None:
        """Answer until the connection ends."""
        n = 0
        with contextlib.suppress(OSError):
            while self.request.recv(100):
                n += 1
                self.request.sendall(str(n).encode())


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False


@contextlib.contextmanager
def _server() -> Iterator[int]:
    """Run a server and yield its port."""
    with _Server(("127.0.0.1", 0), _Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


@dataclass(slots=True)
class Side:
    """One of the two runs."""

    plan: Plan
    folder: Path
    launcher: str
    workflow: Workflow = field(init=False)
    run: Run = field(init=False)
    code: int = 0
    #: Commands of programs that outlived the run, or its daemons.
    outlived: list[str] = field(default_factory=list)

    def carry_out(self) -> Side:
        """Write the workflow, run it, and wait for all that it has started."""
        # Of a campaign in the background, SIGINT is ignored, and what is ignored is inherited.
        assert signal.getsignal(signal.SIGINT) is not signal.SIG_IGN, "SIGINT is ignored"
        shutil.rmtree(self.folder, ignore_errors=True)
        for name in FOLDERS:
            (self.folder / name).mkdir(parents=True)
        self.workflow = Workflow(self.folder)
        for name, text in self.plan.files.items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_text(text)
        with _server() as port:
            env = {
                "DIFFERENTIAL_ROOT": str(self.folder),
                "DIFFERENTIAL_PORT": str(port),
                "DIFFERENTIAL_POP": "from outside",
            }
            mine = (
                ["--cores", "2"] if self.launcher == REFERENCE else ["--daskmpi-cores", "2", "--daskmpi-linger", "20"]
            )
            self.run = self.workflow.start(*self.plan.arguments, *mine, launcher=self.launcher, env=env)
            try:
                self.code = self.run.wait()
                wait_until(
                    lambda: not self._programs(),
                    on_timeout=lambda: "",
                    timeout_s=_PATIENCE_S if self.launcher == REFERENCE else 5,
                )
            except AssertionError as error:
                self.code = self.code if self.run.has_ended else -1
                self.outlived = [f"after {error}"[:100], describe(self._programs())]
            self.workflow.kill_all()
        return self

    def _programs(self) -> list[Any]:
        """Return the processes that live; of the reference's, daemons that stay may."""
        found = self.workflow.processes()
        if self.launcher != REFERENCE:
            return found
        return [process for process in found if _STAYS not in _command(process)]

    # -- what has come of it -------------------------------------------------------------------

    def failed_rules(self) -> list[str]:
        """Return the rules that Snakemake says have failed, but for those that did at first only."""
        pattern = r"(?:Error|MissingOutputException) in (?:rule|group|checkpoint) ([^\s,:(]+)"
        return sorted(set(re.findall(pattern, self.run.text)) - {*self.plan.stumbling})

    def files(self) -> dict[str, str]:
        """Return modes and contents of all files."""
        found = {}
        for path in sorted(self.folder.rglob("*")):
            name = str(path.relative_to(self.folder))
            if any(part in _APART for part in Path(name).parts):
                continue
            mode = f"{path.lstat().st_mode:o}"
            found[name] = f"{mode} {self._content(path)}" if path.is_file() else mode
        return found

    def _content(self, path: Path) -> str:
        if path.suffix == ".nc":
            import netCDF4

            with netCDF4.Dataset(path) as data:
                return str(data["v"][:].tolist())
        if path.parent.name == "bench":
            return path.read_text().partition("\n")[0]
        content = path.read_bytes()
        if path.suffix in (".db", ".gz"):
            return f"{len(content)} bytes"
        return self._plain(content.decode(errors="replace"))

    def _plain(self, text: str) -> str:
        """Return a text without the two folders of this run."""
        return text.replace(str(self.folder), "ROOT").replace(str(self.workflow.tmpdir), "TMPDIR")

    def unordered(self) -> dict[str, list[str]]:
        """Return the lines of files that jobs write together."""
        return {p.name: sorted(p.read_text().splitlines()) for p in (self.folder / "unordered").iterdir()}

    def relations(self) -> dict[str, list[list[str]]]:
        """Return of each value that differs from run to run which jobs had the same one."""
        found = {}
        for folder in sorted((self.folder / "relations").iterdir()):
            by_value: dict[str, list[str]] = {}
            for path in sorted(folder.iterdir()):
                by_value.setdefault(path.read_text(), []).append(path.name)
            found[folder.name] = sorted(by_value.values())
        return found

    def late(self) -> set[str]:
        """Return the files that daemons have written."""
        return {path.name for path in (self.folder / "late").iterdir()}

    def segments(self) -> list[str]:
        """Remove what jobs have left in shared memory, and return whose it was."""
        left = []
        for path in (self.folder / "segments").iterdir():
            pattern = path.read_text()
            for folder in (Path("/dev/shm"), self.workflow.tmpdir):  # noqa: S108 - where segments are
                for entry in [entry for entry in folder.iterdir() if fnmatch.fnmatch(entry.name, pattern)]:
                    left.append(path.name)
                    shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        return sorted(left)

    def left_in_tmpdir(self) -> Counter[str]:
        """Return names in TMPDIR, without what is drawn."""
        return Counter(_RANDOM.sub("*", path.name) for path in self.workflow.tmpdir.iterdir())

    def left_by_snakemake(self) -> list[str]:
        """Return what Snakemake has left of its own, but logs and records."""
        found = []
        for top in self.folder.rglob(".snakemake"):
            for path in top.rglob("*"):
                name = str(path.relative_to(top))
                if not name.startswith(("log", "metadata", "iocache", "daskmpi", "incomplete")) and path.is_file():
                    found.append(_RANDOM.sub("*", name))
        return sorted(found)

    def records(self) -> dict[str, Any]:
        """Return Snakemake's metadata of the outputs, and those that are incomplete."""
        keeper = self.workflow
        if (self.folder / "work/.snakemake").is_dir():
            keeper = Workflow(self.folder / "work", tmpdir=self.workflow.tmpdir)
        records = json.loads(self._plain(json.dumps(keeper.metadata())))
        for name in self.plan.unstable:
            records.get(name, {}).pop("params", None)
            records.get(name, {}).pop("shellcmd", None)
        for record in records.values():
            text = json.dumps(record, sort_keys=True)
            record.clear()
            record["text"] = re.sub(r"0x[0-9a-f]+", "0x", text)
        return {**records, "incomplete": sorted(keeper.incomplete())}

    def outcome(self) -> dict[str, Any]:
        """Return all that is compared."""
        return {
            "exit code": self.code,
            "failed rules": self.failed_rules(),
            "files": self.files(),
            "unordered": self.unordered(),
            "relations": self.relations(),
            "left in shared memory": self.segments(),
            "left by Snakemake": self.left_by_snakemake(),
            "records": self.records(),
            "said": self.said(),
            "late": sorted(self.late()),
            "left in TMPDIR": dict(self.left_in_tmpdir()),
            "outlived": self.outlived,
        }

    def said(self) -> list[str]:
        """Return the lines that bodies have printed."""
        logs = [path.read_text(errors="replace") for path in self.folder.rglob(".snakemake/daskmpi/*/jobs/**/*.log")]
        # Not at the start of a line where Snakemake's threads write one at the same time; a command that is shown has a
        # space before it.
        return sorted(set(re.findall(r"(?<![ \"])said: .*", "\n".join([self.run.text, *logs]))))


def _command(process: Any) -> str:
    """Return what a process runs, an empty text if it has ended."""
    import psutil

    with contextlib.suppress(psutil.Error):
        return shlex.join(process.cmdline())
    return ""


def differences(plan: Plan, theirs: dict[str, Any], ours: dict[str, Any]) -> list[str]:
    """Return what differs between the outcomes of two runs, but what may."""
    found = []
    # What a prefix or a suffix makes of a command's end is not foreseen.
    is_foreseen = not any(element.endswith("shell_prefix") or " shell_prefix " in element for element in plan.elements)
    as_foreseen = theirs["failed rules"] == sorted(plan.failing) and theirs["exit code"] == bool(plan.failing)
    if is_foreseen and not as_foreseen:
        found.append(f"the generator foresees that {plan.failing} fail: {theirs['exit code']} {theirs['failed rules']}")
    for what, one in theirs.items():
        if what not in ("late", "left in TMPDIR", "outlived") and one != ours[what]:
            found += [f"{what}: {line}" for line in _told(one, ours[what]) if not _FINALIZED_HERE.search(line)]
    if more := set(ours["late"]) - set(theirs["late"]):
        found.append(f"late: only here {more}")
    one, other = Counter(theirs["left in TMPDIR"]), Counter(ours["left in TMPDIR"])
    found += [
        f"left in TMPDIR: {one[name]} of {name}, here {other[name]}"
        for name in sorted({**one, **other})
        # A second try of a body parses the Snakefile anew here, and not there.
        if not -len(plan.stumbling) <= one[name] - other[name] <= plan.n_parses_for_shadows
    ]
    if ours["outlived"]:
        found.append(f"outlived: {ours['outlived']}, with the local executor {theirs['outlived']}")
    return found


def _told(one: Any, other: Any) -> list[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        names = [name for name in sorted({**one, **other}) if one.get(name) != other.get(name)]
        return [f"{name}: {one.get(name)!r}, here {other.get(name)!r}" for name in names]
    return [f"{one!r}, here {other!r}"]


def outcome_of(side: Side) -> dict[str, Any]:
    """Carry out one run, return what has come of it, and clean up but for the files."""
    try:
        return side.carry_out().outcome()
    finally:
        side.workflow.close()


def compare(plan: Plan, folder: Path, launcher: str, references: Path | None = None) -> tuple[list[str], int]:
    """Run a workflow with both executors at once, and return what differs and the exit code of the local executor.

    Parameters
    ----------
    launcher
        ``local`` or the name of an MPI; ``REFERENCE`` compares the local executor with itself.
    references
        A folder in which outcomes of the local executor are kept, so that each workflow is run once by it.
    """
    # What this module makes of a run is kept, too.
    kept_for = repr((sorted(plan.files.items()), plan.arguments, Path(__file__).read_text()))
    key = hashlib.sha256(kept_for.encode()).hexdigest()[:20]
    known = references / f"{plan.seed}-{key}.pickle" if references else None
    with ThreadPoolExecutor(2) as pool:
        ours = pool.submit(outcome_of, Side(plan, folder / "ours", launcher))
        if known and known.exists():
            theirs = pickle.loads(known.read_bytes())
        else:
            theirs = pool.submit(outcome_of, Side(plan, folder / "theirs", REFERENCE)).result()
            if known:
                known.parent.mkdir(parents=True, exist_ok=True)
                known.write_bytes(pickle.dumps(theirs))
        return differences(plan, theirs, ours.result()), theirs["exit code"]


def keep(plan: Plan, folder: Path) -> Path:
    """Write a workflow so that it can be run again by hand, and return where."""
    path = folder / "workflow"
    for name, text in plan.files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    about = {
        name: getattr(plan, name)
        for name in ("seed", "arguments", "unstable", "n_parses_for_shadows", "elements", "failing", "stumbling")
    }
    (path / "plan.json").write_text(json.dumps(about, indent=1))
    return path


def kept(path: Path) -> Plan:
    """Read a workflow that was kept."""
    files = {str(p.relative_to(path)): p.read_text() for p in path.rglob("*") if p.is_file() and p.name != "plan.json"}
    return Plan(files=files, **json.loads((path / "plan.json").read_text()))


def hear_interrupts() -> None:
    """Undo that a shell starts programs in the background with SIGINT ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def main() -> int:
    """Run a workflow that was kept once more, and return the exit code of the program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    hear_interrupts()
    parser.add_argument("folder", type=Path, help="of the workflow, with its plan.json")
    parser.add_argument("--launcher", default="local", help="local, the name of an MPI, or reference")
    options = parser.parse_args()
    launcher = REFERENCE if options.launcher == "reference" else options.launcher
    found, _ = compare(kept(options.folder.resolve()), options.folder.resolve().parent, launcher)
    print("\n".join(found) or "no difference")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
