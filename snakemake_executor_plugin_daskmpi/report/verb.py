"""The verb ``report``: what a run, or a chain of them, has done, as a page, as JSON, as CSV.

Runs on: a login node, a laptop, wherever the folder of the workflow is to be seen.
Called by: ``cli``.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from snakemake_executor_plugin_daskmpi.errors import SettingsError
from snakemake_executor_plugin_daskmpi.rank import whole_file
from snakemake_executor_plugin_daskmpi.record.find import chain_of, run_of
from snakemake_executor_plugin_daskmpi.record.plain import plain
from snakemake_executor_plugin_daskmpi.report import table
from snakemake_executor_plugin_daskmpi.report.allocation import allocations_of
from snakemake_executor_plugin_daskmpi.report.figures import figures_of, history_of

#: In the folder of the workflow.
PAGE = "daskmpi-report.html"
#: A file's name that stands for the standard output.
_STDOUT = "-"


def main(workdir: Path, names: list[str], output: str | None, json_file: str | None, csv_file: str | None) -> int:
    """Write what was asked for, and return the exit code.

    Parameters
    ----------
    workdir
        The workflow's folder.
    names
        Of the runs; none for the newest one, and those that it goes on with.
    output
        Path of the page; None for the default, or for no page if there is another file to write.
    json_file, csv_file
        Paths, "-" for the standard output; None if not asked for.

    Raises
    ------
    SettingsError
        If there is no such run, it cannot be read or written, or Bokeh is missing.
    """
    if [output, json_file, csv_file].count(_STDOUT) > 1:
        raise SettingsError(
            "The standard output takes one document, not several.",
            next_step="snakemake-daskmpi report --json - --csv FILE, with - for one of them.",
        )
    wants_page = output is not None or (json_file is None and csv_file is None)
    if wants_page:
        _require_bokeh()
    folders = [run_of(workdir, name) for name in names] or chain_of(run_of(workdir))
    try:
        histories = [history_of(folder) for folder in folders]
    except OSError as error:
        raise SettingsError(
            "The record of a run cannot be read.",
            seen=str(error),
            next_step="ask the owner of the run for a report: its files are readable by its user alone.",
        ) from error
    wants_figures = wants_page or json_file is not None
    allocations = allocations_of(histories) if wants_figures else [None] * len(histories)
    figures = [figures_of(*run) for run in zip(histories, allocations, strict=True)]
    if not names and len(folders) > 1:
        print(_chain_text(folders), file=sys.stderr)
    if json_file is not None:
        _write(json_file, table.render_json(figures))
    if csv_file is not None:
        _write(csv_file, table.render_csv(histories))
    if wants_page:
        from snakemake_executor_plugin_daskmpi.report import page

        _write(str(workdir / PAGE) if output is None else output, page.render_page(histories, figures))
    return 0


def _chain_text(folders: list[Path]) -> str:
    """Return how many runs are told, and how one has one of them alone."""
    first, last = plain(folders[0].name), plain(folders[-1].name)
    return (
        f"{len(folders)} runs, from {first} on, as Slurm jobs went on by themselves; the newest one alone: "
        f"snakemake-daskmpi report {last}"
    )


def _require_bokeh() -> None:
    if importlib.util.find_spec("bokeh") is None:
        raise SettingsError(
            "The page of a report needs Bokeh, which draws it.",
            seen=f"no package bokeh in the environment of {sys.executable}.",
            next_step="pip install 'snakemake-executor-plugin-daskmpi[report]', "
            "or snakemake-daskmpi report --json - without it.",
        )


def _write(name: str, text: str) -> None:
    """Write a file whole or not at all, and say so, but not amid what goes to the standard output.

    A device, a pipe or a link is no file to replace: root would put one in the place of /dev/null.
    """
    if name == _STDOUT:
        sys.stdout.write(text)
        return
    path = Path(name)
    try:
        if path.is_symlink() or (path.exists() and not path.is_file()):
            path.write_text(text, encoding="utf-8")
        else:
            whole_file.write(path, text)
    except OSError as error:
        raise SettingsError(
            f"{name} cannot be written.",
            seen=str(error),
            next_step="snakemake-daskmpi report --output FILE, with a FILE in a folder of yours that has space.",
        ) from error
    print(f"{name}: {len(text.encode()) / 1e6:.2f} MB", file=sys.stderr)
