"""What a plan promises of any demand: every job fits, and no limit is passed."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from demands import SITE, need
from required import at_night
from snakemake_executor_plugin_daskmpi.planning.demand import Demand, Job
from snakemake_executor_plugin_daskmpi.planning.planner import plan_of
from snakemake_executor_plugin_daskmpi.settings.flags import Settings

if TYPE_CHECKING:
    from snakemake_executor_plugin_daskmpi.slurm.plan import Component


def demand_of(rng: random.Random) -> Demand:
    steerings = [{}, {}, {"own": "x"}, {"partition": "gpu", "gpus": 1}, {"partition": "gpu"}, {"account": "bio"}]
    jobs = []
    for index in range(rng.randrange(1, 40)):
        one = need(rng.choice([1, 2, 3]), rng.choice([100, 1000, 4000, 6000]), rng.choice([1, 5, 30]))
        if rng.random() < 0.6:
            one = need(one.cores, one.resources.mem_mb, int(one.minutes), **rng.choice(steerings))
        before = tuple(sorted(rng.sample(range(index), min(index, rng.choice([0, 0, 1, 2])))))
        jobs.append(Job(f"r{index % 5}", one, after=before))
    return Demand(tuple(jobs))


def holds(component: Component, job: Job) -> bool:
    asked = job.need.resources
    return (
        asked.component in component.serves
        and asked.cores <= component.cpus_per_task
        and asked.mem_mb <= component.cpus_per_task * component.mem_per_cpu_mb
        and asked.gpus <= component.gpus_per_task
    )


@pytest.mark.parametrize("seed", [*range(8), *at_night(range(8, 25))])
def test_every_job_fits_a_worker_that_serves_it_and_no_limit_is_passed(seed: int) -> None:
    rng = random.Random(seed)
    demand = demand_of(rng)
    settings = Settings(
        max_components=rng.choice([4, 5]),
        max_workers=rng.choice([4, 8, 16]),
        max_cores=rng.choice([None, 24]),
    )
    plan = plan_of(demand, SITE, settings)
    for job in demand.jobs:
        assert any(holds(component, job) for component in plan.components)
    assert len(plan.components) <= settings.max_components
    assert 1 <= plan.n_workers <= settings.max_workers
    cores = sum(component.n_tasks * component.cpus_per_task for component in plan.components)
    assert cores - 2 * plan.components[0].cpus_per_task <= (settings.max_cores or 10**6)
    assert plan.makespan_min <= plan.walltime_min <= 600
    for partition in SITE.partitions:
        here = [component for component in plan.components if component.partition == partition.name]
        (node,) = partition.nodes
        nodes = 0
        for c in here:
            per_node = min(node.cpus // c.cpus_per_task, node.mem_mb // (c.cpus_per_task * c.mem_per_cpu_mb))
            per_node = min(per_node, node.n_gpus // c.gpus_per_task if c.gpus_per_task else per_node)
            nodes += -(-c.n_tasks // per_node)
        assert nodes <= node.count


@pytest.mark.parametrize("seed", [*range(8), *at_night(range(8, 25))])
def test_a_run_that_may_grow_has_its_workers_from_the_start_or_none(seed: int) -> None:
    rng = random.Random(seed)
    demand, grow = demand_of(rng), rng.choice([1, 3, 9])
    usual, plan = (plan_of(demand, SITE, Settings(max_components=5, grow=n)) for n in (0, grow))
    assert plan.makespan_min == usual.makespan_min
    assert plan.n_workers + sum(component.n_tasks for component in plan.further) == usual.n_workers
    for job in demand.jobs:
        assert any(holds(component, job) for component in (*plan.components, *plan.further))
    if plan.further:
        assert [(component.n_tasks, component.serves) for component in plan.components] == [(2, ())]
        assert plan.walltime_min >= plan.makespan_min
    else:
        assert plan.components == usual.components
    assert sum("--daskmpi-grow" in text for text in (plan.why, *plan.notes)) >= 1
