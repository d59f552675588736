"""How long the chains of jobs are that wait for a job: what the longest one needs starts first.

Runs on: rank 1.
"""

from __future__ import annotations

from typing import Any

#: What this module uses of Snakemake's DAG.
CHAINS = frozenset({"depending", "needrun"})


class Chains:
    """The chains of a run's DAG.

    Parameters
    ----------
    dag
        Snakemake's; checkpoints add to it.
    is_known
        Whether the installed Snakemake has what :data:`CHAINS` names. Without, no chain is known.
    """

    def __init__(self, dag: Any, *, is_known: bool = True) -> None:
        self._dag, self._is_known = dag, is_known
        self._n_jobs = -1
        self._lengths: dict[Any, int] = {}

    def n_behind(self, job: Any) -> int:
        """Return the number of jobs in the longest chain that waits for a job or for any job of a group."""
        if not self._is_known:
            return 0
        if len(self._dag) != self._n_jobs:  # a checkpoint has ended
            self._n_jobs = len(self._dag)
            self._lengths.clear()
        return max(map(self._length, job.jobs if job.is_group() else (job,)))

    def _length(self, job: Any) -> int:
        lengths, depending, needrun = self._lengths, self._dag.depending, self._dag.needrun
        path = [job]  # no recursion: chains are longer than Python's stack
        while path:
            last = path[-1]
            if last in lengths:  # several jobs lead to it
                path.pop()
                continue
            waiting = [other for other in depending.get(last, ()) if needrun(other)]
            unknown = [other for other in waiting if other not in lengths]
            path += unknown
            if not unknown:
                lengths[last] = max((lengths[other] + 1 for other in waiting), default=0)
        return lengths[job]
