"""What became of one job, or why it waits, in sentences.

Runs on: wherever somebody looks at a run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.record.events import Cause
from snakemake_executor_plugin_daskmpi.record.job_log import log_of
from snakemake_executor_plugin_daskmpi.record.job_view import JobView, State
from snakemake_executor_plugin_daskmpi.record.liveness import Life
from snakemake_executor_plugin_daskmpi.record.plain import plain
from snakemake_executor_plugin_daskmpi.view.endings import how_it_ended, log_text
from snakemake_executor_plugin_daskmpi.view.room import holders_of, sufficient_ends
from snakemake_executor_plugin_daskmpi.view.times import clock, span
from snakemake_executor_plugin_daskmpi.worker.tail import tail_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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


def story_of(view: RunView, life: Life, attempts: Sequence[JobView], now: float) -> list[str]:
    """Return what there is to say of a job: of its last attempt all, of earlier ones how they ended."""
    job = attempts[-1]
    lines = [f"{plain(job.name)}: {_heading(view, life, job)}", f"  asks for {asked(job)}"]
    if job.members:
        members = ", ".join(f"{number} of {plain(rule)}" for rule, number in job.members.items())
        lines.append(f"  is a group of {sum(job.members.values())} jobs: {members}")
    if len(attempts) > 1:
        for number, earlier in enumerate(attempts[:-1], start=1):
            log = log_text(view, earlier)
            lines.append(f"  attempt {number} {how_it_ended(earlier)}" + (f"; its log: {log}" if log else ""))
        lines.append(f"  attempt {len(attempts)} is the last one so far, told of here:")
    if life is Life.BROKE_OFF and job.state in (State.WAITING, State.SENT, State.RUNNING):
        lines.append("  The run broke off: the same command of snakemake goes on, after --unlock if it finds a lock.")
        return lines
    return lines + [f"  {line}" for line in _TELLERS[job.state](view, job, now, life is Life.GOES_ON)]


def one_line(view: RunView, job: JobView, now: float) -> str:
    """Return the essence of a job."""
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


def asked(job: JobView) -> str:
    """Return what a job asks for.

    >>> asked(JobView("k", "rule a", "a", 1, asks={"mem_mb": 500, "gpus": 1}))
    '1 core, 500 MB of memory, 1 GPU'
    """
    asks = {"cores": 1, **job.asks}
    parts = [text.format(plain(asks[name])) for name, text in _ASKED.items() if asks.get(name) not in (None, "")]
    return ", ".join(part.removesuffix("s") if part in ("1 cores", "1 GPUs") else part for part in parts)


def _heading(view: RunView, life: Life, job: JobView) -> str:
    if life is not Life.GOES_ON and job.state in (State.WAITING, State.SENT, State.RUNNING):
        was = "ran" if job.state is State.RUNNING else "waited"
        return f"{was} when the run {'broke off' if life is Life.BROKE_OFF else 'ended'}"
    if job.state is State.LEFT:
        return "is left for a later run" if job.key in view.set_aside else "was ended"
    return job.state.value


# -- by state ------------------------------------------------------------------------------------------


def _waiting(view: RunView, job: JobView, now: float, goes_on: bool) -> list[str]:  # noqa: FBT001 - a table's
    if not goes_on:
        return ["It did not start in this run; the same command of snakemake goes on."]
    lines = [f"was handed over at {clock(job.submitted_at)}, {span(now - job.submitted_at)} ago"]
    reason = view.reason_of(job)
    if reason is None:
        return [*lines, "It waits for its turn: more urgent jobs come first, or it has only just come."]
    lines.append(f"Why it waits: {plain(reason.text)}.")
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
            yield f"  {plain(holder.name)} has {asked(holder)} there, for {for_long} so far"


def _remedy(view: RunView, reason: Reason) -> str:
    on = f" on {plain(reason.worker)}" if reason.worker else ""
    match reason.cause:
        case Cause.TURN:
            return "nothing, it starts next"
        case Cause.LIMIT:
            return f"the end of running jobs; in another run, a larger --cores ({view.about.get('max_cores')} now)"
        case Cause.AWAITED:
            return "the worker that comes back; if none does, it is refused, with the reason"
        case Cause.RESERVED:
            return "the start of the job that the worker is held back for, or room on another worker"
    enough = [plain(job.name) for job in sufficient_ends(view, reason)]
    ends = f"the end of {' or '.join(enough)}" if enough else f"the end of several jobs{on}"
    return f"{ends}, or as much room on another worker"


def _sent(view: RunView, job: JobView, now: float, goes_on: bool) -> list[str]:  # noqa: FBT001, ARG001
    before = view.jobs.get(job.after)
    name = plain(before.name) if before is not None else "another job"
    return [f"It was sent ahead to {plain(job.worker)}, and starts there as soon as {name} has ended."]


def _running(view: RunView, job: JobView, now: float, goes_on: bool) -> list[str]:  # noqa: FBT001
    started = job.started_at or now
    worker = view.workers.get(job.worker)
    host = f" ({plain(worker.host)})" if worker else ""
    if not goes_on:
        return [f"It had run on {plain(job.worker)}{host} since {clock(started)}, and its end was not noted."]
    lines = [f"It runs on {plain(job.worker)}{host} since {clock(started)}, for {span(now - started)}."]
    if job.gpus:
        lines.append(f"Its GPUs: {plain(', '.join(job.gpus))}.")
    log = log_text(view, job)
    return [*lines, f"Its output so far: {log}"] if log else lines


def _done(view: RunView, job: JobView, now: float, goes_on: bool) -> list[str]:  # noqa: FBT001, ARG001
    return [*_times(job), *_used(job)]


def _failed(view: RunView, job: JobView, now: float, goes_on: bool) -> list[str]:  # noqa: FBT001, ARG001
    lines = [f"It {how_it_ended(job)}", *_times(job), *_used(job)]
    log, tail = log_text(view, job), tail_of(log_of(view.folder, job), _MOST_LOG_LINES)
    if not tail:
        return [*lines, f"It wrote nothing to {log}." if log else "It has no log."]
    return [*lines, f"The end of {log}:", *(f"  | {plain(line)}" for line in tail.splitlines())]


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
    if peak := job.ended.get("peak_rss_mb"):
        mem_mb = job.asks.get("mem_mb")
        parts.append(f"{peak} MB of memory at most" + (f" of {mem_mb} asked for" if mem_mb else ""))
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
