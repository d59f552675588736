"""The doctor's report as text, for people, and as JSON, for programs.

Runs on: wherever the doctor was started. Pure.
"""

from __future__ import annotations

import dataclasses
import json
import textwrap
from collections import Counter
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.doctor.verdict import Check, Verdict, worst
from snakemake_executor_plugin_daskmpi.doctor.wording import counted

if TYPE_CHECKING:
    from snakemake_executor_plugin_daskmpi.doctor.facts import Facts

#: What stands before each line. Not every terminal of a cluster has more than ASCII.
_MARKS = {Verdict.OK: "ok", Verdict.WARN: "warn", Verdict.FAIL: "FAIL", Verdict.SKIPPED: "-"}
_COLOURS = {Verdict.OK: "32", Verdict.WARN: "33", Verdict.FAIL: "1;31", Verdict.SKIPPED: "2"}


def render_text(facts: Facts, checks: list[Check], *, width: int = 0, colour: bool = False) -> str:
    """Return one line per check, what to do below it, and a line that sums up.

    Parameters
    ----------
    width
        Columns to wrap at; 0 for none. What can be typed is never wrapped.
    colour
        Whether marks are coloured.
    """
    margin = max(map(len, _MARKS.values())) + 2
    column = margin + max(len(check.name) for check in checks) + 2
    lines = [headline(facts), ""]
    for check in checks:
        mark = f"{_MARKS[check.verdict]:<{margin}}"
        if colour:
            mark = f"\033[{_COLOURS[check.verdict]}m{mark}\033[0m"
        first, *others = _wrapped(check.seen, width - column)
        lines.append(f"{mark}{check.name:<{column - margin}}{first}".rstrip())
        lines += [" " * column + line for line in others]
        if check.remedy:
            first, *others = check.remedy.splitlines()
            lines.append(f"{' ' * column}Next: {first}")
            lines += [" " * (column + 2) + line for line in others]
    return "\n".join([*lines, "", summary(checks)])


def render_json(facts: Facts, checks: list[Check]) -> str:
    """Return one JSON document: the verdicts, and all facts that they were made from."""
    document = {
        "verdict": worst(checks),
        "checks": [dataclasses.asdict(check) for check in checks],
        "facts": dataclasses.asdict(facts),
    }
    return json.dumps(document, indent=2)


def headline(facts: Facts) -> str:
    """Return where the doctor looked."""
    if facts.allocation is not None:
        n = len(facts.allocation.n_tasks)
        where = f"in Slurm job {facts.allocation.job_id}: {counted(facts.allocation.n_ranks, 'task')}"
        where += f" in {n} components" if n > 1 else ""
    elif facts.slurm:
        where = "outside of any Slurm job"
    else:
        where = "without Slurm"
    return f"snakemake-daskmpi doctor on {facts.host}, {where}"


def summary(checks: list[Check]) -> str:
    """Return how many checks went how.

    >>> from snakemake_executor_plugin_daskmpi.doctor.verdict import ok, skipped
    >>> summary([ok("a", ""), skipped("b", "")])
    '1 ok, 1 skipped.'
    """
    names = {Verdict.OK: "ok", Verdict.WARN: "to look at", Verdict.FAIL: "failed", Verdict.SKIPPED: "skipped"}
    counts = Counter(check.verdict for check in checks)
    return ", ".join(f"{counts[verdict]} {name}" for verdict, name in names.items() if counts[verdict]) + "."


def _wrapped(text: str, width: int) -> list[str]:
    least = 30  # columns; narrower terminals wrap by themselves
    lines = text.splitlines() or [""]
    if width < least:
        return lines
    return [part for line in lines for part in textwrap.wrap(line, width, break_on_hyphens=False) or [""]]
