"""Plans: whole for small demands, refusals by what to do next, and what holds for any."""

from __future__ import annotations

from dataclasses import replace

import pytest

from demands import BIG, GPU, MAIN, SITE, demand, many, need
from snakemake_executor_plugin_daskmpi.errors import LaunchError, SettingsError
from snakemake_executor_plugin_daskmpi.planning.demand import Demand, Job, Need
from snakemake_executor_plugin_daskmpi.planning.planner import plan_of
from snakemake_executor_plugin_daskmpi.resources import JobResources, Steering
from snakemake_executor_plugin_daskmpi.settings.flags import Settings
from snakemake_executor_plugin_daskmpi.slurm.plan import Component
from snakemake_executor_plugin_daskmpi.slurm.site import NodeType, Partition, Site

WHOLE = Site("whole", "22.05.8", (replace(MAIN, whole_nodes=True),))
ONE = Site("one", "22.05.8", (Partition("main", (NodeType(1, 8, 16384),), is_default=True),))
HEAD = Component("head", (), n_tasks=2, cpus_per_task=1, mem_per_cpu_mb=512, partition="main")


def workers(n_tasks: int, cpus: int, mem_per_cpu_mb: int, **more: object) -> Component:
    kind = {"name": "workers", "serves": ("",), "partition": "main", **more}
    return Component(n_tasks=n_tasks, cpus_per_task=cpus, mem_per_cpu_mb=mem_per_cpu_mb, **kind)


@pytest.mark.parametrize(
    ("jobs", "site", "settings", "components", "walltime_min"),
    [
        pytest.param(
            *(many(20, "a"), SITE, Settings(), (workers(12, 1, 1264),), 15),
            id="small and alike: one component, as in the centre's case 1",
        ),
        pytest.param(
            *(many(50, "a", 4, 6000, 20), SITE, Settings(), (HEAD, workers(6, 4, 1568)), 230),
            id="larger: ranks 0 and 1 apart, as in the centre's case 2",
        ),
        pytest.param(
            *(many(50, "a", 4, 6000, 20), WHOLE, Settings(), (workers(8, 4, 1568),), 230),
            id="whole nodes: ranks 0 and 1 would take one of their own",
        ),
        pytest.param(
            *(many(50, "a", 2, 2000, 20), ONE, Settings(), (workers(4, 2, 1136),), 630),
            id="one node: there is none for a second component",
        ),
        pytest.param(
            many(4, "a", 4, 6000, 20) + many(3, "train", 4, 16000, 20, gpus=1, partition="gpu"),
            SITE,
            Settings(account="bio", qos="q", sbatch_args="--nice=1\ngpu: --exclusive"),
            (
                replace(HEAD, account="bio", qos="q", extra=("--nice=1",)),
                workers(4, 4, 1568, account="bio", qos="q", extra=("--nice=1",)),
                workers(
                    *(3, 4, 4064),
                    name="gpu",
                    serves=("gpu",),
                    gpus_per_task=1,
                    partition="gpu",
                    account="bio",
                    qos="q",
                    extra=("--nice=1", "--exclusive"),
                ),
            ),
            30,
            id="what rules and settings ask of the site",
        ),
    ],
)
def test_a_plan_is(jobs, site, settings, components, walltime_min) -> None:
    plan = plan_of(demand(jobs), site, settings)
    assert plan.components == components
    assert plan.walltime_min == walltime_min


def test_the_plan_says_what_its_components_are_for() -> None:
    jobs = many(4, "a", 4), many(1, "b", 4, own="b"), many(1, "train", 4, gpus=1, partition="gpu")
    assert plan_of(demand(*jobs), SITE, Settings()).components_setting == ",any,b,gpu"


