"""Dask's configuration: each line of it is one that Dask knows."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import yaml

from snakemake_executor_plugin_daskmpi.rank.dask_config import DASK_CONFIG, worker_options
from snakemake_executor_plugin_daskmpi.resources import WorkerResources


@pytest.fixture(scope="module")
def dasks_own() -> dict[str, object]:
    """Dask's defaults, read without importing it."""
    spec = importlib.util.find_spec("distributed")
    assert spec is not None
    assert spec.origin is not None
    return yaml.safe_load(Path(spec.origin).with_name("distributed.yaml").read_text())


@pytest.mark.parametrize("key", DASK_CONFIG)
def test_a_key_that_we_set_is_one_that_dask_has(dasks_own, key):
    value = dasks_own
    for part in key.split("."):
        value = value[part]


def test_a_job_whose_worker_died_is_not_run_again_behind_snakemakes_back():
    assert DASK_CONFIG["distributed.scheduler.allowed-failures"] == 0


def test_a_worker_is_told_its_memory_rather_than_left_to_guess():
    options = worker_options("rank 3", WorkerResources((0, 1), mem_mb=4000, disk_mb=0), "/scratch")
    assert options["memory_limit"] == 4_000_000_000
