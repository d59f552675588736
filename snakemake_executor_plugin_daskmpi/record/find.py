"""The runs of a workflow's folder.

Runs on: wherever somebody looks at a run.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from snakemake_executor_plugin_daskmpi.errors import NoRunError, SettingsError, did_you_mean, nearest
from snakemake_executor_plugin_daskmpi.record.events import FILE_NAME
from snakemake_executor_plugin_daskmpi.record.plain import plain

#: Runs that an error names.
_NAMED = 5


def runs_of(directory: Path) -> list[Path]:
    """Return the folders of the runs that have a record, newest first; NoRunError if only their owner may look."""
    try:
        return _runs_in(directory / ".snakemake" / "daskmpi")
    except PermissionError as error:
        raise NoRunError(
            f"The runs in {plain(directory)} are somebody else's.",
            seen=f"{error}.",
            next_step="ask their owner, who alone can read them.",
        ) from error


def _runs_in(home: Path) -> list[Path]:
    # Not glob, which says nothing of folders that may not be read (Python 3.13).
    try:
        with os.scandir(home) as entries:
            found = [Path(entry.path) for entry in entries]
    except (FileNotFoundError, NotADirectoryError):
        return []
    # Their names begin with the time of their start.
    return sorted((run for run in found if (run / FILE_NAME).exists()), key=lambda run: run.name, reverse=True)


def chain_of(folder: Path) -> list[Path]:
    """Return the folders of the runs of the chain that a run is in, in their order.

    A chain is what Slurm jobs went on with by themselves, requeued or submitted by each other; most have one run.
    """
    first = _first_run_of(folder)
    # Those that are older than the first one need no look.
    others = [run for run in _runs_in(folder.parent) if run.name >= first and run.name != folder.name] if first else []
    return sorted([folder, *(run for run in others if _first_run_of(run) == first)], key=lambda run: run.name)


def _first_run_of(folder: Path) -> str:
    """Return the id of the run that began the chain of a run; "" if that run does not say."""
    try:
        with (folder / FILE_NAME).open("rb") as file:
            return str(json.loads(file.readline()).get("first_run", ""))
    except (OSError, ValueError, AttributeError, RecursionError):
        return ""


def run_of(directory: Path, part: str = "") -> Path:
    """Return the folder of a run: the newest, the one whose id has a certain part, or one that is named by its path.

    Raises
    ------
    NoRunError
        If there is none here, or only its owner may look.
    SettingsError
        If none has that part, or several have.
    """
    if part and (Path(part) / FILE_NAME).is_file():
        return Path(part)
    runs = runs_of(directory)
    if not runs:
        raise NoRunError(
            f"There is no run to look at in {plain(directory)}.",
            seen=f"no {plain(directory / '.snakemake' / 'daskmpi')}/*/{FILE_NAME} is there; a run of this executor "
            "writes one as soon as it has its workers.",
            next_step="snakemake --executor daskmpi … here, or --directory with the folder in which Snakemake runs.",
        )
    named = [run for run in runs if part in run.name]
    exact = [run for run in named if run.name == part]
    if len(named) == 1 or exact or not part:
        return (exact or named)[0]
    names = [plain(run.name) for run in named or runs]
    shown = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
    if named:
        raise SettingsError(
            f"{len(named)} runs have {plain(part)!r} in their ids.", seen=f"{shown}.", next_step="give more of the id."
        )
    raise SettingsError(
        f"no run has {plain(part)!r} in its id.{did_you_mean(nearest(part, names))}",
        seen=f"the runs here, newest first: {shown}.",
        next_step="a part of one of these ids, or none for the newest.",
    )
