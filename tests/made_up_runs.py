"""Records of runs that tests make up: events as rank 1 writes them, in a run's folder."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from snakemake_executor_plugin_daskmpi.record.events import FILE_NAME, VERSION, Kind
from snakemake_executor_plugin_daskmpi.record.run_view import RunView

if TYPE_CHECKING:
    from pathlib import Path

#: When made-up runs begin, in seconds since the epoch.
BEGIN = 1_800_000_000.0


@dataclass(slots=True)
class MadeUpRun:
    """The record of a run that never was."""

    workdir: Path
    name: str = "2027-01-15T090000.000000-1"
    max_cores: int | None = None
    events: list[dict[str, Any]] = field(default_factory=list)

    def note(self, kind: Kind, at_s: float, **fields: Any) -> None:
        """Note an event, so many seconds after the run began."""
        self.events.append({"event": kind.value, "time": BEGIN + at_s, **fields})

    def workers(self, count: int, cores: int = 4, mem_mb: int = 8000, **more: Any) -> None:
        """Let workers join at the begin."""
        rest = {"host": "n1", "het_group": None, "disk_mb": 2**53, "gpus": [], "components": None, **more}
        for number in range(count):
            name = f"rank {2 + sum(event['event'] == 'worker' for event in self.events)}"
            self.note(Kind.WORKER, 0, worker=name, cores=list(range(cores)), mem_mb=mem_mb, **rest | {"number": number})

    def job(  # noqa: PLR0913 - each of them is what some test is about
        self,
        rule: str,
        start_s: float = 0.0,
        seconds: float = 10.0,
        *,
        jobid: int | None = None,
        attempt: int = 1,
        submitted_s: float | None = None,
        needs: tuple[int, ...] = (),
        outcome: str = "ok",
        asks: dict[str, Any] | None = None,
        members: dict[str, int] | None = None,
        n_behind: int = 0,
        **used: Any,
    ) -> int:
        """Let a job run, and return its id. ``used`` is what ``ended`` tells besides."""
        number = 1 + sum(event["event"] == "submitted" for event in self.events)
        jobid = number if jobid is None else jobid
        rest = {"members": members} if members else {}
        self.note(
            Kind.SUBMITTED,
            start_s if submitted_s is None else submitted_s,
            job=f"k{number}",
            name=f"rule {rule} (jobid {jobid})",
            rule=rule,
            jobid=jobid,
            attempt=attempt,
            outputs=[],
            needs=list(needs),
            asks=asks or {},
            n_behind=n_behind,
            **rest,
        )
        times = {"started_at": BEGIN + start_s, "ended_at": BEGIN + start_s + seconds}
        self.note(Kind.ENDED, start_s + seconds, job=f"k{number}", outcome=outcome, worker="rank 2", **times, **used)
        return jobid

    def view(self) -> RunView:
        """Write the record, and return it as it is read."""
        folder = self.workdir / ".snakemake" / "daskmpi" / self.name
        folder.mkdir(parents=True)
        first = {"event": Kind.RUN.value, "time": BEGIN, "version": VERSION, "max_cores": self.max_cores}
        last = {"event": Kind.END.value, "time": self.events[-1]["time"] if self.events else BEGIN}
        lines = [json.dumps(event) for event in (first, *self.events, last)]
        (folder / FILE_NAME).write_text("\n".join(lines) + "\n")
        view = RunView(folder)
        view.update()
        return view
