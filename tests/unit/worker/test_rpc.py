"""What a worker says of itself, and which workers one step can span."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace

import pytest

from snakemake_executor_plugin_daskmpi.messages import WorkerInfo
from snakemake_executor_plugin_daskmpi.resources import WorkerResources
from snakemake_executor_plugin_daskmpi.worker import rpc
from snakemake_executor_plugin_daskmpi.worker.runner import Runner

OFFER = WorkerResources(cores=(0,), mem_mb=1, disk_mb=1)


@pytest.fixture
def runner():
    yield Runner("rank 45.0", OFFER, connection=None, forkserver_pid=0)  # type: ignore[arg-type]  # it runs nothing
    rpc._runner, rpc._stay = None, rpc.Stay()


def described() -> WorkerInfo:
    return asyncio.run(rpc.describe(SimpleNamespace(address="tcp://a")))


def test_a_worker_that_is_there_from_the_start_stays(runner):
    rpc.install(runner)
    told = described()
    assert (told.name, told.allocation, told.ends_in_s, told.length_s) == ("rank 45.0", "", None, 0.0)


def test_one_that_has_joined_says_how_long_it_stays(runner):
    rpc.install(runner, rpc.Stay("45", time.time() + 600, 3600.0))
    told = described()
    assert (told.allocation, told.length_s) == ("45", 3600.0)
    assert 0 < told.ends_in_s <= 600


@pytest.mark.parametrize(
    ("fields", "group"),
    [
        ({}, ""),
        ({"allocation": "45"}, ""),
        ({"node": "n1"}, "allocation"),
        ({"node": "n1", "allocation": "45"}, "allocation 45"),
        ({"node": "n1", "het_group": 1}, "component 1 of allocation"),
        ({"node": "n1", "het_group": 1, "allocation": "45"}, "component 1 of allocation 45"),
    ],
)
def test_a_step_spans_one_component_of_one_allocation(fields, group):
    assert WorkerInfo("tcp://a", "rank 2", "host", **fields).step_group == group
