"""The runs of a workflow's folder whose record is there.

Runs on: the login node, or a laptop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.errors import LaunchError, did_you_mean, nearest
from snakemake_executor_plugin_daskmpi.record.events import FILE_NAME
from snakemake_executor_plugin_daskmpi.record.run_view import RunView, State

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


def folders_of(workdir: Path) -> list[Path]:
    """Return the folders of runs with a record, the newest first: their names begin with the time."""
    home = workdir / ".snakemake" / "daskmpi"
    return sorted((path.parent for path in home.glob(f"*/{FILE_NAME}")), key=lambda path: path.name, reverse=True)


def view_of(folder: Path) -> RunView | None:
    """Return a run as its record tells it; None if no job of it is done, or the record cannot be understood."""
    view = RunView(folder)
    try:
        view.update()
    except (OSError, KeyError, TypeError, ValueError, AttributeError):
        return None
    return view if view.about and any(job.state is State.DONE for job in view.jobs.values()) else None


def newest_first(workdir: Path, at_most: int) -> Iterator[RunView]:
    """Yield the runs of a folder in which jobs were done, and look at so many records for them."""
    for folder in folders_of(workdir)[:at_most]:
        if (view := view_of(folder)) is not None:
            yield view


def chosen(workdir: Path, names: Sequence[str]) -> list[RunView]:
    """Return the runs that somebody names, or begins to name; the newest one in which jobs were done for none.

    Raises
    ------
    LaunchError
        If there is none, or a name stands for no run or for several.
    """
    folders = folders_of(workdir)
    if not names:
        for folder in folders:
            if (view := view_of(folder)) is not None:
                return [view]
        raise LaunchError(
            "There is no run here to learn from.",
            seen=f"{len(folders)} records in {workdir / '.snakemake' / 'daskmpi'}, none with a job that is done.",
            next_step="snakemake-daskmpi advise --directory DIR, with the folder in which the workflow has run.",
        )
    return [_view(name, folders) for name in dict.fromkeys(name.rstrip("/") for name in names)]


def _view(name: str, folders: Sequence[Path]) -> RunView:
    wanted = name.rpartition("/")[2]
    found = [folder for folder in folders if folder.name == wanted] or [
        folder for folder in folders if wanted and folder.name.startswith(wanted)
    ]
    known = [folder.name for folder in folders]
    few = 5
    if len(found) != 1:
        near = nearest(wanted, known)
        raise LaunchError(
            f"{name!r} is the name of {'several runs' if found else 'no run'} here.{did_you_mean(near)}",
            seen=f"runs, the newest first: {', '.join(known[:few]) or 'none'}{', …' * (len(known) > few)}.",
            next_step=f"snakemake-daskmpi advise {near or next(iter(known), '')}".rstrip(),
        )
    view = view_of(found[0])
    if view is None:
        raise LaunchError(
            f"The run {found[0].name} teaches nothing.",
            seen=f"no job in {found[0] / FILE_NAME} is done.",
            next_step="snakemake-daskmpi advise with another run.",
        )
    return view
