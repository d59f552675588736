"""The questions of Slurm's accounting, and their answers read.

Runs on: wherever somebody asks for a report. Pure.
Called by: accounting.

Written for Slurm 22.05 to 25. A hetjob has a line for each component, ``12+0``, ``12+1``, and each step of a component
one of its own, ``12+1.0``; ``sstat`` knows them by the components' own numbers, ``13.0``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.settings.durations import minutes_of
from snakemake_executor_plugin_daskmpi.slurm.counted import Counted, Life, Step, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

#: Between fields; none of them is a text that somebody has chosen.
_SEPARATOR = "|"
_FIELDS = (
    *("JobIDRaw", "JobID", "State", "ExitCode", "Submit", "Start", "End", "ElapsedRaw", "TimelimitRaw"),
    *("AllocCPUS", "AllocTRES", "TotalCPU", "MaxRSS", "ConsumedEnergyRaw", "NodeList"),
)
_STEP_FIELDS = ("JobID", "MaxRSS", "ConsumedEnergyRaw", "TRESUsageInTot", "Nodelist")
#: What ``squeue`` knows of the same, and its letters for that.
_QUEUE_FIELDS = ("JobIDRaw", "JobID", "State", "Submit", "Start", "Elapsed", "Timelimit", "AllocCPUS", "NodeList")
_QUEUE_FORMAT = _SEPARATOR.join(("%A", "%i", "%T", "%V", "%S", "%M", "%l", "%C", "%N"))
#: Of 1024, by the unit that Slurm appends.
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4, "P": 5}
#: Numbers from here on stand for none: they are the last ones of 64 bits.
_NO_NUMBER = 2**63
#: Characters of any number or duration.
_MOST_CHARACTERS = 24


def accounts_command(ids: Iterable[str], cluster: str) -> list[str]:
    """Return the question for some jobs of a cluster, with all components and steps, and each start of them."""
    where = [f"--clusters={cluster}"] if cluster else []
    shape = ["--noheader", "--parsable2", "--units=K", "--duplicates", f"--format={','.join(_FIELDS)}"]
    return ["sacct", f"--jobs={','.join(dict.fromkeys(ids))}", *where, *shape]


def steps_command(numbers: Iterable[str]) -> list[str]:
    """Return the question for the steps of jobs or components that run, by their ids without offset."""
    shape = ["--noheader", "--parsable2", "--noconvert", f"--format={','.join(_STEP_FIELDS)}"]
    return ["sstat", f"--jobs={','.join(numbers)}", "--allsteps", *shape]


def queue_command(job_id: str) -> list[str]:
    """Return the question for a running job where there is no accounting."""
    return ["squeue", "--noheader", "--states=RUNNING", f"--jobs={job_id}", f"--format={_QUEUE_FORMAT}"]


def parse_accounts(text: str) -> list[Life]:
    """Return all that ``sacct`` lists: each job or component, after which its steps come."""
    lives: dict[str, Life] = {}
    found = []
    for row in _rows(text, _FIELDS):
        number, is_step, _ = row["JobIDRaw"].partition(".")
        if not is_step:
            lives[number] = Life(_counted(row), number, {})
            found.append(lives[number])
        elif number in lives:
            # One that runs has 0 of everything, one whose node was lost has no exit code.
            is_known = row["ExitCode"] and _time(row["End"]) is not None
            energy_j = _energy(row["ConsumedEnergyRaw"])
            use = Usage(_seconds(row["TotalCPU"]) or 0.0, _megabytes(row["MaxRSS"]), energy_j)
            lives[number].steps[Step(row["JobIDRaw"], row["NodeList"])] = use if is_known else None
    return found


def parse_queue(text: str) -> list[Life]:
    """Return the jobs and components of ``squeue``'s answer, of whose steps it says nothing."""
    return [Life(_counted(row), row["JobIDRaw"], {}) for row in _rows(text, _QUEUE_FIELDS)]


