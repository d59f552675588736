"""Why a job waits, or what became of it; of a rule, of all of its jobs: the verb ``explain``.

Runs on: wherever somebody looks at a run.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.record.find import run_of
from snakemake_executor_plugin_daskmpi.record.job_view import State
from snakemake_executor_plugin_daskmpi.record.liveness import Life, life_of
from snakemake_executor_plugin_daskmpi.record.plain import plain
from snakemake_executor_plugin_daskmpi.view.sections import first_line_missing
from snakemake_executor_plugin_daskmpi.view.status import console_of, opened
from snakemake_executor_plugin_daskmpi.view.story import UNENDED, moment_of, one_line, story_of
from snakemake_executor_plugin_daskmpi.view.subject import jobs_called, subject_of
from snakemake_executor_plugin_daskmpi.view.tally import Tally, tallies
from snakemake_executor_plugin_daskmpi.view.times import clock

if TYPE_CHECKING:
    from pathlib import Path

    from snakemake_executor_plugin_daskmpi.record.run_view import RunView

#: Jobs of each state that stand for the others of a rule.
_EXAMPLES = 3


def main(directory: Path, part: str, word: str) -> int:
    """Print what there is to say of a job, a rule or a file."""
    view = opened(run_of(directory, part))
    life = life_of(view)
    now = moment_of(view, life, time.time())
    heading = f"Run {plain(view.folder.name)} {life.value}."
    if not view.about:
        heading += f" {first_line_missing(view, life)}"
        if not view.jobs and not view.n_by_rule:
            console_of().print(heading, soft_wrap=True)
            return 1
    subject = subject_of(view, word, directory)
    lines = [heading]
    if subject.attempts:
        lines += story_of(view, life, subject.attempts, now)
    elif subject.file:
        lines += _not_ready(view, life, subject.rule, subject.file)
    else:
        lines += rule_story(view, life, subject.rule, now)
    console = console_of()
    for line in lines:
        console.print(line, soft_wrap=True)
    return 0


def _not_ready(view: RunView, life: Life, rule: str, file: str) -> list[str]:
    number = view.n_not_ready()[rule]
    lines = [f"{plain(file)}: rule {plain(rule)} makes it, if any; jobs of it that are not handed over: {number}."]
    if life is Life.GOES_ON and not view.drain:
        return [*lines, "  Snakemake hands a job over when the jobs that it comes after are done; it waits for some."]
    return [*lines, f"  {_over(view, life)}"]


def _over(view: RunView, life: Life) -> str:
    why = f"drains: {plain(view.drain)}" if view.drain else life.value
    return f"The run {why}. Jobs that are left start with the same command of snakemake, later."


def rule_story(view: RunView, life: Life, rule: str, now: float) -> list[str]:
    """Return how many jobs of a rule are in which state, why they wait, and examples of each."""
    tally = tallies(view, goes_on=life is Life.GOES_ON).get(rule, Tally())
    numbers = [f"{number} {name.replace('_', ' ')}" for name, number in tally._asdict().items() if number]
    lines = [f"rule {plain(rule)}: {tally.total} job{'s' * (tally.total != 1)}: {', '.join(numbers)}"]
    if not tally.total:
        lines = [f"groups called {plain(rule)}:"]
    if tally.not_ready:
        lines.append(f"  not handed over yet: {tally.not_ready}; Snakemake waits for jobs that these come after.")
    if (life is not Life.GOES_ON and tally.left) or (view.drain and tally.not_ready):
        lines.append(f"  {_over(view, life)}")
    jobs = jobs_called(view, rule)
    for state in State:
        there = [job for job in jobs if job.state is state]
        name = state.value
        if life is not Life.GOES_ON and state in UNENDED:
            name = "ran" if state is State.RUNNING else "waited"
        lines += [f"  {name}: {one_line(view, job, life, now)}" for job in there[-_EXAMPLES:]]
        if len(there) > _EXAMPLES:
            lines.append(f"  {name}: and {len(there) - _EXAMPLES} more")
    if life is Life.GOES_ON:
        reasons = [view.reason_of(job) for job in jobs if job.state is State.WAITING]
        texts = dict.fromkeys(reason.text for reason in reasons if reason is not None)
        lines += [f"  why, as of {clock(view.reasons_at)}: {plain(text)}" for text in texts]
    if jobs:
        lines.append("  snakemake-daskmpi explain, with a job's id or file, tells more of one.")
    return lines
