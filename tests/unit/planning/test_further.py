"""Further Slurm jobs: one component each, small enough to start soon, and refused where no node can hold a job."""

from __future__ import annotations

from dataclasses import replace

import pytest

from demands import MAIN, SITE, need
from snakemake_executor_plugin_daskmpi.errors import LaunchError, SettingsError
from snakemake_executor_plugin_daskmpi.planning.demand import Shape
from snakemake_executor_plugin_daskmpi.planning.further import Size, further_plans, plan_by_hand
from snakemake_executor_plugin_daskmpi.settings.flags import Settings


def shape(count: int, *args, **more) -> Shape:
    return Shape(need(*args, **more), count, ("r",))


def components(plans) -> list[tuple[str, int, int]]:
    return [(c.partition, c.n_tasks, c.cpus_per_task) for plan in plans for c in plan.components]


def test_what_waits_is_done_in_the_time_that_is_given():
    # 64 core-jobs of 5 minutes in 20 minutes: 16 cores.
    (plan,) = further_plans([shape(64)], SITE, Settings(), 20.0, 1).plans
    assert not plan.has_head
    assert plan.n_workers * plan.components[0].cpus_per_task == 16
    assert plan.walltime_min >= 40


def test_several_jobs_share_it_where_it_takes_several_nodes():
    plans = further_plans([shape(24, 8)], SITE, Settings(), 40.0, 3).plans
    assert components(plans) == [("main", 1, 8)] * 3


def test_each_kind_of_worker_is_a_job_of_its_own():
    shapes = [shape(24, 8), shape(2, 4, gpus=1, partition="gpu")]
    plans = further_plans(shapes, SITE, Settings(), 40.0, 4).plans
    assert {plan.components[0].partition for plan in plans} == {"main", "gpu"}
    assert all(len(plan.components) == 1 for plan in plans)
    assert components(further_plans(shapes, SITE, Settings(), 40.0, 1).plans)[0][0] == "main", "most work first"


def test_a_job_leaves_a_node_to_ranks_0_and_1_if_it_can():
    # Of four nodes with eight CPUs, three.
    (plan,) = further_plans([shape(500)], SITE, Settings(max_workers=99), 5.0, 1).plans
    assert plan.n_workers * plan.components[0].cpus_per_task == 24
    (plan,) = further_plans([shape(1, 8, tasks=4)], SITE, Settings(), 5.0, 1).plans
    assert components([plan]) == [("main", 4, 8)], "which needs all"
    one = replace(SITE, partitions=(replace(MAIN, nodes=(replace(MAIN.nodes[0], count=1),)),))
    assert further_plans([shape(8)], one, Settings(), 5.0, 1).plans


def test_what_no_node_holds_is_told_and_the_rest_is_planned():
    monster, usual = shape(1, 1000), shape(8)
    found = further_plans([monster, usual], SITE, Settings(), 10.0, 2)
    assert [impossible for impossible, _ in found.impossible] == [monster]
    assert "threads=1000" in str(found.impossible[0][1])
    assert found.plans


def test_what_no_worker_of_the_size_that_is_asked_for_holds_is_told():
    found = further_plans([shape(3, 4)], SITE, Settings(cores=2), 10.0, 2)
    ((_, why),) = found.impossible
    assert "--daskmpi-cores gives each worker 2" in str(why)
    assert not found.plans


def test_a_walltime_is_long_enough_for_the_longest_job_and_short_enough_for_the_partition():
    (plan,) = further_plans([shape(1, minutes=100)], SITE, Settings(), 1.0, 1).plans
    assert plan.walltime_min >= 110
    (plan,) = further_plans([shape(1, minutes=590)], SITE, Settings(), 1.0, 1).plans
    assert plan.walltime_min == 600
    (plan,) = further_plans([shape(9)], SITE, Settings(grow_walltime="1h"), 1.0, 1).plans
    assert plan.walltime_min == 60


def test_arguments_of_sbatch_go_to_further_jobs_too():
    settings = Settings(sbatch_args="--nice=1\nworkers: --exclusive\nhead: --foo")
    (plan,) = further_plans([shape(9)], SITE, settings, 10.0, 1).plans
    assert plan.components[0].extra == ("--nice=1", "--exclusive")


class TestByHand:
    def test_what_is_left_open_is_a_node(self):
        (component,) = plan_by_hand(SITE, Settings(), Size(workers=2)).components
        assert (component.n_tasks, component.cpus_per_task, component.partition) == (2, 8, "main")
        assert component.cpus_per_task * component.mem_per_cpu_mb == 16384
        assert component.serves == (), "whatever the run has for workers"

    def test_a_size_is_kept(self):
        plan = plan_by_hand(SITE, Settings(account="bio"), Size(3, 4, 8000, 1, "gpu", "90m"))
        (component,) = plan.components
        assert (component.n_tasks, component.cpus_per_task, component.mem_per_cpu_mb) == (3, 4, 2000)
        assert (component.gpus_per_task, component.account, plan.walltime_min) == (1, "bio", 90)

    @pytest.mark.parametrize(
        ("size", "error", "words"),
        [
            (Size(cores=99), LaunchError, "No node of partition main is so large"),
            (Size(partition="mian"), LaunchError, "Did you mean main"),
            (Size(walltime="soon"), SettingsError, "--walltime cannot be 'soon'"),
        ],
    )
    def test_what_cannot_be_is_said(self, size, error, words):
        with pytest.raises(error, match=words):
            plan_by_hand(SITE, Settings(), size)

    def test_without_a_default_partition_one_has_to_be_named(self):
        site = replace(SITE, partitions=tuple(replace(p, is_default=False) for p in SITE.partitions))
        with pytest.raises(LaunchError, match="no default"):
            plan_by_hand(site, Settings(), Size(workers=1))
