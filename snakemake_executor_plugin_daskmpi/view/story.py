"""What became of one job, or why it waits, in sentences.

Runs on: wherever somebody looks at a run.
"""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING, Any

from snakemake_executor_plugin_daskmpi.record.events import Cause
from snakemake_executor_plugin_daskmpi.record.job_log import log_of
from snakemake_executor_plugin_daskmpi.record.job_view import JobView, State
from snakemake_executor_plugin_daskmpi.record.liveness import Life
from snakemake_executor_plugin_daskmpi.record.plain import plain
from snakemake_executor_plugin_daskmpi.view.endings import CONTINUE_SNAKEMAKE, how_it_ended, log_text
from snakemake_executor_plugin_daskmpi.view.room import holders_of, sufficient_ends
from snakemake_executor_plugin_daskmpi.view.times import clock, span
from snakemake_executor_plugin_daskmpi.worker.tail import tail_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from snakemake_executor_plugin_daskmpi.record.events import Reason
    from snakemake_executor_plugin_daskmpi.record.run_view import RunView

_ASKED = {
    "cores": "{} cores",
    "mem_mb": "{} MB of memory",
    "disk_mb": "{} MB of scratch space",
    "gpus": "{} GPUs",
    "runtime_min": "a runtime of {} min",
    "component": "component {}",
    "tasks": "{} tasks",
}
_MOST_LOG_LINES = 10
#: States of jobs that a run which stops leaves behind.
UNENDED = (State.WAITING, State.SENT, State.RUNNING)


def story_of(view: RunView, life: Life, attempts: Sequence[JobView], now: float) -> list[str]:
    """Return what there is to say of a job: of its last attempt all, of earlier ones how they ended."""
    job = attempts[-1]
    lines = [f"{plain(job.name)}: {_heading(view, life, job)}", f"  asks for {asked(job)}"]
    if job.wish:
        lines.append(f"  was granted {_amounts({name: job.asks.get(name, 1) for name in job.wish})}: {_why_less(job)}")
    if job.members:
        members = ", ".join(f"{number} of {plain(rule)}" for rule, number in job.members.items())
        lines.append(f"  is a group of {sum(job.members.values())} jobs: {members}")
    if len(attempts) > 1:
        for number, earlier in enumerate(attempts[:-1], start=1):
            log = log_text(view, earlier)
            lines.append(f"  attempt {number} {how_it_ended(earlier)}" + (f"; its log: {log}" if log else ""))
        lines.append(f"  attempt {len(attempts)} is the last one so far, told of here:")
    lines += [f"  {line}" for line in _TELLERS[job.state](view, job, moment_of(view, life, now), life is Life.GOES_ON)]
    if life is Life.BROKE_OFF and job.state in UNENDED:
        lines.append(f"  The run broke off: {CONTINUE_SNAKEMAKE}; if it finds a lock, snakemake --unlock first.")
    return lines


def moment_of(view: RunView, life: Life, now: float) -> float:
    """Return up to when times are counted: now if a run goes on, else its last event, after which nothing is known."""
    return now if life is Life.GOES_ON else view.last_event_at


def when_it_stopped(life: Life) -> str:
    """Return the end of a sentence on what had not ended with a run."""
    return f"when the run {'broke off' if life is Life.BROKE_OFF else 'ended'}"


def one_line(view: RunView, job: JobView, life: Life, now: float) -> str:
    """Return the essence of a job, as of when it was seen last."""
    return _left_behind(view, job, life) or _essence(view, job, now)


def _left_behind(view: RunView, job: JobView, life: Life) -> str:
    if life is not Life.GOES_ON and job.state in UNENDED:
        return f"{plain(job.name)} {_was(job, when_it_stopped(life), view.last_event_at)}"
    return ""


def _essence(view: RunView, job: JobView, now: float) -> str:
    match job.state:
        case State.RUNNING:
            return f"{plain(job.name)} has run on {plain(job.worker)} for {span(now - (job.started_at or now))}"
        case State.DONE:
            return f"{plain(job.name)} took {span(job.seconds or 0.0)} on {plain(job.worker)}"
        case State.FAILED:
            return f"{plain(job.name)} {how_it_ended(job)}"
        case State.SENT:
            return f"{plain(job.name)} was sent ahead to {plain(job.worker)}"
        case State.LEFT:
            return f"{plain(job.name)} {view.set_aside.get(job.key) or how_it_ended(job)}"
    return f"{plain(job.name)}, handed over {span(now - job.submitted_at)} ago"


