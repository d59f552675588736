"""Dask's configuration: each line of it is one that Dask knows."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import textwrap
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


def test_a_worker_has_threads_to_spare_for_jobs_that_take_no_core():
    options = worker_options("rank 3", WorkerResources((0, 1), mem_mb=4000, disk_mb=0), "/scratch")
    assert options["nthreads"] > 2


def test_a_users_configuration_is_forgotten_and_then_given_back():
    program = """
        import dask

        pool = object()
        dask.config.set({"mine": 1, "pool": pool, "distributed.worker.lifetime.duration": "3s"})
        before = dask.config.merge(dask.config.config)
        from snakemake_executor_plugin_daskmpi.rank import dask_config

        dask_config.apply_dask_config()
        dask_config.apply_dask_config()
        assert dask.config.get("distributed.worker.lifetime.duration") is None
        assert dask.config.get("distributed.scheduler.allowed-failures") == 0
        assert dask.config.get("mine", None) is None
        dask.config.set(scheduler_address="tls://ours")
        dask_config.give_back_dask_config()
        after = dask.config.config
        assert all(after[name] == value for name, value in before.items() if name != "distributed")
        assert after["pool"] is pool
        assert "scheduler_address" not in after and "scheduler-address" not in after
        assert dask.config.get("distributed.worker.lifetime.duration") == "3s"
        assert dask.config.get("distributed.scheduler.allowed-failures") == 3
    """
    subprocess.run([sys.executable, "-P", "-c", textwrap.dedent(program)], check=True, timeout=60)
