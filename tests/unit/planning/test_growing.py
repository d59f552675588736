"""A run that may grow: when ranks 0 and 1 are alone and workers come and go, and when all are there from the start."""

from __future__ import annotations

from dataclasses import replace

import pytest

from demands import BIG, GPU, MAIN, SITE, demand, many, need
from snakemake_executor_plugin_daskmpi.errors import LaunchError
from snakemake_executor_plugin_daskmpi.planning.demand import Demand, Job
from snakemake_executor_plugin_daskmpi.planning.forecast import forecast_of
from snakemake_executor_plugin_daskmpi.planning.planner import plan_of
from snakemake_executor_plugin_daskmpi.planning.table import render_plan
from snakemake_executor_plugin_daskmpi.settings.flags import Settings
from snakemake_executor_plugin_daskmpi.slurm.plan import Component
from snakemake_executor_plugin_daskmpi.slurm.site import NodeType, Partition, Site

HEAD = Component("head", (), n_tasks=2, cpus_per_task=1, mem_per_cpu_mb=512, partition="main")
#: A hundred small jobs for two hours and a half, then some with a GPU for an hour.
GPUS_LAST = demand(
    many(100, "count", 1, 1000, 30),
    [Job("train", need(4, 16000, 30, gpus=1, partition="gpu"), after=tuple(range(100)))] * 4,
)
#: As much at the same time.
AT_ONCE = demand(many(50, "align", 4, 6000, 20))
#: Three jobs in a row, fifteen hours together.
CHAIN = Demand(tuple(Job("a", need(minutes=300), after=(i - 1,) if i else ()) for i in range(3)))
#: Fifteen hours and more on the workers that there may be, though no job waits for another one.
MUCH = demand(many(400, "a", 1, 1000, 60))

PRINTED = """\
Jobs: 104 for workers, 0 local
  rules  jobs  threads  mem_mb  gpu  runtime  component
  count   100        1    1000    0   30 min  workers
  train     4        4   16000    1   30 min  gpu

Slurm job: 2 ranks: scheduler and client
  component  ranks  CPUs each  MB each  GPUs each  partition  further
  head           2          1      512          -  main

Further Slurm jobs, at most 2 at a time, as forecast:
  component  workers  CPUs each  MB each  GPUs each  partition  further
  workers         14          2     2272          -  main
  gpu              2          4    16256          1  gpu

Forecast: 3 h with these workers there whenever jobs wait; the longest chain of jobs takes 1 h.
Walltime: 10:00:00
  workers |██████████████████████████████▅▅▅▅▅▅▅▅▅▅                    | 60% of 28 cores, 100 jobs
  gpu     |                                        ████████████████████| 33% of 8 cores, 4 jobs
           0                                                        3 h

Why: With --daskmpi-grow: ranks 0 and 1 alone, and workers that come and go: about 82.0 core-hours; with all workers \
from the start 120.4.
Note: There are 16 workers because of --daskmpi-max-workers.
"""


def test_workers_that_would_idle_for_long_come_and_go() -> None:
    plan = plan_of(GPUS_LAST, SITE, Settings(grow=2))
    assert plan.components == (HEAD,)
    assert [component.name for component in plan.further] == ["workers", "gpu"]
    assert (plan.n_ranks, plan.n_workers, plan.components_setting) == (2, 0, "")
    assert render_plan(plan, GPUS_LAST, forecast_of(plan, GPUS_LAST), 2) == PRINTED


def test_what_it_costs_is_what_the_site_cannot_give_to_others() -> None:
    # Twelve times five jobs of 20 minutes, then one of three hours.
    jobs = demand(many(60, "a", 4, 6000, 20), [Job("last", need(1, 1000, 180), after=tuple(range(60)))])
    plan = plan_of(jobs, SITE, Settings(grow=9, walltime="8h"))
    (workers,) = plan.further
    assert (workers.n_tasks, workers.cpus_per_task, plan.makespan_min) == (5, 4, 7 * 60)
    assert f"with all workers from the start {7 * (5 * 4 + 2):.1f}." in plan.why
    # One worker works to the end. The others, in two further Slurm jobs, idle for five minutes before they go.
    there_h = 5 * 4 + 3 + 4 * 5 / 60
    assert f"about {7 * 2 + 4 * there_h / 0.875:.1f} core-hours" in plan.why


def test_workers_that_are_busy_to_the_end_are_there_from_the_start() -> None:
    usual, plan = (plan_of(AT_ONCE, SITE, Settings(grow=grow)) for grow in (0, 4))
    assert replace(plan, notes=()) == usual
    (note,) = plan.notes
    assert note == (
        "With --daskmpi-grow 4: all workers of this plan from the start, about 78.0 core-hours; with ranks 0 and 1 "
        "alone, and workers that come and go, 83.7, which is not clearly less."
    )


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"grow": 1}, "but they are of 2 kinds, more than there may be at a time."),
        ({"grow": 2, "workers": 16}, "but --daskmpi-workers asks for 16."),
        ({"grow": 2, "shrink": "10h"}, "which is not clearly less."),
        (
            {"grow": 2, "grow_walltime": "20m"},
            "since a job of rule count takes longer than --daskmpi-grow-walltime 20m",
        ),
    ],
)
def test_all_workers_are_there_from_the_start_and_the_plan_says_why(settings, why) -> None:
    plan = plan_of(GPUS_LAST, SITE, Settings(**settings))
    assert plan.n_workers
    assert not plan.further
    assert why in plan.notes[0]


