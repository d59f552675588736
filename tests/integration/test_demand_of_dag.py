"""What has to run, read from a real DAG of Snakemake's."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from snakemake_executor_plugin_daskmpi.planning.demand import Job, demand_of
from snakemake_executor_plugin_daskmpi.resources import JobResources
from snakemake_executor_plugin_daskmpi.snakemake_internals import compatibility
from snakemake_executor_plugin_daskmpi.snakemake_internals.chains import CHAINS, Chains

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SNAKEFILE = """
localrules: gather

rule all:
    input: "sum.txt", "done.txt", "model.bin"
    resources: mem_mb=10**5, runtime=600

rule first:
    output: "first/{i}.txt"
    threads: 2
    resources: mem_mb=1500, runtime=7, tmpdir=lambda wildcards: "/tmp/" + wildcards.i
    shell: "touch {output}"

rule second:
    input: "first/{i}.txt"
    output: "second/{i}.txt"
    priority: 5
    resources: mem_mb=lambda wildcards, input: max(700, input.size_mb), slurm_partition="long"
    shell: "touch {output}"

rule gather:
    input: expand("second/{i}.txt", i=range(3))
    output: "sum.txt"
    resources: mem_mb=400
    shell: "touch {output}"

rule one:
    output: "one.txt"
    group: "pair"
    resources: mem_mb=100, runtime=3
    shell: "touch {output}"

rule two:
    input: "one.txt"
    output: "done.txt"
    group: "pair"
    resources: mem_mb=900, runtime=4
    shell: "touch {output}"

checkpoint train:
    output: "model.bin"
    threads: 4
    resources: mem_mb=100, runtime=9, gpu=1, gpu_model="a100"
    shell: "touch {output}"
"""


@pytest.fixture
def dag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return the DAG of the Snakefile above, as it is when Snakemake makes the executor."""
    from snakemake.api import SnakemakeApi
    from snakemake.settings.types import (
        DAGSettings,
        ExecutionSettings,
        GroupSettings,
        OutputSettings,
        Quietness,
        ResourceSettings,
    )
    from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

    monkeypatch.chdir(tmp_path)
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / "0.txt").write_text("is there already")
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        resources = ResourceSettings(cores=8, nodes=sys.maxsize)
        workflow_api = api.workflow(resource_settings=resources, snakefile=tmp_path / "Snakefile")
        workflow_api.dag(DAGSettings())
        workflow = workflow_api._workflow
        workflow.execution_settings, workflow.group_settings = ExecutionSettings(), GroupSettings()
        workflow._executor_plugin = ExecutorPluginRegistry().get_plugin("daskmpi")
        workflow._prepare_dag(forceall=False, ignore_incomplete=True, lock_warn_only=True, nolock=True)
        workflow._build_dag()
        workflow.async_run(workflow.dag.postprocess(update_needrun=False, check_initial=True))
        yield workflow.dag


def test_the_demand_of_a_dag_is_its_jobs_with_what_they_need_and_wait_for(dag: Any) -> None:
    found = demand_of(dag)
    by_rule: dict[str, list[Job]] = {}
    for job in found.jobs:
        by_rule.setdefault(job.rule, []).append(job)
    assert {rule: len(jobs) for rule, jobs in by_rule.items() if "pair" not in rule} == {
        "all": 1,
        "first": 2,
        "second": 3,
        "gather": 1,
        "train": 1,
    }
    assert by_rule["first"][0].need.resources == JobResources(cores=2, mem_mb=1500, runtime_min=7)
    second = next(job for job in by_rule["second"] if job.after)
    assert [found.jobs[i].rule for i in second.after] == ["first"]
    assert (second.priority, second.need.minutes, second.need.steering.partition) == (5, 5.0, "long")
    assert second.need.resources.component == "long"
    train = by_rule["train"][0].need
    assert (train.resources.gpus, train.steering.gpu_model, train.resources.component) == (1, "a100", "a100")
    (pair,) = (job for rule, jobs in by_rule.items() if "pair" in rule for job in jobs)
    assert (pair.need.resources.mem_mb, pair.need.minutes) == (900, 7.0)
    gather = by_rule["gather"][0]
    assert gather.need.is_local
    assert {found.jobs[i].rule for i in gather.after} == {"second"}


def test_the_chains_that_a_run_goes_by_are_those_of_the_demand(dag: Any) -> None:
    assert compatibility.lacks_of_dag(CHAINS) == []
    found, chains = demand_of(dag), Chains(dag)
    run = {job.rule.name: chains.n_behind(job) for job in dag.needrun_jobs()}
    assert run == {"all": 0, "gather": 1, "second": 2, "first": 3, "two": 1, "one": 2, "train": 1}
    plan = {job.rule: n_behind for job, n_behind in zip(found.jobs, found.n_behind(), strict=True)}
    assert {rule: n for rule, n in plan.items() if rule in run} == {r: n for r, n in run.items() if r in plan}


def test_what_the_rules_do_not_say_is_remembered(dag: Any) -> None:
    found = demand_of(dag)
    assert found.assumed_runtime == ("second",)
    # Of second/0.txt the input exists: its size is known, and so its memory.
    assert found.assumed_memory == ("second",)
    assert found.checkpoints == ("train",)
    assert {job.need.resources.mem_mb for job in found.jobs if job.rule == "second"} == {1000, 700}


def test_a_rule_without_a_body_needs_nothing_whatever_a_profile_says_of_all_rules(dag: Any) -> None:
    target = next(job for job in demand_of(dag).jobs if job.rule == "all")
    assert (target.need.minutes, target.need.resources) == (0, JobResources(cores=0))


def test_local_rules_are_not_the_workers(dag: Any) -> None:
    found = demand_of(dag)
    assert found.n_worker_jobs == 7
    assert not {"all", "gather"} & {rule for shape in found.shapes() for rule in shape.rules}
