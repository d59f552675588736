"""What logger plugins (``--logger``) are told of a job that failed.

Runs on: rank 1, in the link's thread.
Called by: client.reports, before it reports the failure to Snakemake.

Snakemake has one record for a failed job, with the event ``JOB_ERROR``. The executor's text is in its field
``rule_msg``, and only Snakemake's own formatter shows that. What plugins read instead (versions of 2026):

- ``rich`` shows the messages of all records but those of job errors, for which it has words of its own;
- ``snkmt`` keeps records with the event ``ERROR``, and no message: only ``exception``, ``traceback`` and the like;
- ``snakesee`` keeps the message of ``JOB_ERROR`` records;
- others show the message of each record.

So a line goes into the message of Snakemake's record, which its own formatter does not show, and the whole text is
logged in a record of its own, which handlers with that formatter leave out.
"""

from __future__ import annotations

from logging.handlers import QueueHandler
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.client import job_errors

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterable

#: The attribute of records whose text Snakemake's formatter shows with another one.
_REPEATS = "daskmpi_repeats"


def tell(
    logger: logging.Logger, plugins: Iterable[logging.Handler], text: str, *, rule: str | None, is_final: bool
) -> None:
    """Log why a job failed for plugins; nothing without them.

    Parameters
    ----------
    logger
        Snakemake's.
    plugins
        The handlers of plugins; Snakemake feeds them through a queue.
    text
        What the user reads of the failure.
    rule
        Of the job; None for a group, of which Snakemake itself shows no text either.
    is_final
        Whether it does not run again: with an ``ERROR``, a workflow counts as failed, however it ends (snkmt).
    """
    plugins = list(plugins)
    # Handlers come and go, as that of Snakemake's log file; the same filter is added once only.
    for handler in (*logger.handlers, *plugins):
        if isinstance(handler, QueueHandler):
            handler.addFilter(_add_line)
        elif handler not in plugins or not getattr(handler, "has_formatter", True):
            handler.addFilter(_is_no_repetition)
    if not plugins and rule is not None:
        return
    # Not at the top: ranks, and runs of other executors, start faster without.
    from snakemake_interface_logger_plugins.common import LogEvent

    extra: dict[str, object] = {_REPEATS: rule is not None}
    if is_final:
        extra |= {"event": LogEvent.ERROR, "exception": text.splitlines()[0], "traceback": text, "rule": rule}
    logger.error(text, extra=extra)


def _is_no_repetition(record: logging.LogRecord) -> bool:
    return not getattr(record, _REPEATS, False)


def _add_line(record: logging.LogRecord) -> bool:
    """Let the message of a job's error say what has happened; all records pass."""
    from snakemake_interface_logger_plugins.common import LogEvent

    text = getattr(record, "rule_msg", None)
    if text and getattr(record, "event", None) == LogEvent.JOB_ERROR:
        record.msg = f"{record.msg}: {job_errors.line_of(text)}"
    return True
