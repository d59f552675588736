"""The figures of one run: all that a report tells.

Runs on: wherever somebody asks for a report. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.record.run_view import State
from snakemake_executor_plugin_daskmpi.report.chain import Link, longest_chain
from snakemake_executor_plugin_daskmpi.report.history import RunHistory
from snakemake_executor_plugin_daskmpi.report.idle import Idle, idle_by_reason
from snakemake_executor_plugin_daskmpi.report.rules import RuleFigures, rule_figures
from snakemake_executor_plugin_daskmpi.report.steps import Steps

if TYPE_CHECKING:
    from pathlib import Path

    from snakemake_executor_plugin_daskmpi.record.run_view import JobView
    from snakemake_executor_plugin_daskmpi.report.allocation import AllocationFigures

#: As many as a wide screen tells apart.
N_BINS = 400


@dataclass(frozen=True, slots=True)
class KeyFigures:
    """A run in a few numbers; those of jobs are the sums of :attr:`RunFigures.rules`."""

    #: Of the DAG, without those that Snakemake runs itself.
    n_jobs: int
    n_done: int
    #: Jobs whose last attempt failed.
    n_failed: int
    #: Attempts whose worker died; an attempt of a group is one of each of its jobs.
    n_lost: int
    #: Attempts after the first one of a job.
    n_retries: int
    n_workers: int
    n_workers_lost: int
    makespan_s: float
    #: By workers, while they were there.
    offered_core_h: float
    #: That were some job's own.
    granted_core_h: float
    #: That jobs computed; those that have ended.
    cpu_core_h: float
    idle_core_h: float
    #: Granted by offered, None if nothing was offered.
    utilisation: float | None
    #: Computed by granted: low where jobs wait for disks, or have more cores than they use.
    cpu_share: float | None


@dataclass(frozen=True, slots=True)
class WorkerFigures:
    """One life of a worker."""

    name: str
    host: str
    n_cores: int
    mem_mb: int
    n_gpus: int
    #: Number of the component of the hetjob that it was in, None outside of one.
    het_group: int | None
    #: What components it took the jobs of, "" for jobs that name none; None if of all.
    components: list[str] | None
    joined_at: float
    #: None if it was there to the end, or has left in order.
    lost_at: float | None
    comes_back: bool
    #: None if it was there to the end, or was lost.
    left_at: float | None
    #: Slurm's id of the further allocation that it had joined with; "" for one of the run's own.
    allocation: str
    n_attempts: int
    #: Of its cores, None if it was not there.
    utilisation: float | None


@dataclass(frozen=True, slots=True)
class Failure:
    """An attempt that did not end well, of a job or of a group."""

    key: str
    name: str
    rule: str
    attempt: int
    worker: str
    outcome: str
    exit_code: int | None
    signal: int | None
    reason: str
    #: Its path, "" if there is none.
    log: str
    ended_at: float | None
    #: Whether a later attempt was done.
    done_later: bool


@dataclass(frozen=True, slots=True)
class Series:
    """Means over bins of equal width from the start to the end of a run."""

    begin: float
    bin_s: float
    cores_offered: list[float]
    cores_granted: list[float]
    #: Memory in MB that workers offered, and that running jobs had asked for.
    mem_offered_mb: list[float]
    mem_granted_mb: list[float]
    gpus_offered: list[float]
    gpus_granted: list[float]
    #: All jobs of a group wait, and run, with it.
    jobs_waiting: list[float]
    jobs_running: list[float]
    #: Cores, by :class:`Idle`.
    idle: dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class RunFigures:
    """One run."""

    run_id: str
    #: Id of the run that began the chain of runs that it is in, its own if none was before it.
    first_run: str
    command: str
    workdir: str
    host: str
    description: str
    slurm_job: str
    #: ``ended``, ``goes_on`` or ``broke_off``.
    end: str
    drain: str
    started_at: float
    until: float
    key: KeyFigures
    #: Core-hours, by :class:`Idle`.
    idle_core_h: dict[str, float]
    #: Those for which ready jobs were too large, by :class:`Lack`.
    too_large_core_h: dict[str, float]
    chain: list[Link]
    chain_s: float
    rules: list[RuleFigures]
    workers: list[WorkerFigures]
    failures: list[Failure]
    series: Series
    #: None outside of Slurm, or if nobody has asked.
    slurm: AllocationFigures | None
    #: Lines of the record that could not be used.
    n_skipped: int
    is_newer_format: bool


def figures_of(history: RunHistory, slurm: AllocationFigures | None = None) -> RunFigures:
    """Return all figures of a run, with those of the Slurm job that it was in."""
    about = history.about
    levels = _levels(history)
    idle = idle_by_reason(history)
    chain = longest_chain(history)
    rules = rule_figures(history)
    return RunFigures(
        run_id=str(about.get("run_id", history.folder.name)),
        first_run=history.first_run,
        **{name: str(about.get(name, "")) for name in ("command", "workdir", "host", "description", "slurm_job")},
        end=history.life.name.lower(),
        drain=history.drain,
        started_at=history.started_at,
        until=history.until,
        key=_key_figures(history, levels, rules),
        idle_core_h={reason.value: steps.total / 3600 for reason, steps in idle.by_reason.items()},
        too_large_core_h={lack.value: steps.total / 3600 for lack, steps in idle.by_lack.items()},
        chain=chain,
        chain_s=sum(link.seconds for link in chain),
        rules=rules,
        workers=_workers(history),
        failures=failures_of(history),
        series=_series(history, levels, idle.by_reason),
        slurm=slurm,
        n_skipped=history.n_unreadable,
        is_newer_format=history.is_newer_format,
    )


def history_of(folder: Path, now: float | None = None) -> RunHistory:
    """Return the history of a run; OSError if its record cannot be read."""
    return RunHistory(folder, now)


def _levels(history: RunHistory) -> dict[str, Steps]:
    """Return what there was over time, by the names of :class:`Series`."""
    names = [name for name in Series.__dataclass_fields__ if name.startswith(("cores_", "mem_", "gpus_", "jobs_"))]
    levels = {name: Steps() for name in names}
    for worker in history.all_workers:
        life = history.life_of(worker)
        levels["cores_offered"].add(*life, len(worker.cores))
        levels["mem_offered_mb"].add(*life, worker.mem_mb)
        levels["gpus_offered"].add(*life, len(worker.gpus))
    for job in history.jobs.values():
        levels["jobs_waiting"].add(*history.waiting_of(job), job.n_jobs)
        if (span := history.running_of(job)) is not None:
            levels["jobs_running"].add(*span, job.n_jobs)
            levels["cores_granted"].add(*span, history.cores_of(job))
            levels["mem_granted_mb"].add(*span, int(job.asks.get("mem_mb", 0)))
            levels["gpus_granted"].add(*span, len(job.gpus))
    return levels


def _series(history: RunHistory, levels: dict[str, Steps], idle: dict[Idle, Steps]) -> Series:
    begin, end = history.started_at, history.until
    return Series(
        begin=begin,
        bin_s=(end - begin) / N_BINS,
        idle={reason.value: steps.means(begin, end, N_BINS) for reason, steps in idle.items()},
        **{name: steps.means(begin, end, N_BINS) for name, steps in levels.items()},
    )


def _key_figures(history: RunHistory, levels: dict[str, Steps], rules: list[RuleFigures]) -> KeyFigures:
    offered, granted = (levels[name].total / 3600 for name in ("cores_offered", "cores_granted"))
    cpu = sum(float(job.ended.get("cpu_s", 0.0)) for job in history.jobs.values()) / 3600
    return KeyFigures(
        n_jobs=sum(rule.n_jobs for rule in rules),
        n_done=sum(rule.n_done for rule in rules),
        n_failed=sum(rule.n_failed for rule in rules),
        n_lost=sum(rule.n_lost for rule in rules),
        n_retries=sum(rule.n_retries for rule in rules),
        n_workers=len({worker.name for worker in history.all_workers}),
        n_workers_lost=sum(worker.lost_at is not None for worker in history.all_workers),
        makespan_s=history.until - history.started_at,
        offered_core_h=offered,
        granted_core_h=granted,
        cpu_core_h=cpu,
        idle_core_h=max(0.0, offered - granted),
        utilisation=granted / offered if offered else None,
        cpu_share=cpu / granted if granted else None,
    )


def _workers(history: RunHistory) -> list[WorkerFigures]:
    """Return each life of each worker, with what it did."""
    attempts: dict[str, list[JobView]] = {}
    for job in history.jobs.values():
        attempts.setdefault(job.worker, []).append(job)
    figures = []
    for worker in history.all_workers:
        joined, left = history.life_of(worker)
        spans = [
            (max(span[0], joined), min(span[1], left), len(job.cores))
            for job in attempts.get(worker.name, ())
            if (span := history.running_of(job)) is not None and joined <= span[0] <= left
        ]
        offered = len(worker.cores) * (left - joined)
        granted = sum((end - begin) * cores for begin, end, cores in spans)
        figures.append(
            WorkerFigures(
                name=worker.name,
                host=worker.host,
                n_cores=len(worker.cores),
                mem_mb=worker.mem_mb,
                n_gpus=len(worker.gpus),
                het_group=worker.het_group,
                components=None if worker.components is None else list(worker.components),
                joined_at=worker.joined_at,
                lost_at=worker.lost_at,
                comes_back=worker.comes_back,
                left_at=worker.left_at,
                allocation=worker.allocation,
                n_attempts=len(spans),
                utilisation=granted / offered if offered else None,
            )
        )
    return figures


def failures_of(history: RunHistory) -> list[Failure]:
    """Return the attempts that failed, in the order of their submission."""
    done = {job.jobid for job in history.current if job.state is State.DONE}
    return [
        Failure(
            key=job.key,
            name=job.name,
            rule=job.rule,
            attempt=job.attempt,
            worker=job.worker,
            outcome=job.outcome,
            exit_code=job.ended.get("exit_code"),
            signal=job.ended.get("signal"),
            reason=str(job.ended.get("reason", "")),
            log=history.log_of(job),
            ended_at=job.ended_at,
            done_later=job.jobid in done,
        )
        for job in history.jobs.values()
        if job.state is State.FAILED
    ]
