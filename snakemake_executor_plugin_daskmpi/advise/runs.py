"""The runs of a workflow's folder whose record is there.

Runs on: the login node, or a laptop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.errors import LaunchError
from snakemake_executor_plugin_daskmpi.record.events import FILE_NAME
from snakemake_executor_plugin_daskmpi.record.find import chain_of, run_of, runs_of
from snakemake_executor_plugin_daskmpi.record.run_view import RunView, State

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


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
    for folder in runs_of(workdir)[:at_most]:
        if (view := view_of(folder)) is not None:
            yield view


def chosen(workdir: Path, names: Sequence[str]) -> list[RunView]:
    """Return the runs that somebody names by a part of their ids; for none, the newest chain in which jobs were done.

    Raises
    ------
    LaunchError
        If there is none with a job that is done.
    SettingsError
        If a name stands for no run or for several.
    """
    folders = runs_of(workdir)
    if not names:
        newest = next((view for folder in folders if (view := view_of(folder)) is not None), None)
        if newest is not None:
            others = (view_of(folder) for folder in chain_of(newest.folder) if folder != newest.folder)
            return sorted([newest, *filter(None, others)], key=lambda view: view.folder.name)
        raise LaunchError(
            "There is no run here to learn from.",
            seen=f"{len(folders)} records in {workdir / '.snakemake' / 'daskmpi'}, none with a job that is done.",
            next_step="snakemake-daskmpi advise --directory DIR, with the folder in which the workflow has run.",
        )
    return [_view(run_of(workdir, name)) for name in dict.fromkeys(names)]


def _view(folder: Path) -> RunView:
    if (view := view_of(folder)) is None:
        raise LaunchError(
            f"The run {folder.name} teaches nothing.",
            seen=f"no job in {folder / FILE_NAME} is done.",
            next_step="snakemake-daskmpi advise with another run.",
        )
    return view


def jobs_of(view: RunView) -> tuple[int, int]:
    """Return how many jobs of a run are done, and how many there are, with those that it never came to."""
    counts = view.counts()
    total = sum(counter.total() for counter in counts.values()) + sum(view.n_not_ready(counts).values())
    return sum(counter[State.DONE] for counter in counts.values()), total


def are_one_chain(views: Sequence[RunView]) -> bool:
    """Say whether several runs are those that Slurm jobs went on with by themselves."""
    return len(views) > 1 and len({view.first_run for view in views}) == 1


def is_half_done(view: RunView) -> bool:
    """Say whether enough of a run is done to tell how long all of it takes."""
    done, total = jobs_of(view)
    return 2 * done >= total
