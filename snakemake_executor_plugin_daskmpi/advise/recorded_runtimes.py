"""How long jobs took in earlier runs, for a plan whose rules do not say.

Runs on: the login node, in the process that is Snakemake, when the DAG is there and nothing has run.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.advise import runs
from snakemake_executor_plugin_daskmpi.advise.usage import mean_minutes_of

if TYPE_CHECKING:
    from pathlib import Path

    from snakemake_executor_plugin_daskmpi.planning.demand import Demand

#: Records that are looked at: a run of which little was left says nothing of most rules.
_MOST_RECORDS = 5
#: The name of a run's folder begins with when it began.
_BEGAN = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d)(\d\d)")


def known_from_records(demand: Demand, workdir: Path) -> Demand:
    """Return a demand whose rules without ``runtime`` have that of the newest run here in which jobs of them are done.

    It is the mean of a rule's jobs, which sums up to the work that there is.
    """
    wanted = set(demand.assumed_runtime)
    minutes_of: dict[str, float] = {}
    sources: list[str] = []
    if not wanted:
        return demand
    for view in runs.newest_first(workdir, _MOST_RECORDS):
        found = {rule: minutes for rule, minutes in mean_minutes_of(view).items() if rule in wanted - set(minutes_of)}
        if found:
            minutes_of |= found
            sources.append(view.folder.name)
        if wanted <= set(minutes_of):
            break
    if not sources:
        return demand
    recorded_in = f"the run of {_when(sources[0])}"
    return demand.with_recorded_runtimes(minutes_of, recorded_in + " and of earlier ones" * (len(sources) > 1))


def _when(name: str) -> str:
    """Return when a run began, for people.

    >>> _when("2026-11-27T054513.085226-3669")
    '2026-11-27 05:45'
    """
    match = _BEGAN.match(name)
    return f"{match[1]} {match[2]}:{match[3]}" if match else name
