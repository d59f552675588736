"""Orders that come by hand: ``snakemake-daskmpi grow`` and ``shrink`` leave them in the run's folder, rank 1 answers.

Runs on: the login node, or wherever the user types; rank 1.

Files, as the record is: they work from wherever the workflow's folder is seen, and whoever may write there is the
user. What lets a job in is in none of them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.errors import NoRunError
from snakemake_executor_plugin_daskmpi.planning.further import Size
from snakemake_executor_plugin_daskmpi.rank import whole_file

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = "orders"
_ORDER, _ANSWER = ".order.json", ".answer.json"
#: Seconds between two looks for an answer, and until rank 1 has to have begun with an order.
_LOOK_S, _PATIENCE_S = 0.2, 180.0


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody wants of a run."""

    #: ``grow`` or ``shrink``.
    verb: str
    #: To shrink: Slurm's id of the job that is to end.
    job: str = ""
    #: To grow: how large.
    size: Size = field(default_factory=Size)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an order."""

    is_done: bool
    text: str


def give(run_dir: Path, order: Order, patience_s: float = _PATIENCE_S) -> Answer:
    """Leave an order for a run that goes on, and return its answer.

    Raises
    ------
    NoRunError
        If none comes.
    """
    folder = run_dir / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    name = f"{time.time_ns()}-{os.getpid()}"
    path, answer = folder / (name + _ORDER), folder / (name + _ANSWER)
    whole_file.write(path, json.dumps(dataclasses.asdict(order)))
    give_up = time.monotonic() + patience_s
    try:
        while time.monotonic() < give_up:
            with contextlib.suppress(FileNotFoundError):
                return Answer(**json.loads(answer.read_text()))
            time.sleep(_LOOK_S)
    finally:
        path.unlink(missing_ok=True)
        answer.unlink(missing_ok=True)
    raise NoRunError(
        f"The run {run_dir.name} does not answer.",
        seen=f"nothing came within {patience_s:.0f} s; its order was taken back.",
        next_step="snakemake-daskmpi status says whether the run goes on.",
    )


def come(run_dir: Path) -> list[tuple[Path, Order]]:
    """Take the orders that have come, and return them, the oldest first."""
    try:
        paths = sorted((run_dir / FOLDER).glob("*" + _ORDER))
    except OSError:  # no such folder, mostly
        return []
    taken = []
    for path in paths:
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            text = path.read_text()
            path.unlink()
            said = json.loads(text)
            taken.append((path, Order(said["verb"], said["job"], Size(**said["size"]))))
    return taken


def answer(path: Path, said: Answer) -> None:
    """Answer an order; whoever gave it may have gone."""
    with contextlib.suppress(OSError):
        answer_path = path.with_name(path.name.removesuffix(_ORDER) + _ANSWER)
        whole_file.write(answer_path, json.dumps(dataclasses.asdict(said)))
