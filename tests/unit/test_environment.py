"""Environment: jobs see nothing of our world, and what they were granted."""

from __future__ import annotations

import pytest

from environments import RANKS, hetjob_rank
from snakemake_executor_plugin_daskmpi.messages import Grant
from snakemake_executor_plugin_daskmpi.worker.environment import (
    THREAD_COUNT_NAMES,
    granted_environment,
    is_rank_variable,
    scrub,
)
from snakemake_executor_plugin_daskmpi.world.roles import seat_of


@pytest.mark.parametrize("launcher", RANKS)
def test_after_a_scrub_a_process_takes_itself_for_no_rank(launcher):
    environ = dict(RANKS[launcher])
    assert seat_of(environ) is not None
    scrub(environ)
    assert seat_of(environ) is None
    assert not [name for name in environ if name.startswith(("PMI", "OMPI_COMM", "MPI_LOCAL"))]


@pytest.mark.parametrize("launcher", RANKS)
def test_a_scrub_leaves_the_users_own_variables(launcher):
    environ = dict(RANKS[launcher]) | {"OMPI_ALLOW_RUN_AS_ROOT": "1"}
    scrub(environ)
    assert {"PATH", "HOME", "OMP_NUM_THREADS", "OMPI_ALLOW_RUN_AS_ROOT"} <= set(environ)


def test_a_scrub_leaves_what_a_step_of_the_same_allocation_needs():
    environ = hetjob_rank(2)
    scrub(environ)
    assert {"SLURM_JOB_ID", "SLURM_JOB_NODELIST", "SLURM_HET_SIZE", "SLURMD_NODENAME"} <= set(environ)


@pytest.mark.parametrize("name", ["SLURM_JOB_ID", "SLURM_CPUS_PER_TASK", "PATH", "PMIC", "OPENMPI_HOME", "MPICC"])
def test_a_name_that_only_looks_like_a_ranks_is_none(name):
    assert not is_rank_variable(name)


@pytest.mark.parametrize(("cores", "threads"), [((), "1"), ((7,), "1"), ((2, 3, 5), "3")])
def test_a_job_is_told_how_many_threads_it_may_use(cores, threads):
    assert granted_environment(Grant(cores), (), {}) == dict.fromkeys(THREAD_COUNT_NAMES, threads)


def test_a_job_sees_the_gpus_it_was_granted():
    added = granted_environment(Grant((0,), ("GPU-b", "GPU-c")), ("GPU-a", "GPU-b", "GPU-c"), {})
    assert added["CUDA_VISIBLE_DEVICES"] == "GPU-b,GPU-c"
    assert "ROCR_VISIBLE_DEVICES" not in added


def test_a_job_that_asked_for_no_gpu_sees_none_of_the_workers():
    added = granted_environment(Grant((0,)), ("0", "1"), {"ROCR_VISIBLE_DEVICES": "0,1"})
    assert added["CUDA_VISIBLE_DEVICES"] == ""
    assert added["ROCR_VISIBLE_DEVICES"] == ""