def test_the_walltime_is_generous_within_the_limit_unless_it_is_given() -> None:
    site = replace(SITE, partitions=(replace(MAIN, max_minutes=None), GPU, BIG))
    assert plan_of(GPUS_LAST, site, Settings(grow=2)).walltime_min == 4 * 180
    assert plan_of(GPUS_LAST, SITE, Settings(grow=2)).walltime_min == 600, "the limit"
    plan = plan_of(GPUS_LAST, SITE, Settings(grow=2, walltime="9h"))
    assert plan.further
    assert plan.walltime_min == 540


def test_ranks_0_and_1_are_where_they_may_be_as_long_as_all_workers_take() -> None:
    plan = plan_of(MUCH, SITE, Settings(grow=1))
    assert [component.partition for component in (*plan.components, *plan.further)] == ["gpu", "main"]
    assert plan.why.startswith(
        "With --daskmpi-grow: ranks 0 and 1 alone, and workers that come and go, since all workers from the start "
        f"would need {plan.makespan_min / 60:.0f} h, and partition main allows 10 h: about "
    )
    assert plan.walltime_min == 4 * plan.makespan_min
    usual = plan_of(MUCH, replace(SITE, partitions=(MAIN,)), Settings(grow=1))
    assert usual.n_workers, "in the same partition they could be no longer than the workers"
    assert any("the same command then continues" in note for note in usual.notes)


def test_a_chain_that_is_too_long_for_the_workers_partition_can_be_if_ranks_0_and_1_last() -> None:
    plan = plan_of(CHAIN, SITE, Settings(grow=1))
    assert [component.partition for component in (*plan.components, *plan.further)] == ["gpu", "main"]
    assert "since the longest chain of jobs takes 15 h, and partition main allows 10 h: about 47.1 core-hours." in (
        plan.why
    )
    for site, settings in ((replace(SITE, partitions=(MAIN,)), Settings(grow=1)), (SITE, Settings())):
        plan = plan_of(CHAIN, site, settings)
        assert plan.n_workers, "from the start"
        assert plan.walltime_min == MAIN.max_minutes
        assert any("which needs about 15 h: the same command then continues" in note for note in plan.notes)


def test_a_walltime_beyond_the_workers_partition_is_that_of_ranks_0_and_1() -> None:
    plan = plan_of(CHAIN, SITE, Settings(grow=1, walltime="20h"))
    assert (plan.components[0].partition, plan.walltime_min) == ("gpu", 1200)
    assert "since --daskmpi-walltime is 20 h, and partition main allows 10 h" in plan.why
    with pytest.raises(LaunchError, match="A walltime of 20 h is above the limit of partition main"):
        plan_of(CHAIN, replace(SITE, partitions=(MAIN,)), Settings(grow=1, walltime="20h"))


def test_kinds_of_workers_that_cannot_be_there_at_a_time_take_longer_and_the_plan_says_so() -> None:
    jobs = demand(list(CHAIN.jobs), many(1, "train", 4, 16000, 30, gpus=1, partition="gpu"))
    plan = plan_of(jobs, SITE, Settings(grow=1))
    assert len(plan.further) == 2
    assert plan.notes == (
        (
            "The workers are of 2 kinds, and --daskmpi-grow 1 has not all of them at a time: it takes longer than "
            "this forecast."
        ),
    )


def test_ranks_0_and_1_need_a_node_beside_the_workers() -> None:
    one = Site("one", "22.05.8", (Partition("main", (NodeType(1, 16, 32000),), is_default=True),))
    plan = plan_of(demand(many(20, "a", 1, 500)), one, Settings(grow=2))
    assert plan.n_workers
    assert "since there is no node on which ranks 0 and 1 could be alone" in plan.notes[0]


def test_arguments_of_sbatch_may_be_for_ranks_0_and_1_wherever_they_come_to_be() -> None:
    lines = "--nice=1\nhead: --comment=head\ngpu: --exclusive"
    plan = plan_of(GPUS_LAST, SITE, Settings(grow=2, sbatch_args=lines))
    assert [component.extra for component in (*plan.components, *plan.further)] == [
        ("--nice=1", "--comment=head"),
        ("--nice=1",),
        ("--nice=1", "--exclusive"),
    ]
    with pytest.raises(LaunchError, match="There is no component 'head'"):
        plan_of(GPUS_LAST, SITE, Settings(sbatch_args=lines))
    assert plan_of(GPUS_LAST, SITE, Settings(grow=1, sbatch_args=lines)).n_workers


def test_hyperthreads_are_for_ranks_0_and_1_alone() -> None:
    plan = plan_of(GPUS_LAST, SITE, Settings(grow=2, hyperthread=True))
    assert [component.multithread for component in (*plan.components, *plan.further)] == [True, False, False]
    assert not [note for note in plan.notes if "hyperthread" in note]
