"""Make of a ready job what its worker gets: a warm body, the bodies of a group, or a command.

Runs on: rank 1.
"""

from __future__ import annotations

import itertools
import logging
from typing import TYPE_CHECKING, Any

from snakemake_executor_plugin_daskmpi.client import job_errors
from snakemake_executor_plugin_daskmpi.inherited import Inherited
from snakemake_executor_plugin_daskmpi.messages import JobSpec, Member, Unit
from snakemake_executor_plugin_daskmpi.record.job_log import log_path
from snakemake_executor_plugin_daskmpi.snakemake_internals import evaluated
from snakemake_executor_plugin_daskmpi.snakemake_internals.group_needs import needs_of_member
from snakemake_executor_plugin_daskmpi.warm import body

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_log = logging.getLogger(__name__)


class Specs:
    """Makes the specs of one run.

    Parameters
    ----------
    run_id, run_dir
        Of the run; keys are unique within it, and jobs' logs lie below its directory.
    command_of
        Returns the command line of a spawned job.
    say
        Given a line for each job that does not go warm.
    """

    def __init__(
        self, run_id: str, run_dir: Path, command_of: Callable[[Any], str], say: Callable[[str], None]
    ) -> None:
        self._run_id = run_id
        self._run_dir = run_dir
        self._command_of = command_of
        self._say = say
        self._numbers = itertools.count(1)
        #: What jobs inherit from this process from now on.
        self.inherited = Inherited()

    def spec_of(self, job: Any, obstacle: str) -> JobSpec:
        """Return the spec of a job or a group, which goes warm unless there is an obstacle."""
        if not obstacle:
            try:
                return self._warm_group(job) if job.is_group() else self._warm(job)
            except Exception as error:  # noqa: BLE001 - whatever a user's object raises: it is spawned then
                obstacle = f"it cannot be packed: {type(error).__name__}: {error}"
        self._say(f"daskmpi: {job_errors.job_text(job)} is spawned: {obstacle}")
        return self._spec(job, command=self._command_of(job))

    def _warm(self, job: Any, *, is_member: bool = False, known: bool = True) -> JobSpec:
        if known or not evaluated.has_functions(job):
            try:
                packed, is_reusable = body.pack_recorded(job, is_member=is_member)
                return self._spec(job, body=packed, reusable=is_reusable)
            except Exception as error:  # noqa: BLE001 - whatever a user's code raises: its own process shows it then
                _log.debug("%s needs a parse: %r", job, error)
        packed = body.pack_parsed(job, is_member=is_member, known=known)
        return self._spec(job, body=packed, needs_parse=True)

    def _warm_group(self, group: Any) -> JobSpec:
        units = list(evaluated.units(group))
        unit_of = {id(job): number for number, (jobs, _) in enumerate(units) for job in jobs}
        return self._spec(
            group,
            units=tuple(
                Unit(
                    # Files of other members may change what a function in params or resources says.
                    tuple(self._member(job, known=not before) for job in jobs),
                    after=tuple(sorted({unit_of[id(job)] for job in before})),
                )
                for jobs, before in units
            ),
        )

    def _member(self, job: Any, *, known: bool) -> Member:
        asked = needs_of_member(job)
        spec = self._warm(job, is_member=True, known=known)
        return Member(spec, asked.cores, asked.mem_mb, asked.disk_mb, asked.gpus, is_service=job.is_service)

    def _spec(self, job: Any, **rest: Any) -> JobSpec:
        log = log_path(self._run_dir, job.name, job.jobid, job.attempt)
        mpi = "" if job.is_group() else str(job.resources.get("mpi") or "")
        key = f"{self._run_id}-{next(self._numbers)}"
        return JobSpec(key, job_errors.job_text(job), job.name, str(log), mpi=mpi, inherited=self.inherited, **rest)
