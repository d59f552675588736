"""Write the record of a run, which everything reads that looks at it: see :mod:`record.events`.

Runs on: rank 1; in the link's thread but for the first lines and the last one.

What happens in a turn of the loop is one write of whole lines, so that the record is whole whatever ends the run.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shlex
import socket
import sys
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snakemake_executor_plugin_daskmpi.client import job_errors
from snakemake_executor_plugin_daskmpi.messages import OutcomeKind
from snakemake_executor_plugin_daskmpi.record.events import FILE_NAME, VERSION, Kind
from snakemake_executor_plugin_daskmpi.resources import JobResources
from snakemake_executor_plugin_daskmpi.snakemake_internals import lineage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from snakemake_executor_plugin_daskmpi.client.job import Job
    from snakemake_executor_plugin_daskmpi.growth.further_job import FurtherJob
    from snakemake_executor_plugin_daskmpi.messages import Grant, JobOutcome, WorkerInfo
    from snakemake_executor_plugin_daskmpi.placement.deadline import Deadline
    from snakemake_executor_plugin_daskmpi.record.events import Reason


#: Why jobs are set aside that no reason is given for.
_NO_TIME = "its runtime is longer than the time that is left in the allocation"
#: Most jobs of a rule ask for the same.
_stated = functools.lru_cache(maxsize=256)(JobResources.stated)


#: Why jobs wait is for people. A look is followed by a pause of so many times what it took, 0.2 s with 1,000 workers;
#: and of so small a part of the run's time until then, since it may be some kilobytes.
_PAUSE_PER_COST, _LOOKS = 100, 1000


def _beyond(asked: JobResources, granted: JobResources) -> dict[str, Any]:
    """Return what of a request was granted in part, as it was asked for."""
    if asked == granted:
        return {}
    given = _stated(granted)
    return {name: value for name, value in _stated(asked).items() if value != given.get(name)}


class Recorder:
    """The record of one run.

    A disk that is full, or a folder that somebody removes, costs lines and is no reason to end the run.

    Parameters
    ----------
    run_dir
        Of the run; it exists.
    clock
        Seconds since the epoch.
    stopwatch
        Seconds that never go back.
    """

    def __init__(
        self,
        run_dir: Path,
        clock: Callable[[], float] = time.time,
        stopwatch: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock, self._stopwatch = clock, stopwatch
        self._began = self._next_look = stopwatch()
        #: Snakemake's thread adds to them, too.
        self._lines: deque[str] = deque()
        self._reasons: Sequence[Reason] = ()
        self._n_jobs = 0
        self._why_draining = ""
        self._set_aside: set[str] = set()
        self._local: set[int] = set()
        self._descriptor: int | None = None
        self._is_cut_off = False
        with contextlib.suppress(OSError):
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            self._descriptor = os.open(run_dir / FILE_NAME, flags, 0o600)

    # -- the run -------------------------------------------------------------------------------

    def begin(self, run_id: str, first_run: str, description: str, max_cores: int | None) -> None:
        """Note what run this is.

        Parameters
        ----------
        first_run
            Id of the run that began the chain that it is in.
        description
            Of the world.
        max_cores
            Those of ``--cores``, None without a limit.
        """
        program = Path(sys.argv[0])
        # As ``python -m snakemake`` has it, it is a file of that package.
        name = program.parent.name if program.name == "__main__.py" else program.name
        self._note(
            Kind.RUN,
            version=VERSION,
            run_id=run_id,
            first_run=first_run,
            command=shlex.join([name, *sys.argv[1:]]),
            workdir=str(Path.cwd()),
            host=socket.gethostname(),
            pid=os.getpid(),
            description=description,
            slurm_job=os.environ.get("SLURM_JOB_ID", ""),
            slurm_cluster=os.environ.get("SLURM_CLUSTER_NAME", ""),
            max_cores=max_cores,
        )
        self.flush()

    def dag(self, dag: Any) -> None:
        """Note how many jobs there are by rule, if that has changed."""
        if len(dag) != self._n_jobs:
            self._n_jobs, by_rule = len(dag), lineage.by_rule(dag)
            self._note(Kind.JOBS, by_rule=by_rule, patterns=lineage.patterns(dag, by_rule))

    def deadline(self, deadline: Deadline) -> None:
        """Note when the allocation ends."""
        now = self._clock()
        self._note(
            Kind.DEADLINE,
            ends_at=round(now + deadline.ends_jobs_in_s + deadline.margin_s, 3),
            drains_at=round(now + deadline.drains_in_s, 3),
            said_by=deadline.said_by,
        )

    def drain(self, why: str) -> None:
        """Note that nothing starts any more, if there is a reason and it was not noted yet."""
        if why and why != self._why_draining:
            self._why_draining = why
            self._note(Kind.DRAIN, why=why)

    def end(self, done: int, total: int, failed: int, *, is_interrupted: bool = False) -> None:
        """Note that the run ends in order; whether somebody, or Snakemake, has broken it off."""
        self._note(Kind.END, done=done, total=total, failed=failed, is_interrupted=is_interrupted)

    # -- workers -------------------------------------------------------------------------------

    def worker(self, info: WorkerInfo) -> None:
        """Note that a worker has joined."""
        offer = info.offer
        self._note(
            Kind.WORKER,
            worker=info.name,
            host=info.host,
            het_group=info.het_group,
            **{name: offer[name] for name in ("cores", "mem_mb", "disk_mb", "gpus", "components")},
            **({"allocation": info.allocation} if info.allocation else {}),
            **({"ends_at": round(self._clock() + info.ends_in_s, 3)} if info.ends_in_s is not None else {}),
        )

    def worker_lost(self, name: str, jobs: Iterable[Job], *, comes_back: bool) -> None:
        """Note that a worker was lost; of the jobs that it had, those that have no worker now wait again."""
        waits = [job.key for job in jobs if job.worker is None]
        self._note(Kind.WORKER_LOST, worker=name, comes_back=comes_back, waits=waits)

    def worker_left(self, name: str, why: str) -> None:
        """Note that a worker has left in order."""
        self._note(Kind.WORKER_LEFT, worker=name, why=why)

    def allocation(self, job: FurtherJob, *, why: str = "") -> None:
        """Note how far a further Slurm job is."""
        (component,) = job.plan.components
        self._note(
            Kind.ALLOCATION,
            allocation=job.job_id,
            phase=job.phase.value,
            workers=component.n_tasks,
            cores=component.cpus_per_task,
            mem_mb=component.cpus_per_task * component.mem_per_cpu_mb,
            gpus=component.gpus_per_task,
            partition=component.partition,
            walltime_min=job.plan.walltime_min,
            why=why,
        )

    # -- jobs ----------------------------------------------------------------------------------

    def submitted(self, job: Job, again_of: str = "") -> None:
        """Note that Snakemake has handed over a job, or that one waits again which was ended under another key."""
        its = job.info.job
        for local in lineage.local_before(its, self._local):
            self._note(Kind.LOCAL, jobid=local.jobid, rule=local.rule.name, needs=lineage.needs(local))
        members = lineage.members_by_rule(its)
        wish = _beyond(job.asked or job.wish, job.request)
        self._note(
            Kind.SUBMITTED,
            job=job.key,
            name=job.spec.name,
            rule=job.spec.kind,
            jobid=its.jobid,
            attempt=its.attempt,
            outputs=lineage.outputs(its),
            needs=lineage.needs(its),
            asks=_stated(job.request),
            priority=job.priority,
            n_behind=job.n_behind,
            **({"wish": wish} if wish else {}),
            **({"again_of": again_of} if again_of else {}),
            **({"members": members, "member_ids": lineage.member_ids(its)} if members else {}),
        )

    def started(self, job: Job, worker: str, grant: Grant) -> None:
        """Note that a job was sent to a worker."""
        rest: dict[str, Any] = {"after": grant.after} if grant.after else {}
        if grant.gpus:
            rest["gpus"] = grant.gpus
        self._note(Kind.STARTED, job=job.key, worker=worker, cores=grant.cores, **rest)

    def ended(self, job: Job, outcome: JobOutcome) -> None:
        """Note how a job has ended."""
        values = {
            "worker": outcome.worker,
            "started_at": round(outcome.started_at, 3),
            "ended_at": round(outcome.ended_at, 3),
            "signal": outcome.signal,
            "reason": outcome.obstacle or outcome.reason,
            "peak_rss_mb": outcome.peak_rss_mb,
            "peak_pss_mb": outcome.peak_pss_mb,
            "cpu_s": round(outcome.cpu_s, 3),
            "log": outcome.log,
            "rule_logs": [] if outcome.kind is OutcomeKind.OK else job_errors.rule_logs(job.info.job),
        }
        known = {name: value for name, value in values.items() if value}
        if outcome.exit_code is not None:
            known["exit_code"] = outcome.exit_code
        kind = "spawned-instead" if outcome.obstacle else outcome.kind.value
        self._note(Kind.ENDED, job=job.key, outcome=kind, **known)

    def rejected(self, key: str) -> None:
        """Note that Snakemake takes a job for failed whose body ended well."""
        self._note(Kind.REJECTED, job=key)

    def set_aside(self, jobs: Iterable[Job], why: str) -> None:
        """Note that jobs do not start in this run, those not noted yet; without a reason, for lack of time."""
        keys = [job.key for job in jobs if job.key not in self._set_aside]
        if keys:
            self._set_aside.update(keys)
            self._note(Kind.SET_ASIDE, jobs=keys, why=why or _NO_TIME)

    def waiting(self, look: Callable[[], Sequence[Reason]]) -> None:
        """Note why jobs wait, if it is time to look, and that has changed."""
        if (now := self._stopwatch()) < self._next_look:
            return
        reasons = look()
        cost_s = self._stopwatch() - now
        self._next_look = now + max(cost_s * _PAUSE_PER_COST, (now - self._began) / _LOOKS)
        if reasons != self._reasons:
            self._reasons = reasons
            self._note(Kind.WAITING, reasons=[reason._asdict() for reason in reasons])

    # -- the file ------------------------------------------------------------------------------

    def _note(self, kind: Kind, **fields: Any) -> None:
        self._lines.append(json.dumps({"event": kind.value, "time": round(self._clock(), 3), **fields}))

    def flush(self) -> None:
        """Write what was noted since the last time."""
        lines = [self._lines.popleft() for _ in range(len(self._lines))]
        if lines and self._descriptor is not None:
            # What a full disk has cut off must not swallow the line that follows.
            text = ("\n" * self._is_cut_off + "\n".join(lines) + "\n").encode()
            with contextlib.suppress(OSError):
                self._is_cut_off = os.write(self._descriptor, text) < len(text)

    def show_life(self) -> None:
        """Show those who look at the file that this process lives: by the time of its last change."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.utime(self._descriptor)

    def close(self) -> None:
        """Write what is left, and close the file."""
        self.flush()
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)
