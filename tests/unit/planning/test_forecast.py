"""Forecasts: when jobs end, and how busy workers are."""

from __future__ import annotations

import pytest

from demands import demand, many, need
from snakemake_executor_plugin_daskmpi.planning.demand import Demand, Job, Need
from snakemake_executor_plugin_daskmpi.planning.forecast import SLICES, forecast_of
from snakemake_executor_plugin_daskmpi.resources import JobResources, Steering
from snakemake_executor_plugin_daskmpi.slurm.plan import Component, Plan


def plan(*components: Component) -> Plan:
    return Plan(components, walltime_min=60)


ALIKE = plan(Component("workers", ("",), n_tasks=4, cpus_per_task=4, mem_per_cpu_mb=1000))


def test_jobs_share_the_workers_but_not_with_ranks_0_and_1() -> None:
    forecast = forecast_of(ALIKE, demand(many(8, "a", 2, 1000, 10)))
    assert (forecast.makespan_min, forecast.utilisation) == (20, 1)
    assert [(each.component, each.workers, each.cores, each.jobs) for each in forecast.activities] == [
        ("workers", 2, 8, 8)
    ]


def test_all_tasks_of_further_jobs_are_workers() -> None:
    head = Component("head", (), n_tasks=2, cpus_per_task=1, mem_per_cpu_mb=512)
    further = Component("workers", ("",), n_tasks=2, cpus_per_task=4, mem_per_cpu_mb=1000)
    jobs = (Job("a", need(4, minutes=10)), Job("b", need(4, minutes=5)), Job("c", need(4, minutes=5), after=(0,)))
    forecast = forecast_of(Plan((head,), 60, further=(further,)), Demand(jobs))
    (activity,) = forecast.activities
    assert (forecast.makespan_min, activity.workers, activity.cores) == (15, 2, 8)
    assert sum(end - start for spans in activity.spans for start, end in spans) == 20


def test_a_job_waits_for_those_before_it() -> None:
    jobs = (Job("a", need(minutes=10)), Job("b", need(minutes=5), after=(0,)), Job("c", need(minutes=7)))
    forecast = forecast_of(ALIKE, Demand(jobs))
    assert forecast.makespan_min == 15
    assert forecast.utilisation == pytest.approx(22 / 15 / 8)


def test_local_jobs_take_time_but_no_worker() -> None:
    local = Need(JobResources(cores=64, mem_mb=10**6), Steering(), 4, is_local=True)
    jobs = (Job("a", need(minutes=10)), Job("b", local, after=(0,)), Job("c", need(minutes=1), after=(1,)))
    forecast = forecast_of(ALIKE, Demand(jobs))
    assert (forecast.makespan_min, forecast.activities[0].jobs) == (15, 2)


def test_jobs_go_to_components_that_serve_them() -> None:
    both = plan(
        Component("head", (), n_tasks=2, cpus_per_task=1, mem_per_cpu_mb=512),
        Component("workers", ("",), n_tasks=1, cpus_per_task=4, mem_per_cpu_mb=1000),
        Component("own", ("own",), n_tasks=1, cpus_per_task=4, mem_per_cpu_mb=1000),
    )
    forecast = forecast_of(both, demand(many(8, "a"), many(2, "b", own="own")))
    assert [each.rules for each in forecast.activities] == [{"a": 8}, {"b": 2}]
    assert [forecast.utilisation_of(each) for each in forecast.activities] == [1, 0.25]


def test_a_program_of_many_tasks_takes_several_workers() -> None:
    forecast = forecast_of(ALIKE, demand(many(2, "mpi", 2, 1000, 10, tasks=4)))
    assert (forecast.makespan_min, forecast.utilisation) == (20, 1)


def test_the_busy_cores_add_up_to_the_work() -> None:
    jobs = [Job(f"r{i}", need(1 + i % 3, minutes=1 + i % 11), after=(i - 5,) if i > 4 else ()) for i in range(100)]
    forecast = forecast_of(ALIKE, Demand(tuple(jobs)))
    (workers,) = forecast.activities
    assert sum(workers.busy) / SLICES * forecast.makespan_min == pytest.approx(workers.core_min)
    assert workers.core_min == sum((1 + i % 3) * (1 + i % 11) for i in range(100))
    assert max(workers.busy) <= workers.cores + 1e-9
    assert min(workers.busy) >= -1e-9


def test_a_plan_that_cannot_hold_a_job_is_an_error() -> None:
    with pytest.raises(ValueError, match="fit no worker"):
        forecast_of(ALIKE, demand(many(1, "a", 5)))
