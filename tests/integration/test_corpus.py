"""Whatever a workflow uses, it ends as under Snakemake's local executor: same files, metadata, exit code."""

from __future__ import annotations

import contextlib
import fnmatch
import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import corpus
from corpus import FOLDER, REFUSED, SECTIONS, Case, cases
from harness import Workflow
from required import skip_or_fail
from servers import SERVERS

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What Snakemake keeps for itself, and what only the harness makes.
NOT_OUTPUT = (".snakemake", ".runs", "__pycache__")
#: The column of ``--detailed-summary`` that tells when something ran.
DATE = re.compile(r"\t[A-Z][a-z]{2} [A-Z][a-z]{2} .{12,14}\d{4}\t")


class Side:
    """One of the two runs of a case: in a folder of its own, by Snakemake's executor or by ours."""

    def __init__(self, case: Case, workflow: Workflow, *, ours: bool, environ: dict[str, str]) -> None:
        self.case, self.workflow, self.ours = case, workflow, ours
        shutil.copytree(FOLDER / case.name, workflow.folder, dirs_exist_ok=True)
        self.environ = {name: self._filled(value) for name, value in {**environ, **case.environment}.items()}
        self.texts: list[str] = []
        self.codes = [self._run(arguments) for arguments in (case.arguments, *case.then)]

    def _filled(self, text: str) -> str:
        return text.replace("{case}", str(self.workflow.folder))

    def _run(self, arguments: list[str]) -> int:
        filled = [self._filled(argument) for argument in arguments if argument]
        if not self.ours:
            return self._by_snakemake(["--executor", "local", "--cores", "4", *filled])
        ours = ["--daskmpi-launcher", "local", "--daskmpi-cores", "4", *map(self._filled, self.case.daskmpi)]
        return self._by_snakemake(["--executor", "daskmpi", "--jobs", "unlimited", *filled, *ours, "--verbose"])

    def _by_snakemake(self, arguments: list[str]) -> int:
        run = self.workflow.start_snakemake(arguments, {**self.workflow.environ(), **self.environ})
        code = run.wait()
        self.texts.append(run.text)
        return code

    @property
    def text(self) -> str:
        """All that the runs have printed."""
        return "\n".join(self.texts)

    def files(self) -> dict[str, bytes | str | None]:
        """Return all files that are left with their modes, directories with None, links with their targets."""
        found: dict[str, bytes | str | None] = {}
        for path in sorted(self.workflow.folder.rglob("*")):
            name = str(path.relative_to(self.workflow.folder))
            if any(part in NOT_OUTPUT for part in Path(name).parts):
                continue
            if path.is_symlink():
                found[name] = f"-> {str(path.readlink()).replace(str(self.workflow.folder), '')}"
            elif not path.is_file():
                found[name] = None
            else:
                content = (
                    b"..."
                    if self._differs(name)
                    else path.read_bytes().replace(str(self.workflow.folder).encode(), b"CASE")
                )
                found[name] = f"{path.stat().st_mode:o} ".encode() + content
        return found

    def _differs(self, name: str) -> bool:
        return any(fnmatch.fnmatch(name, pattern) for pattern in self.case.differs)

    def records(self) -> str:
        """Return Snakemake's metadata, without addresses of objects, the folder, and that of Snakemake's cache."""
        records = self.workflow.metadata()
        for record in records.values():
            checksums = record.get("input_checksums", {})
            if isinstance(checksums, dict):  # in a database, a text
                record["input_checksums"] = {name: checksums[name] for name in checksums if not self._differs(name)}
        text = json.dumps(records, indent=1, sort_keys=True).replace(str(self.workflow.folder), "CASE")
        return re.sub(r"0x[0-9a-f]+|runtime-cache/\w+", "…", text)

    def summary(self) -> str:
        """Return what ``--detailed-summary`` says, without dates.

        Params that name an address, as those of closures do, may have changed or not, as chance has it.
        """
        arguments = [self._filled(argument) for argument in self.case.arguments]
        self._by_snakemake([*arguments, "--detailed-summary", "--cores", "4"])
        by_chance = tuple(
            f"{name}\t" for name, record in self.workflow.metadata().items() if "0x" in str(record.get("params"))
        )
        table = [DATE.sub("\tdate\t", line) for line in self.texts[-1].splitlines() if "\t" in line]
        # Without status and plan, the last two columns.
        table = [line.rsplit("\t", 2)[0] if line.startswith(by_chance) else line for line in table]
        return "\n".join(sorted(table)).replace(str(self.workflow.folder), "CASE")

    def report(self) -> str:
        """Return the data of ``--report``, without times and the folder."""
        self._by_snakemake(["--report", "report.html", "--cores", "4"])
        text = (self.workflow.folder / "report.html").read_text().replace(str(self.workflow.folder), "CASE")
        return re.sub(r'"runtime": [\d.e-]+|\b\d{10}\.\d+|\d{4}-\d\d-\d\d[ T][\d:.]+|0x[0-9a-f]+', "…", text)


@pytest.fixture
def addresses(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """The servers that a case needs, by the environment variables that hold their addresses."""
    case: Case = request.getfixturevalue("case")
    with contextlib.ExitStack() as running:
        folder = str(FOLDER / case.name / "served")
        yield {f"{s.upper()}_SERVER": running.enter_context(SERVERS[s].running(folder)) for s in case.services}


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=case.name, marks=[pytest.mark.nightly] if case.nightly else []) for case in cases()],
)
def test_a_workflow_ends_as_under_the_local_executor(
    workflow: Workflow, tmp_path: Path, case: Case, addresses: dict[str, str]
):
    if case.missing:
        skip_or_fail("corpus", f"{case.missing} is not installed; installing it lifts this")
    reference = Workflow(tmp_path / "reference")
    workflow.folder = tmp_path / "ours"
    try:
        theirs = Side(case, reference, ours=False, environ=addresses)
        assert theirs.codes[0] == case.exit_code, f"of the local executor:\n{theirs.text}"
        assert theirs.records() != "{}" or case.says, f"no job ended well, nor is it to say anything:\n{theirs.text}"
        ours = Side(case, workflow, ours=True, environ=addresses)
        shown = ours.text
        assert ours.codes == theirs.codes, shown
        assert ours.files() == theirs.files(), shown
        assert ours.records() == theirs.records(), shown
        assert workflow.incomplete() == reference.incomplete(), shown
        for text in case.says:
            assert text in theirs.text, "the local executor says it"
            assert text in shown
        assert ours.summary() == theirs.summary()
        if case.report:
            assert ours.report() == theirs.report()
        reasons = set(re.findall(r"is spawned: (.*)", shown))
        corpus.note(case, reasons)
        stated = corpus.lines(case, sorted(reasons))
        assert set(stated) <= set(corpus.in_docs().splitlines()), "python tests/corpus.py puts it into docs/warm.md"
    finally:
        reference.close()


@pytest.mark.parametrize("option", REFUSED)
def test_what_snakemake_refuses_keeps_its_message(workflow: Workflow, option: str):
    arguments, reason = REFUSED[option]
    workflow.write("Snakefile", "rule all:\n    output: 'a'\n    log: notebook='b.ipynb'\n    notebook: 'c.py.ipynb'\n")
    run = workflow.start(*arguments)
    run.ends_with(1)
    assert reason in run.text
    assert reason in corpus.in_docs()


def test_every_case_has_a_section():
    assert {case.section for case in cases()} == set(SECTIONS)
