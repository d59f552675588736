"""What a run's output says of each of its jobs, and what must be true of that. Pure.

Runs on: the machine of the tests.
Called by: invariants.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

_OUTPUT = re.compile(r" +output: out/([a-z]+(?:\.\d+)?)")
_JOB_ID = re.compile(r" +jobid: (\d+)$")
_FINISHED = re.compile(r"Finished jobid: (\d+)")
_HEAD = re.compile(r" *(\[|rule |localrule |Error in )")


@dataclass(slots=True)
class Account:
    """How often each job was started and finished, by the name of its output: ``word.3``."""

    started: Counter[str] = field(default_factory=Counter)
    finished: Counter[str] = field(default_factory=Counter)
    #: How often a job, or a group of them, is said to have failed.
    n_failed: int = 0
    #: Jobs that were started after they had been reported as finished.
    again: list[str] = field(default_factory=list)


def account_of(text: str) -> Account:
    """Read the output of a run.

    >>> account_of("rule word:\\n    output: out/word.3\\n    jobid: 7\\nFinished jobid: 7 (Rule: word)").finished
    Counter({'word.3': 1})
    """
    account, names, output = Account(), dict[str, str](), ""
    for line in text.splitlines():
        if _HEAD.match(line):
            output = ""
            account.n_failed += line.lstrip().startswith("Error in ")
        elif found := _OUTPUT.match(line):
            output = found[1]
        elif output and (found := _JOB_ID.match(line)):
            names[found[1]] = output
            account.started[output] += 1
            if output in account.finished:
                account.again.append(output)
            output = ""
        elif found := _FINISHED.match(line):
            account.finished[names.get(found[1], f"jobid {found[1]}")] += 1
    return account