def _was(job: JobView, stopped: str, last: float) -> str:
    """Return what a job did that a run left behind."""
    if job.state is State.RUNNING:
        return f"ran on {plain(job.worker)} {stopped}, for {span(last - (job.started_at or last))} by then"
    ahead = f", sent ahead to {plain(job.worker)}" if job.state is State.SENT else ""
    return f"waited {stopped}{ahead}, handed over {span(last - job.submitted_at)} before"


def asked(job: JobView) -> str:
    """Return what a job asks for.

    >>> asked(JobView("k", "rule a", "a", 1, asks={"mem_mb": 500, "gpus": 1}))
    '1 core, 500 MB of memory, 1 GPU'
    >>> asked(JobView("k", "rule a", "a", 1, asks={"cores": 4}, wish={"cores": 64}))
    '64 cores'
    """
    return _amounts({"cores": 1, **job.asked})


def _amounts(asks: Mapping[str, Any]) -> str:
    parts = [text.format(plain(asks[name])) for name, text in _ASKED.items() if asks.get(name) not in (None, "")]
    return ", ".join(part.removesuffix("s") if part in ("1 cores", "1 GPUs") else part for part in parts)


def _why_less(job: JobView) -> str:
    """Return why a job was granted less than it asks for."""
    if job.members:
        return "its jobs take turns, as no worker has room for all that could run side by side"
    return "no worker has more, or a limit (--cores, --max-threads, --resources) leaves no more"


def _heading(view: RunView, life: Life, job: JobView) -> str:
    if life is not Life.GOES_ON and job.state in UNENDED:
        return f"{'ran' if job.state is State.RUNNING else 'waited'} {when_it_stopped(life)}"
    if job.state is State.LEFT:
        return "is left for a later run" if job.key in view.set_aside else "was ended"
    return job.state.value


# -- by state ------------------------------------------------------------------------------------------


def _waiting(view: RunView, job: JobView, now: float, goes_on: bool) -> list[str]:  # noqa: FBT001 - a table's
    for_long = span(now - job.submitted_at)
    if not goes_on:
        handed_over = f"was handed over at {clock(job.submitted_at)}, {for_long} before the last that was noted"
        return [handed_over, "It did not start in this run; the same command of snakemake goes on."]
    lines = [f"was handed over at {clock(job.submitted_at)}, {for_long} ago"]
    reason = view.reason_of(job)
    if reason is None:
        return [*lines, "It waits for its turn: more urgent jobs come first, or it has only just come."]
    lines.append(f"Why it waits, as of {clock(view.reasons_at)}: {plain(reason.text)}.")
    lines += _holders(view, reason, now)
    lines.append(f"What lets it start: {_remedy(view, reason)}.")
    if reason.n_jobs > 1:
        lines.append(f"{reason.n_jobs} jobs ask for the same, and wait for the same reason.")
    return lines


def _holders(view: RunView, reason: Reason, now: float) -> Iterable[str]:
    """Yield who has what a job needs, and for how long by now."""
    if reason.cause is not Cause.RESERVED:
        for holder in holders_of(view, reason):
            for_long = span(now - (holder.started_at or now))
            its = _amounts({"cores": 1, **holder.asks})
            yield f"  {plain(holder.name)} has {its} there, for {for_long} so far"


def _remedy(view: RunView, reason: Reason) -> str:
    on = f" on {plain(reason.worker)}" if reason.worker else ""
    match reason.cause:
        case Cause.TURN:
            return "nothing, it starts next"
        case Cause.LIMIT:
            return f"the end of running jobs; in another run, a larger --cores ({view.about.get('max_cores')} now)"
        case Cause.AWAITED:
            return "a worker that comes, or comes back; if none does, it is refused, with the reason"
        case Cause.RESERVED:
            return "the start of the job that the worker is held back for, or room on another worker"
    enough = [plain(job.name) for job in sufficient_ends(view, reason)]
    ends = f"the end of {' or '.join(enough)}" if enough else f"the end of several jobs{on}"
    return f"{ends}, or as much room on another worker"


def _sent(view: RunView, job: JobView, now: float, goes_on: bool) -> list[str]:  # noqa: FBT001, ARG001
    if not goes_on:
        return [f"It was sent ahead to {plain(job.worker)}, and did not start there as far as was noted."]
    before = view.jobs.get(job.after)
    name = plain(before.name) if before is not None else "another job"
    return [f"It was sent ahead to {plain(job.worker)}, and starts there as soon as {name} has ended."]


