"""The parts of what is shown of a run, one function each.

Runs on: wherever somebody looks at a run. All that others have named goes through :func:`plain` into a :class:`Text`:
nothing of it is markup.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from snakemake_executor_plugin_daskmpi.record import dashboard
from snakemake_executor_plugin_daskmpi.record.job_view import State
from snakemake_executor_plugin_daskmpi.record.liveness import Life
from snakemake_executor_plugin_daskmpi.record.plain import plain
from snakemake_executor_plugin_daskmpi.view import pace
from snakemake_executor_plugin_daskmpi.view.endings import CONTINUE_SNAKEMAKE, how_it_ended, log_text
from snakemake_executor_plugin_daskmpi.view.tally import Tally, tallies, total_of
from snakemake_executor_plugin_daskmpi.view.times import clock, span
from snakemake_executor_plugin_daskmpi.view.usage import running_on, usages

if TYPE_CHECKING:
    from rich.console import RenderableType

    from snakemake_executor_plugin_daskmpi.record.run_view import RunView

_STYLES = {Life.GOES_ON: "green", Life.ENDED: "bold", Life.BROKE_OFF: "bold red"}
#: Columns of the table of rules: those of Tally, with their heads.
_COLUMNS = {"done": "done", "running": "run", "waiting": "wait", "not_ready": "not ready", "failed": "failed"}
_COLUMNS |= {"left": "left"}
#: How far further Slurm jobs are, and how many of them are told of.
_PHASES = {"queued": "waits in the queue", "started": "has started", "joined": "has joined"}
_FEW_JOBS = 4


def head(view: RunView, life: Life, now: float, *, shows_address: bool = False) -> RenderableType:
    """Return which run it is, and what became of it.

    Parameters
    ----------
    shows_address
        Whether only its user sees this, who may see where its dashboard is, too.
    """
    about = view.about
    how = f" {life.value}{', cut off by Ctrl-C, a signal or an error' * bool(view.end.get('is_interrupted'))}"
    lines = [_assembled(("Run ", ""), (view.folder.name, "bold"), (how, _STYLES[life]))]
    if not about:
        return Text("\n").join([*lines, Text(first_line_missing(view, life))])
    slurm_job = f", Slurm job {about['slurm_job']}" if about.get("slurm_job") else ""
    last = view.last_event_at
    since = f"since {clock(view.started_at)}"
    until = {
        Life.GOES_ON: f"{since}, for {span(now - view.started_at)}",
        Life.ENDED: f"from {clock(view.started_at)} to {clock(last)}, {span(last - view.started_at)}",
        Life.BROKE_OFF: f"{since}; the last that was noted happened at {clock(last)}",
    }[life]
    lines.append(Text(f"{until}{plain(slurm_job)}; {plain(about.get('description', ''))}", "dim"))
    if life is Life.GOES_ON and shows_address and (address := dashboard.read(view.folder)):
        lines.append(Text(f"Dask's dashboard: {address.url}{_way_to(address)}", "dim"))
    if life is Life.BROKE_OFF:
        lines += broken_off(view)
    if view.is_newer_format:
        lines.append(Text("A newer version of the plugin has written its record; something may be missing here."))
    if view.n_unreadable:
        lines.append(Text(f"{view.n_unreadable} lines of its record cannot be read; numbers may be too low."))
    return Text("\n").join(lines)


def _way_to(address: dashboard.Address) -> str:
    """Return what has to be done first to see a dashboard from here, if anything; or from where this user is."""
    is_elsewhere = address.host != socket.gethostname() or "SSH_CONNECTION" in os.environ
    return f"; from elsewhere, first: {address.tunnel}" if is_elsewhere else ""


def first_line_missing(view: RunView, life: Life) -> str:
    """Return what is to be said of a record that does not begin as it should."""
    if view.n_unreadable:
        rest = "; of the rest, numbers may be too low" if view.last_event_at else ""
        lines = "1 line" if view.n_unreadable == 1 else f"{view.n_unreadable} lines"
        return f"Its record cannot be read ({lines}), or not from its first line on{rest}."
    if view.last_event_at:
        return "The first line of its record is missing; numbers may be too low."
    return "Its record is empty: nothing is noted of it" + (" yet." if life is Life.GOES_ON else ".")


def broken_off(view: RunView) -> list[Text]:
    """Return how one sees that a run broke off, and what to do."""
    where = f"process {plain(view.about.get('pid'))} on {plain(view.about.get('host', ''))}"
    return [
        Text(f"  Seen: its record has no end, and rank 1 ({where}) is gone."),
        Text(f"  Next: {CONTINUE_SNAKEMAKE}; if it finds a lock, snakemake --unlock first."),
    ]


def progress(view: RunView, life: Life, now: float) -> RenderableType:
    """Return how far it is, how fast, and what time is left."""
    tally = total_of(tallies(view, goes_on=life is Life.GOES_ON))
    known = tally.total
    share = f" ({100 * tally.done / known:.0f}%)" if known else ""
    parts = [f"{tally.done} of {known} jobs done{share}"]
    words = {"running": "running", "waiting": "waiting for workers", "not_ready": "for other jobs", "left": "left"}
    parts += [f"{number} {word}" for name, word in words.items() if (number := getattr(tally, name))]
    lines = [Text(", ".join(parts)).append(f", {tally.failed} failed" if tally.failed else "", "red")]
    if life is Life.GOES_ON:
        rate = pace.rate_of(view, now)
        text = f"{rate.per_minute:.1f} jobs/min in the last {span(rate.in_s)}"
        unended = tally.running + tally.waiting + tally.not_ready
        estimate = f"; {plain(pace.estimate_text(pace.estimate_of(view, now)))}" if unended else ""
        lines.append(Text(text + estimate))
        if view.deadline:
            ends_at, said_by = view.deadline["ends_at"], plain(view.deadline["said_by"])
            text = f"the allocation ends at {clock(ends_at)} ({said_by}): {span(ends_at - now)} left"
            lines.append(Text(text, "yellow" if now >= view.deadline["drains_at"] else ""))
        lines += further_jobs(view)
    elif view.end:
        text = f"with those that Snakemake ran itself, {view.end.get('done')} of {view.end.get('total')} are done"
        lines.append(Text(text, "dim"))
    if view.drain:
        lines.append(Text(f"drains, no further jobs start: {plain(view.drain)}", "yellow"))
    return Text("\n").join(lines)


def further_jobs(view: RunView) -> list[Text]:
    """Return how far the further Slurm jobs are that have not ended, if there are any."""
    said = [
        f"{plain(name)} {_PHASES.get(event['phase'], plain(event['phase']))}"
        for name, event in view.allocations.items()
        if event.get("phase") != "ended"
    ]
    more = f" and {len(said) - _FEW_JOBS} more" if len(said) > _FEW_JOBS else ""
    return [Text(f"further Slurm jobs: {', '.join(said[:_FEW_JOBS])}{more}")] if said else []


def rules(view: RunView, life: Life, at_most: int) -> RenderableType | None:
    """Return the table of jobs by rule."""
    of_rules = tallies(view, goes_on=life is Life.GOES_ON)
    if not of_rules:
        return None
    total = total_of(of_rules)
    columns = [name for name in _COLUMNS if name == "done" or getattr(total, name)]
    table = _table("rule", *(_COLUMNS[name] for name in columns), "all")
    # What there is something to see of comes first.
    busiest = sorted(of_rules, key=lambda rule: (-of_rules[rule].failed, -of_rules[rule].running, rule))
    shown = set(busiest if len(busiest) <= at_most else busiest[: at_most - 1])
    rest = Tally()
    for rule, tally in of_rules.items():
        if rule in shown:
            table.add_row(*_row(plain(rule), tally, columns))
        else:
            rest = rest.plus(tally)
    if len(shown) < len(of_rules):
        table.add_row(*_row(f"{len(of_rules) - len(shown)} other rules", rest, columns))
    if len(of_rules) > 1:
        table.add_row(*_row("all rules", total, columns), style="bold")
    return table


def _row(name: str, tally: Tally, columns: list[str]) -> list[Text]:
    cells = []
    for column in columns:
        number = getattr(tally, column)
        style = "red" if column == "failed" else ""
        cells.append(Text(str(number), style) if number else Text("-", "dim"))
    return [Text(name), *cells, Text(str(tally.total))]


def components(view: RunView) -> RenderableType | None:
    """Return the table of what is taken by component."""
    found = usages(view)
    if not found:
        return None
    has_gpus = any(usage.gpus[1] for usage in found)
    table = _table("taken", "workers", "cores", "memory asked for", *(["GPUs"] if has_gpus else []))
    for usage in found:
        workers = Text(str(usage.workers)).append(f", {usage.lost} lost" if usage.lost else "", "red")
        memory = Text(f"{usage.mem_mb[0] / 1000:.1f} of {usage.mem_mb[1] / 1000:.1f} GB")
        gpus = [Text("{} of {}".format(*usage.gpus))] if has_gpus else []
        table.add_row(Text(plain(usage.name)), workers, Text("{} of {}".format(*usage.cores)), memory, *gpus)
    return table


def workers(view: RunView, now: float, at_most: int) -> RenderableType | None:
    """Return a line for each worker, and one for those that there is no room for."""
    running = running_on(view)
    if not running or at_most < 1:
        return None
    busiest = sorted(running, key=lambda name: (not running[name], running[name][0].started_at if running[name] else 0))
    shown = busiest if len(busiest) <= at_most else busiest[: at_most - 1]
    lines = []
    for name in sorted(shown, key=_natural):
        jobs = running[name]
        host = view.workers[name].host if name in view.workers else "?"
        line = Text(f"{plain(name)} ({plain(host)}): ")
        if jobs:
            line.append(f"{plain(jobs[0].name)}, for {span(now - (jobs[0].started_at or now))}")
            line.append(f", and {len(jobs) - 1} more" if len(jobs) > 1 else "")
        else:
            line.append("idle", "dim")
        lines.append(_one_line(line))
    if hidden := busiest[len(shown) :]:
        busy = [name for name in hidden if running[name]]
        n_jobs = sum(len(running[name]) for name in busy)
        lines.append(Text(f"{len(hidden)} other workers: {len(busy)} run {n_jobs} jobs, the rest idles", "dim"))
    return _joined(lines)


def waiting(view: RunView, at_most: int, *, on_one_line: bool = False) -> RenderableType | None:
    """Return why jobs wait, those of the same reason together."""
    jobs = view.in_state(State.WAITING)
    numbers: dict[str, list[int]] = {}
    for reason in view.reasons:
        # They are noted once a second: those that had it may have started since.
        if any(job.priority == reason.priority and job.asks == reason.asks for job in jobs):
            numbers.setdefault(reason.text, []).append(reason.n_jobs)
    if not numbers:
        return None
    texts = sorted(numbers, key=lambda text: -sum(numbers[text]))
    lines = [Text(f"why, as of {clock(view.reasons_at)}:", "dim")]
    lines += [Text(f"{sum(numbers[text])} waiting: {plain(text)}", "yellow") for text in texts[:at_most]]
    if len(texts) > at_most:
        lines.append(Text(f"and {len(texts) - at_most} other reasons: snakemake-daskmpi explain RULE", "dim"))
    return _joined([_one_line(line) for line in lines] if on_one_line else lines)


def failed(view: RunView, at_most: int) -> RenderableType | None:
    """Return the jobs that have failed, the last ones first, with their logs."""
    jobs = sorted(view.in_state(State.FAILED), key=lambda job: -(job.ended_at or 0.0))
    if not jobs or at_most < 1:
        return None
    lines = []
    for job in jobs[:at_most]:
        lines.append(Text(f"failed: {plain(job.name)} {how_it_ended(job)}", "red"))
        if log := log_text(view, job):
            lines.append(Text(f"  log: {log}", overflow="fold"))
    if len(jobs) > at_most:
        lines.append(Text(f"and {len(jobs) - at_most} more that failed", "red"))
    return Text("\n").join(lines)


def _assembled(*parts: tuple[str, str]) -> Text:
    return Text.assemble(*((plain(text), style) for text, style in parts))


def _one_line(text: Text) -> Text:
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _joined(lines: list[Text]) -> RenderableType:
    from rich.console import Group

    return Group(*lines)


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column(first, no_wrap=True, overflow="ellipsis")
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _natural(name: str) -> tuple[str, list[int]]:
    """Return a key that sorts rank 10 behind rank 9, and rank 45.0 of a further Slurm job behind both."""
    word, _, number = name.rpartition(" ")
    parts = number.split(".")
    return (word, [len(parts), *map(int, parts)]) if all(part.isdecimal() for part in parts) else (name, [0])
