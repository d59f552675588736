"""What somebody means by a job's id, a rule, or a file.

Runs on: wherever somebody looks at a run.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from snakemake_executor_plugin_daskmpi.errors import SettingsError, did_you_mean, nearest
from snakemake_executor_plugin_daskmpi.record.plain import plain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from snakemake_executor_plugin_daskmpi.record.job_view import JobView
    from snakemake_executor_plugin_daskmpi.record.run_view import RunView

#: A wildcard in the name of a file, with its constraint.
_WILDCARD = re.compile(r"\{\s*(?P<name>\w+)(?:\s*,\s*(?P<constraint>(?:[^{}]|\{[^{}]*\})*))?\s*\}")
#: Rules that an error names.
_NAMED = 8


class Subject(NamedTuple):
    """One job with all of its attempts, or a rule, or a rule whose job for a file is not there yet."""

    #: The attempts of a job, in their order; none if a rule is meant.
    attempts: tuple[JobView, ...] = ()
    rule: str = ""
    #: The file that was asked for, if a job of the rule is to make it.
    file: str = ""


def subject_of(view: RunView, word: str, directory: Path) -> Subject:
    """Return what a word means in a run.

    Parameters
    ----------
    directory
        The workflow's folder, which files may be relative to.

    Raises
    ------
    SettingsError
        If the run knows of no such thing.
    """
    if word.isdecimal() and (attempts := _attempts_of(view, int(word))):
        return Subject(attempts)
    if word in view.counts() or jobs_called(view, word):
        return _rule(view, word)
    names = _names_of(view, word, directory)
    of_file = [job for job in view.current if not names.isdisjoint(_with_parents(job.outputs, names))]
    if of_file:
        return Subject(tuple(view.attempts_of(of_file[-1].jobid)))
    rule = _rule_making(view, names)
    if rule:
        return Subject(rule=rule, file=word)
    raise _unknown(view, word, directory)


def jobs_called(view: RunView, word: str) -> list[JobView]:
    """Return the jobs of a rule, and the groups that have one or are called so."""
    group = f"group {word} ("
    return [
        job
        for job in view.current
        if word == job.rule or word in job.members or (job.members and job.name.startswith(group))
    ]


def _rule(view: RunView, rule: str) -> Subject:
    """Return a rule, or all groups of a name; if there is one job alone, that job."""
    jobs = jobs_called(view, rule)
    if len(jobs) == 1 and rule not in view.n_not_ready():
        return Subject(tuple(view.attempts_of(jobs[0].jobid)))
    return Subject(rule=rule)


def _attempts_of(view: RunView, jobid: int) -> tuple[JobView, ...]:
    """Return the attempts of a job, or of the group that it is in."""
    found = view.attempts_of(jobid) or [job for job in view.jobs.values() if jobid in job.member_ids]
    return tuple(found)


def _names_of(view: RunView, word: str, directory: Path) -> set[str]:
    """Return what a file may be called by its rule: as it was typed, or as it lies to the workflow's folder."""
    there = Path(word).absolute()
    names = {word, str(there), os.path.relpath(there, directory)}
    if workdir := view.about.get("workdir"):
        names.add(os.path.relpath(there, workdir))
    return {os.path.normpath(name) for name in names}


def _with_parents(outputs: Iterable[str], names: set[str]) -> Iterable[str]:
    """Yield outputs, and for one that is a directory above a name, that name."""
    for output in outputs:
        own = os.path.normpath(output)
        yield own
        yield from (name for name in names if name.startswith(f"{own}/"))


def _rule_making(view: RunView, names: set[str]) -> str:
    """Return a rule of which jobs are not ready yet, and whose files are called so; "" if there is none."""
    for rule in view.n_not_ready():
        for pattern in view.patterns.get(rule, ()):
            if any(_matches(pattern, name) for name in names):
                return rule
    return ""


def _matches(pattern: str, name: str) -> bool:
    r"""Say whether a file may be one that a rule makes.

    >>> _matches("out/{n,\\d+}.{n}", "out/3.3"), _matches("out/{n}", "in/3"), _matches("a{[}", "a")
    (True, False, False)
    """
    expression, at, seen = "", 0, set()
    for wildcard in _WILDCARD.finditer(pattern):
        expression += re.escape(pattern[at : wildcard.start()])
        named = wildcard["name"]
        expression += f"(?P={named})" if named in seen else f"(?P<{named}>{wildcard['constraint'] or '.+'})"
        seen.add(named)
        at = wildcard.end()
    try:
        return re.fullmatch(expression + re.escape(pattern[at:]), name) is not None
    except re.error:
        return False


def _unknown(view: RunView, word: str, directory: Path) -> SettingsError:
    rules = sorted(view.counts())
    near = nearest(word, [*rules, *(output for job in view.current for output in job.outputs)])
    shown = ", ".join(map(plain, rules[:_NAMED])) + (f" and {len(rules) - _NAMED} more" if len(rules) > _NAMED else "")
    not_ready = sum(view.n_not_ready().values())
    later = f"; it does not know the ids of jobs that wait for others yet ({not_ready})" if not_ready else ""
    return SettingsError(
        f"run {plain(view.folder.name)} knows of no job, rule or file {plain(word)!r}.{did_you_mean(plain(near))}",
        seen=f"its rules are {shown or 'none'}{later}. Of jobs that Snakemake runs itself "
        "(localrules), and of files that were there before, it knows nothing.",
        next_step=f"a job's id, a rule or a file of this run; or --run with another one of {plain(directory)}.",
    )