def parse_steps(text: str) -> dict[Step, Usage]:
    r"""Return what steps have used so far; those are left out of which nobody takes note.

    >>> parse_steps("4.0|93822976|0|cpu=00:00:02,mem=93822976|n1\n4.1||||n1\n")
    {Step(id='4.0', nodes='n1'): Usage(cpu_s=2.0, max_rss_mb=93.822976, energy_j=None)}
    """
    usages = {}
    for row in _rows(text, _STEP_FIELDS):
        cpu_s = _seconds(_pairs(row["TRESUsageInTot"]).get("cpu", ""))
        if cpu_s is not None:
            use = Usage(cpu_s, _megabytes(row["MaxRSS"]), _energy(row["ConsumedEnergyRaw"]))
            usages[Step(row["JobID"], row["Nodelist"])] = use
    return usages


# -- words and numbers --------------------------------------------------------------------------------


def _rows(text: str, fields: Sequence[str]) -> Iterator[dict[str, str]]:
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split(_SEPARATOR)]
        if len(cells) == len(fields):
            yield dict(zip(fields, cells, strict=True))


def _counted(row: dict[str, str]) -> Counted:
    """Return what a row of ``sacct`` or ``squeue`` says of a job or component."""
    state, _, by = row["State"].partition(" by ")
    submitted_at, started_at, ended_at = (_time(row.get(name, "")) for name in ("Submit", "Start", "End"))
    code, _, signal = row.get("ExitCode", "").partition(":") if ended_at is not None else ("", "", "")
    offset = row["JobID"].partition("+")[2]
    tres = _pairs(row.get("AllocTRES", ""))
    gpus = [_number(number) or 0 for name, number in tres.items() if name.startswith("gres/gpu:")]
    minutes = _number(row.get("TimelimitRaw", ""))
    elapsed_s = _number(row.get("ElapsedRaw", ""))
    return Counted(
        job=row["JobID"],
        het_group=_number(offset),
        state=state,
        cancelled_by=_number(by),
        exit_code=_number(code),
        signal=_number(signal) or None,
        nodes=row["NodeList"],
        submitted_at=submitted_at,
        started_at=started_at,
        ended_at=ended_at,
        waited_s=None if submitted_at is None or started_at is None else max(0.0, started_at - submitted_at),
        elapsed_s=_seconds(row.get("Elapsed", "")) if elapsed_s is None else float(elapsed_s),
        timelimit_s=_seconds(row.get("Timelimit", "")) if minutes is None else 60.0 * minutes,
        n_cpus=_number(row["AllocCPUS"]),
        mem_mb=_megabytes(tres.get("mem", "")),
        # One entry for all, and one for each model, or only the latter.
        n_gpus=_number(tres.get("gres/gpu", "")) or sum(gpus) or None,
        energy_j=_energy(row.get("ConsumedEnergyRaw", "")),
    )


def _pairs(text: str) -> dict[str, str]:
    """Return the trackable resources of a list.

    >>> _pairs("cpu=2,gres/gpu:a100=1,mem=1048576K")
    {'cpu': '2', 'gres/gpu:a100': '1', 'mem': '1048576K'}
    """
    return dict(re.findall(r"([^=,]+)=([^,]*)", text))


def _number(text: str) -> int | None:
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_CHARACTERS else None
    return None if number is None or number >= _NO_NUMBER else number


def _time(text: str) -> float | None:
    """Return a time in seconds since the epoch; None for ``Unknown`` and its like."""
    number = _number(text)
    return None if number is None else float(number)


def _seconds(text: str) -> float | None:
    """Return a duration, ``[days-][hours:]minutes:seconds[.parts]``; None if there is none.

    >>> _seconds("00:07.608"), _seconds("1-02:00:01"), _seconds("UNLIMITED"), _seconds("")
    (7.608, 93601.0, None, None)
    """
    match = re.fullmatch(r"([\d:-]*:\d\d)(\.\d+)?", text[:_MOST_CHARACTERS])
    return round(60 * minutes_of(match[1]) + float(match[2] or 0), 6) if match else None


def _megabytes(text: str) -> float | None:
    """Return memory in MB of 10⁶ bytes, which is written in bytes, or with a unit of 1024 of the one before.

    >>> _megabytes("1048576K"), _megabytes("1.50G"), _megabytes("93822976"), _megabytes("")
    (1073.741824, 1610.612736, 93.822976, None)
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGTP]?)", text[:_MOST_CHARACTERS])
    return float(match[1]) * 1024 ** _POWERS[match[2]] / 1e6 if match else None


def _energy(text: str) -> float | None:
    """Return energy in J; None where nobody measures it, which is written as 0 or as no number."""
    return float(_number(text) or 0) or None
