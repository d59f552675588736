"""The corpus: small workflows, one for each thing that Snakemake offers, and how to run one.

Runs on: the machine of the tests.
Called by: integration.test_corpus. By hand, ``python tests/corpus.py`` writes what its last run found into the docs.

A case is a folder of ``tests/workflows``: a ``Snakefile``, what it needs beside it, and ``case.toml``::

    rows = ["`shadow: minimal`"]     # its lines in the table of docs/warm.md
    section = "directives"           # bodies, directives, groups, options, storage or patterns
    arguments = ["--retries", "1"]   # of both runs; {case} is the folder's path in quotes
    daskmpi = ["--daskmpi-workers", "2"]  # of ours alone
    environment = {TOKEN = "x"}
    exit_code = 0
    then = [["--forcerun", "a"]]     # further runs in the same folder, with other arguments; "" stands for none
    differs = ["seen/*"]             # files whose content and checksums are not compared
    needs = ["pandas"]               # modules or programs without which it cannot run
    services = ["http"]              # servers that it needs, whose addresses are in HTTP_SERVER and S3_SERVER
    says = ["text"]                  # what both runs print
    report = true                    # whether to compare what ``--report`` would show, too
    nightly = true                   # whether it is long, and what it shows is shown by others
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).parent / "workflows"

SECTIONS = ("bodies", "directives", "groups", "options", "storage", "patterns")

PAGE = Path(__file__).parent.parent / "docs" / "warm.md"
#: Between these two lines of the page stands the table.
BEGIN, END = "<!-- the table of tests/corpus.py -->\n", "<!-- end of the table -->\n"
#: Where test runs note what they have found, a file for each case.
FOUND = Path(__file__).parent / ".corpus"

#: Options that Snakemake refuses for every executor but its local one, how to give them, and what it says.
REFUSED = {
    "`--debug`": (["--debug"], "debug mode cannot be used with non-local execution"),
    "`--edit-notebook`": (["--edit-notebook", "a"], "notebook edit mode is only allowed with local execution."),
    "`--draft-notebook`": (["--draft-notebook", "a"], "notebook edit mode is only allowed with local execution."),
}


@dataclass(frozen=True, slots=True)
class Case:
    """One workflow of the corpus."""

    name: str
    rows: list[str]
    section: str
    arguments: list[str] = field(default_factory=list)
    daskmpi: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    exit_code: int = 0
    then: list[list[str]] = field(default_factory=list)
    differs: list[str] = field(default_factory=list)
    needs: list[str] = field(default_factory=list)
    services: list[str] = field(default_factory=list)
    says: list[str] = field(default_factory=list)
    report: bool = False
    nightly: bool = False

    @classmethod
    def of(cls, folder: Path) -> Case:
        """Read a case; TypeError for a key that there is not."""
        return cls(folder.name, **tomllib.loads((folder / "case.toml").read_text()))

    @property
    def missing(self) -> list[str]:
        """What it needs and this machine lacks."""
        return [name for name in self.needs if not (importlib.util.find_spec(name) or shutil.which(name))]


def cases() -> list[Case]:
    """Return all cases by name."""
    return [Case.of(file.parent) for file in sorted(FOLDER.glob("*/case.toml"))]


def note(case: Case, spawned: set[str]) -> None:
    """Note why jobs of a case were spawned, if they were."""
    FOUND.mkdir(exist_ok=True)
    (FOUND / f"{case.name}.json").write_text(json.dumps(sorted(spawned)))


def lines(case: Case, reasons: list[str]) -> list[str]:
    """Return what the table says of a case: a line for each of its rows."""
    how = f"spawned: {'; '.join(reasons)}" if reasons else "warm"
    return [f"| {row} | {how} |" for row in case.rows]


def table(found: dict[str, list[str]]) -> str:
    """Return the table of the docs, of why jobs of each case were spawned: a part to unfold for each section."""
    parts = []
    for section in SECTIONS:
        entries = [line for case in cases() if case.section == section for line in lines(case, found[case.name])]
        if section == "options":
            entries += [f"| {option} | refused by Snakemake: {reason} |" for option, (_, reason) in REFUSED.items()]
        counts = {how: sum(f"| {how}" in line for line in entries) for how in ("warm", "spawned", "refused")}
        counted = ", ".join(f"{count} {how}" for how, count in counts.items() if count)
        summary = f"<details><summary><b>{section}</b>: {counted}</summary>"
        parts += [summary, "", "| | how it goes |", "|---|---|", *sorted(entries), "", "</details>", ""]
    return "\n".join(parts)


def in_docs() -> str:
    """Return the table that the docs have."""
    return PAGE.read_text().partition(BEGIN)[2].partition(END)[0]


if __name__ == "__main__":
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    found = {case.name: json.loads((FOUND / f"{case.name}.json").read_text()) for case in cases()}
    PAGE.write_text(before + BEGIN + table(found) + END + after)
