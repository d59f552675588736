"""Run the jobs of a group inside one grant: in their order, side by side as its cores and memory allow.

Runs on: ranks >= 2, in the Dask worker's process and event loop.

As Snakemake has it for groups: when a member fails, none starts any more, and those that run are let end; only what
pipes and services tie to the failed one, and would wait for it for ever, is killed.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.messages import (
    Grant,
    JobOutcome,
    JobSpec,
    Member,
    OutcomeKind,
    Unit,
    exit_text,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


@dataclass(slots=True)
class Group:
    """One group of jobs on its worker.

    Parameters
    ----------
    spec, grant
        The group's. A unit that needs more than the grant runs when nothing else does.
    run
        Runs one member to its end.
    end
        Ends one member by its key, if it still runs: SIGTERM, later SIGKILL.
    """

    spec: JobSpec
    grant: Grant
    run: Callable[[JobSpec, Grant], Awaitable[JobOutcome]]
    end: Callable[[str], Awaitable[None]]
    #: Set from outside: no member starts any more.
    stopped: bool = False
    _cores: list[int] = field(default_factory=list)
    _gpus: list[str] = field(default_factory=list)
    _mem_mb: int = 0
    _disk_mb: int = 0
    _outcomes: list[JobOutcome] = field(default_factory=list)
    _failed: tuple[Member, JobOutcome] | None = None
    _began_at: float = 0.0

    async def outcome(self) -> JobOutcome:
        """Run all members and return how the group ended."""
        self._began_at = time.time()
        self._cores, self._gpus = list(self.grant.cores), list(self.grant.gpus)
        self._mem_mb, self._disk_mb = self.grant.mem_mb, self.grant.disk_mb
        waiting, ended = dict(enumerate(self.spec.units)), set[int]()
        running: dict[asyncio.Task[None], int] = {}
        while True:
            for index, unit in list(waiting.items()):
                if self._goes_on and ended.issuperset(unit.after) and (not running or self._fits(unit)):
                    running[asyncio.create_task(self._run_unit(unit, self._take(unit)))] = index
                    del waiting[index]
            if not running:
                return self._result(n_left=len(waiting))
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
                ended.add(running.pop(task))

    @property
    def _goes_on(self) -> bool:
        return not self.stopped and self._failed is None

    # -- what is free of the grant -------------------------------------------------------------------

    def _fits(self, unit: Unit) -> bool:
        members = unit.members
        return (
            sum(member.cores for member in members) <= len(self._cores)
            and sum(member.gpus for member in members) <= len(self._gpus)
            and sum(member.mem_mb for member in members) <= self._mem_mb
            and sum(member.disk_mb for member in members) <= self._disk_mb
        )

    def _take(self, unit: Unit) -> list[Grant]:
        """Take what each member of a unit needs."""
        grants = []
        for member in unit.members:
            cores, self._cores = self._cores[: member.cores], self._cores[member.cores :]
            gpus, self._gpus = self._gpus[: member.gpus], self._gpus[member.gpus :]
            self._mem_mb, self._disk_mb = self._mem_mb - member.mem_mb, self._disk_mb - member.disk_mb
            grants.append(Grant(tuple(cores), tuple(gpus), member.mem_mb, member.disk_mb, bind=self.grant.bind))
        return grants

    def _give_back(self, grant: Grant) -> None:
        self._cores += grant.cores
        self._gpus += grant.gpus
        self._mem_mb, self._disk_mb = self._mem_mb + grant.mem_mb, self._disk_mb + grant.disk_mb

    # -- members ---------------------------------------------------------------------------------------

    async def _run_unit(self, unit: Unit, grants: list[Grant]) -> None:
        """Run the members of a unit at the same time, its services as long as others use them."""
        tasks = [asyncio.create_task(self._run_member(*pair)) for pair in zip(unit.members, grants, strict=True)]
        users = {task for task, member in zip(tasks, unit.members, strict=True) if not member.is_service}
        running = set(tasks)
        while users & running and not self._has_failed(unit):
            # Services, too: the users of one that was killed for its memory would wait for it for ever.
            _, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        # What is left are services, and what a failed member leaves waiting at the other end of a pipe.
        left = [member.spec.key for task, member in zip(tasks, unit.members, strict=True) if not task.done()]
        await asyncio.gather(*map(self.end, left), *tasks)

    def _has_failed(self, unit: Unit) -> bool:
        return self._failed is not None and self._failed[0] in unit.members

    async def _run_member(self, member: Member, grant: Grant) -> None:
        outcome = await self.run(member.spec, grant)
        self._give_back(grant)
        lost = outcome.kind in (OutcomeKind.LOST, OutcomeKind.OUT_OF_MEMORY)
        if outcome.kind is OutcomeKind.OK or (member.is_service and not lost):
            self._outcomes.append(outcome)
        elif self._failed is None:
            self._failed = (member, outcome)

    def _result(self, n_left: int) -> JobOutcome:
        if self._failed is None:
            # Something is left only if the group was told to stop.
            kind = OutcomeKind.CANCELLED if n_left else OutcomeKind.OK
            first = self._outcomes[0] if self._outcomes else JobOutcome(self.spec.key, kind)
            starts, ends = [o.started_at for o in self._outcomes], [o.ended_at for o in self._outcomes]
            return JobOutcome(
                self.spec.key,
                kind,
                worker=first.worker,
                host=first.host,
                exit_code=0,
                started_at=min(starts, default=0.0),
                ended_at=max(ends, default=0.0),
                requested_mb=self.grant.mem_mb,
                peak_rss_mb=max((o.peak_rss_mb for o in self._outcomes), default=0),
                peak_pss_mb=max((o.peak_pss_mb for o in self._outcomes), default=0),
                cpu_s=sum(o.cpu_s for o in self._outcomes),
            )
        member, outcome = self._failed
        why = outcome.reason or f"it ended with {exit_text(outcome.exit_code, outcome.signal)}"
        return outcome._replace(
            key=self.spec.key,
            reason=f"of its jobs, {member.spec.name} failed: {why}",
            log=member.spec.log,
            shadow_dir=None,
            started_at=self._began_at,
            ended_at=time.time(),
        )
