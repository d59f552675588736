"""A report for programs: JSON with all figures, CSV with a line for each attempt of a job.

Runs on: wherever somebody asks for a report. Pure.

The JSON document::

    {"format": "snakemake-daskmpi-report", "version": 1, "runs": [RUN, ...]}

RUN has the fields of :class:`figures.RunFigures`, and those below it the fields of their classes. Times are seconds
since the epoch, what ends in ``_s`` seconds, in ``_mb`` MB of 10⁶ bytes, in ``_core_h`` core-hours, in ``_j`` joules;
what is not known is null. Jobs of a group count as jobs of their rules; in the CSV, a group is what was submitted: one
line for each of its attempts. Fields may be added; what exists keeps its meaning as long as ``version`` stays.

``slurm`` is what Slurm had counted of the jobs that the run was in, when the report was made: the fields of
:class:`allocation.AllocationFigures`, ``counted`` below it those of ``Counted`` in ``slurm/counted.py``. It is null for
a run outside of Slurm; where Slurm tells nothing of a job, it has no ``components`` of it and ``why_not_all`` a reason.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.report.wording import clean, local

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from snakemake_executor_plugin_daskmpi.record.run_view import JobView
    from snakemake_executor_plugin_daskmpi.report.figures import RunFigures
    from snakemake_executor_plugin_daskmpi.report.history import RunHistory

#: Of the JSON document.
VERSION = 1

COLUMNS = (
    *("run_id", "job", "jobid", "name", "rule", "attempt", "state", "outcome", "worker", "cores", "gpus"),
    *("cores_asked", "mem_mb_asked", "gpus_asked", "runtime_min_asked", "priority"),
    *("submitted_at", "started_at", "ended_at", "waited_s", "ran_s", "cpu_s", "peak_rss_mb", "peak_pss_mb"),
    *("exit_code", "signal", "reason", "log", "outputs"),
    *("cores_granted", "mem_mb_granted", "gpus_granted"),
)
#: At the start of a cell, a spreadsheet takes it for a formula.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def render_json(runs: Iterable[RunFigures]) -> str:
    """Return the JSON document; all of it is ASCII."""
    document = {
        "format": "snakemake-daskmpi-report",
        "version": VERSION,
        "runs": [dataclasses.asdict(figures) for figures in runs],
    }
    return json.dumps(document, indent=1) + "\n"


def render_csv(histories: Iterable[RunHistory]) -> str:
    """Return the lines of all attempts, under a line with :data:`COLUMNS`."""
    lines = [_line(COLUMNS)]
    for history in histories:
        run_id = str(history.about.get("run_id", history.folder.name))
        lines += (_line(_cells(history, run_id, job).values()) for job in history.jobs.values())
    return "".join(f"{line}\n" for line in lines)


def harmless(cell: object) -> object:
    """Return a cell that no spreadsheet takes for a formula, with what else nobody would see; numbers are left alone.

    >>> harmless("=1+1"), harmless("a=1"), harmless(-1), harmless(None)
    ("'=1+1", 'a=1', -1, '')
    """
    if cell is None:
        return ""
    if not isinstance(cell, str):
        return cell
    # First as it came: cleaning spells out a tab, too.
    return ("'" if cell.startswith(_FORMULA_STARTS) else "") + clean(cell)


def files(names: Sequence[str]) -> str:
    """Return a cell with the names of files as they are, except that what is no UTF-8 is spelled out.

    They stand apart by a space; one that has a space itself is quoted as CSV quotes.

    >>> files(["a", "b c", "d"]), files(["=1"])
    ('a "b c" d', "'=1")
    """
    cell = _line(names, " ").encode("utf-8", "backslashreplace").decode()
    return ("'" if cell.startswith(_FORMULA_STARTS) else "") + cell


def _line(cells: Iterable[object], delimiter: str = ",") -> str:
    text = io.StringIO()
    # What is in this end of a line is quoted in a cell; with another one, Python 3.11 leaves a "\r" as it is.
    csv.writer(text, delimiter=delimiter, lineterminator="\r\n").writerow(cells)
    return text.getvalue().removesuffix("\r\n")


def _cells(history: RunHistory, run_id: str, job: JobView) -> dict[str, object]:
    waited = history.waiting_of(job)
    ran = history.running_of(job)
    ended = job.ended
    values = (
        *(run_id, job.key, job.jobid, job.name, job.rule, job.attempt, job.state.value, job.outcome, job.worker),
        *(" ".join(map(str, job.cores)), " ".join(job.gpus)),
        *(
            job.asked.get("cores", 1),
            *(job.asked.get(name) for name in ("mem_mb", "gpus", "runtime_min")),
            job.priority,
        ),
        *(_iso(job.submitted_at), _iso(job.started_at), _iso(job.ended_at)),
        *(round(waited[1] - waited[0], 3), None if ran is None else round(ran[1] - ran[0], 3)),
        *(ended.get(name) for name in ("cpu_s", "peak_rss_mb", "peak_pss_mb", "exit_code", "signal", "reason")),
        history.log_of(job),
    )
    granted = (job.n_cores, job.asks.get("mem_mb"), job.asks.get("gpus"))
    return dict(zip(COLUMNS, (*map(harmless, values), files(job.outputs), *map(harmless, granted)), strict=True))


def _iso(at: float | None) -> str | None:
    return None if at is None else local(at).isoformat(timespec="milliseconds")
