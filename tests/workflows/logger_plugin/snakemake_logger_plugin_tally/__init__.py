"""A logger plugin for Snakemake that writes which jobs were announced, ended and failed.

Runs on: Snakemake's main process. If another process of the run loaded it too, there would be lines twice.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.settings import LogHandlerSettingsBase

if TYPE_CHECKING:
    from logging import LogRecord


@dataclass
class LogHandlerSettings(LogHandlerSettingsBase):
    """The plugin's settings."""

    file: Path | None = field(default=None, metadata={"help": "Where the tally is written.", "type": Path})


class LogHandler(LogHandlerBase):
    """Keeps the events of a run in mind, and writes them sorted after each."""

    def __post_init__(self) -> None:
        """Start with what another process has written, if one has."""
        self._rules: dict[int, str] = {}
        self._lines: list[str] = []
        if self._file.exists():
            self._lines = [*self._file.read_text().splitlines(), "started anew"]

    @property
    def _file(self) -> Path:
        return self.settings.file or Path("tally.txt")

    def emit(self, record: LogRecord) -> None:
        """Note one event."""
        event = getattr(record, "event", None)
        if event == LogEvent.JOB_INFO:
            self._rules[record.jobid] = record.rule_name
            self._note("announced", record.rule_name, ", ".join(map(str, record.output)), f"threads={record.threads}")
        elif event == LogEvent.JOB_FINISHED:
            self._note("ended", self._rules[record.job_id])
        elif event == LogEvent.JOB_ERROR:
            self._note("failed", record.rule_name)
        elif event == LogEvent.PROGRESS:
            self._note("progress", f"{record.done} of {record.total}")
        elif event == LogEvent.RUN_INFO:
            self._note("planned", str(sorted(record.stats.items())))

    def _note(self, *words: str) -> None:
        self._lines.append(" ".join(words))
        self._file.write_text("".join(f"{line}\n" for line in sorted(self._lines)))

    @property
    def writes_to_stream(self) -> bool:
        """The terminal stays Snakemake's."""
        return False

    @property
    def writes_to_file(self) -> bool:
        """Not as Snakemake means it: what is written is no log."""
        return False

    @property
    def has_filter(self) -> bool:
        """Take what Snakemake's own handlers take."""
        return False

    @property
    def has_formatter(self) -> bool:
        """Nothing is formatted."""
        return False

    @property
    def needs_rulegraph(self) -> bool:
        """The events of jobs are enough."""
        return False