def _running(view: RunView, job: JobView, now: float, goes_on: bool) -> list[str]:  # noqa: FBT001
    started = job.started_at or now
    worker = view.workers.get(job.worker)
    host = f" ({plain(worker.host)})" if worker else ""
    if not goes_on:
        so_long = f"since {clock(started)}, for {span(now - started)} up to the last that was noted"
        lines = [f"It ran on {plain(job.worker)}{host} {so_long}; its end was not."]
    else:
        lines = [f"It runs on {plain(job.worker)}{host} since {clock(started)}, for {span(now - started)}."]
    if job.gpus:
        lines.append(f"Its GPUs: {plain(', '.join(job.gpus))}.")
    log = log_text(view, job)
    return [*lines, f"Its output{' so far' if goes_on else ''}: {log}"] if log else lines


def _done(view: RunView, job: JobView, now: float, goes_on: bool) -> list[str]:  # noqa: FBT001, ARG001
    return [*_times(job), *_used(job)]


def _failed(view: RunView, job: JobView, now: float, goes_on: bool) -> list[str]:  # noqa: FBT001, ARG001
    lines = [f"It {how_it_ended(job)}", *_times(job), *_used(job)]
    if not job.worker:
        more = str(job.ended.get("reason", "")).splitlines()[1:]  # what was seen, and what to do
        return [*lines, *(plain(line.strip()) for line in more)]
    tails = [(log_text(view, job), tail_of(log_of(view.folder, job), _MOST_LOG_LINES)), *_tails_of_rule(view, job)]
    ends = [
        [f"The end of {log}:", *(f"  | {plain(line)}" for line in tail.splitlines())] for log, tail in tails if tail
    ]
    if not ends:
        return [*lines, f"It wrote nothing to {tails[0][0]}." if tails[0][0] else "It has no log."]
    return [*lines, *itertools.chain(*ends)]


def _tails_of_rule(view: RunView, job: JobView) -> Iterator[tuple[str, str]]:
    """Yield the logs that its rule names, from here, with their ends: what a later run has written, too."""
    for name in job.ended.get("rule_logs", ()):
        log = view.folder.absolute().parents[2] / str(name)
        yield plain(os.path.relpath(log)), tail_of(log, _MOST_LOG_LINES)


def _left(view: RunView, job: JobView, now: float, goes_on: bool) -> list[str]:  # noqa: FBT001, ARG001
    if job.key in view.set_aside:
        return [
            f"It does not start in this run: {plain(view.set_aside[job.key])}.",
            "The same command of snakemake, later, starts it.",
        ]
    return [f"It {how_it_ended(job)}", *_times(job), "It is no failure of its own: a later run starts it anew."]


def _times(job: JobView) -> list[str]:
    if job.started_at is None or job.ended_at is None:
        return []
    waited = span(job.started_at - job.submitted_at)
    took = f"took {span(job.seconds or 0.0)}, from {clock(job.started_at)} to {clock(job.ended_at)}"
    return [f"It {took}, on {plain(job.worker)}, after a wait of {waited}."]


def _used(job: JobView) -> list[str]:
    """Return what a job used against what it asked for, as far as that was seen."""
    parts = []
    mem_mb = job.asks.get("mem_mb")
    of = f" of {plain(mem_mb)} {'granted' if 'mem_mb' in job.wish else 'asked for'}" if mem_mb else ""
    # Where it was read, PSS says it: in RSS, what a job shares with others counts in full.
    if peak := job.ended.get("peak_pss_mb"):
        parts.append(f"{plain(peak)} MB of memory at most{of}")
    elif peak := job.ended.get("peak_rss_mb"):
        parts.append(f"about {plain(peak)} MB of memory at most{of}, with pages that it shares with its worker")
    cpu_s, seconds = job.ended.get("cpu_s"), job.seconds
    if cpu_s and seconds:
        cores = f"{job.n_cores} core{'s' * (job.n_cores != 1)}"
        parts.append(f"{span(cpu_s)} of CPU time, {cpu_s / seconds:.1f} of {cores} on average")
    return [f"It used {'; '.join(parts)}."] if parts else []


_TELLERS = {
    State.WAITING: _waiting,
    State.SENT: _sent,
    State.RUNNING: _running,
    State.DONE: _done,
    State.FAILED: _failed,
    State.LEFT: _left,
}