@pytest.mark.parametrize(
    ("jobs", "settings", "step"),
    [
        (many(1, "a"), {"partition": "mian"}, "--daskmpi-partition main"),
        (many(1, "a", partition="gpus"), {}, "--set-resources a:slurm_partition=gpu"),
        (many(1, "a"), {"account": "boi"}, "--daskmpi-account bio"),
        (many(1, "a", partition="bigmem", account="bio"), {}, "--set-resources a:slurm_account=geo"),
        (many(1, "a", constraint="nvmee", partition="bigmem"), {}, "--set-resources a:constraint=nvme"),
        (many(1, "a", 9, partition="main"), {}, "--set-resources a:slurm_partition=gpu"),
        (many(1, "a", 99), {}, "--set-threads a=8"),
        ([Job("a", Need(JobResources(cores=60, tasks=30), Steering(), 5))], {}, "--set-resources a:tasks=4"),
        (many(1, "a", 1, 20000, partition="main"), {}, "--set-resources a:slurm_partition=gpu"),
        (many(1, "a", 1, 999999, partition="bigmem"), {}, "--set-resources a:mem_mb=512000"),
        (many(1, "a", gpus=1, gpu_model="v100", partition="gpu"), {}, "--set-resources a:gpu_model=a100"),
        (many(1, "a", gpus=9, partition="gpu"), {}, "--set-resources a:gpu=4"),
        (many(1, "a", minutes=700), {}, "--set-resources a:slurm_partition=gpu"),
        (many(1, "a"), {"walltime": "20h"}, "--daskmpi-walltime 10:00:00, or --daskmpi-partition gpu"),
        (many(1, "a", minutes=90), {"walltime": "1h"}, "--daskmpi-walltime 01:32:00, or more"),
        (many(1, "a", 4), {"cores": 2}, "--daskmpi-cores 4, or leave it out"),
        (many(1, "a", 1, 4000), {"mem_mb": 2000}, "--daskmpi-mem-mb 4000, or leave it out"),
        (many(1, "a", 4), {"max_cores": 2}, "--daskmpi-max-cores 4"),
        (many(1, "a", qos="x") + many(1, "b", qos="y"), {"max_components": 1}, "--daskmpi-max-components 2"),
        (many(1, "a", qos="x") + many(1, "b", qos="y"), {"max_workers": 1}, "--daskmpi-max-workers 2"),
        (many(1, "a"), {"sbatch_args": "worker: --nice"}, "begin the line with 'workers: '"),
        (
            many(1, "a", own="x", qos="y") + many(1, "b", own="x", qos="z"),
            {},
            "--set-resources b:daskmpi_component=x-z",
        ),
        ([Job("a", Need(JobResources(), Steering(), 0, is_local=True))], {}, "snakemake --executor local --cores 1"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_change(jobs, settings, step) -> None:
    with pytest.raises(LaunchError) as caught:
        plan_of(demand(jobs), SITE, Settings(**settings))
    assert f"  Next: {step}" in str(caught.value)


def test_a_partition_that_is_down_is_refused() -> None:
    site = replace(SITE, partitions=(MAIN, replace(GPU, is_up=False), BIG))
    with pytest.raises(LaunchError, match="Next: --daskmpi-partition main, or wait: sinfo -p gpu"):
        plan_of(demand(many(1, "a")), site, Settings(partition="gpu"))


def test_without_a_default_partition_one_has_to_be_named() -> None:
    site = replace(SITE, partitions=(replace(MAIN, is_default=False), GPU))
    with pytest.raises(LaunchError, match="Next: --daskmpi-partition main"):
        plan_of(demand(many(1, "a")), site, Settings())


@pytest.mark.parametrize("walltime", [None, "10h"])
def test_a_chain_longer_than_the_limit_gets_the_limit_since_runtimes_are_upper_bounds(walltime) -> None:
    jobs = Demand(tuple(Job("a", need(minutes=300), after=(i - 1,) if i else ()) for i in range(3)))
    plan = plan_of(jobs, SITE, Settings(walltime=walltime))
    assert plan.walltime_min == 600
    assert plan.notes[0].startswith("The walltime of 10 h ends before the workflow, which needs about 15 h: ")


@pytest.mark.parametrize("walltime", [None, "12h"])
def test_a_job_that_takes_longer_than_another_partition_allows_is_refused_with_what_can_be(walltime) -> None:
    jobs = demand(many(2, "quick", partition="main"), many(1, "slow", minutes=660, partition="gpu"))
    with pytest.raises(LaunchError, match=r"Next: --daskmpi-grow 2, .* or --set-resources quick:slurm_partition=gpu"):
        plan_of(jobs, SITE, Settings(walltime=walltime))
    grown = plan_of(jobs, SITE, Settings(walltime=walltime, grow=2))
    assert {component.partition for component in grown.further} == {"gpu", "main"}
    jobs = demand(many(2, "quick", partition="gpu"), many(1, "slow", minutes=660, partition="gpu"))
    assert plan_of(jobs, SITE, Settings(walltime=walltime)).walltime_min >= 660


def test_of_several_partitions_that_are_named_one_is_taken_that_allows_for_all_jobs() -> None:
    jobs = demand(many(2, "quick", partition="main,gpu"), many(1, "slow", minutes=660, partition="main,gpu"))
    assert {component.partition for component in plan_of(jobs, SITE, Settings()).components} == {"gpu"}
    jobs = demand(many(2, "quick", partition="main,gpu"))
    assert {component.partition for component in plan_of(jobs, SITE, Settings()).components} == {"main"}


def test_ranks_0_and_1_are_where_they_can_be_for_as_long_as_the_workers() -> None:
    short = Partition("short", MAIN.nodes, max_minutes=15, is_default=True)
    day = replace(GPU, max_minutes=1440)
    chain = tuple(Job("a", need(minutes=1440, partition="gpu"), after=(i - 1,) if i else ()) for i in range(3))
    plan = plan_of(Demand(chain), replace(SITE, partitions=(short, day)), Settings())
    assert [component.partition for component in plan.components] == ["gpu"] * len(plan.components)
    assert plan.walltime_min == 1440


def test_one_node_that_cannot_hold_a_worker_and_two_more_tasks_of_its_size_is_refused() -> None:
    with pytest.raises(LaunchError, match="Next: --set-threads a=2"):
        plan_of(demand(many(1, "a", 4)), ONE, Settings())


@pytest.mark.parametrize("text", ["", "soon", "0", "1-", "-5", "1:2:3:4"])
def test_a_walltime_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="Next: --daskmpi-walltime 90m"):
        plan_of(demand(many(1, "a")), SITE, Settings(walltime=text or " "))


def test_a_short_walltime_gets_more_workers() -> None:
    jobs = demand(many(40, "a", 1, 500, 10))
    few, more = (plan_of(jobs, SITE, Settings(walltime=text)) for text in ("10h", "1h"))
    assert few.n_workers < more.n_workers
    assert more.makespan_min <= 48
    assert (few.walltime_min, more.walltime_min) == (600, 60)


def test_jobs_with_much_memory_get_a_component_of_their_own_where_that_is_cheaper() -> None:
    nodes = (NodeType(40, 32, 128000), NodeType(2, 32, 1024000))
    site = Site("s", "23", (Partition("main", nodes, is_default=True),))
    plan = plan_of(demand(many(9000, "a", 1, 500), many(2, "large", 1, 900000, 60)), site, Settings())
    assert [component.name for component in plan.components] == ["head", "workers", "workers-large"]
    assert plan.components_setting == ",any,any"


def test_jobs_that_no_node_of_the_default_partition_holds_go_elsewhere_and_the_plan_says_so() -> None:
    plan = plan_of(demand(many(20, "a"), many(1, "big", 1, 30000)), SITE, Settings())
    assert [component.partition for component in plan.components] == ["main", "gpu"]
    assert plan.notes[0].startswith("big: no node of the default partition is large enough")


def test_components_of_a_users_own_are_merged_if_they_are_too_many() -> None:
    jobs = demand(many(9, "a", own="a"), many(9, "b", own="b"))
    plan = plan_of(jobs, SITE, Settings(max_components=1))
    assert plan.components_setting == "a+b"


def test_what_is_assumed_is_noted() -> None:
    more = {"assumed_runtime": ("a",), "assumed_memory": ("a",), "checkpoints": ("c",)}
    plan = plan_of(demand(many(3, "a", own="x"), **more), SITE, Settings())
    assert [note.split(maxsplit=3)[:3] for note in plan.notes] == [
        ["No", "runtime", "is"],
        ["How", "much", "memory"],
        ["What", "follows", "from"],
    ]
    assert plan.components[-1].serves == ("x", "")


def test_a_group_wider_than_any_node_is_planned_for_in_less_room_and_more_time():
    wide = replace(need(cores=64, mem_mb=64000, minutes=10), least=JobResources(cores=2, mem_mb=2000))
    plan = plan_of(demand([Job("group", wide)]), Site("tiny", "22.05.8", (MAIN,)), Settings())
    workers = plan.components[-1]
    assert workers.cpus_per_task == 8
    assert plan.makespan_min == pytest.approx(10 * 64 / 8, abs=1)


def test_a_group_whose_largest_member_fits_no_node_is_refused():
    wide = replace(need(cores=64, mem_mb=64000), least=JobResources(cores=20, mem_mb=2000))
    with pytest.raises(LaunchError, match="20"):
        plan_of(demand([Job("group", wide)]), Site("tiny", "22.05.8", (MAIN,)), Settings())
