"""Resources: what a rule's words ask for, and whether a worker has it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from snakemake_executor_plugin_daskmpi.resources import (
    UNLIMITED_DISK_MB,
    JobResources,
    WorkerResources,
    fits,
    foreign_resources,
    shortfalls,
    shrunk,
)


@pytest.mark.parametrize(
    ("resources", "asked"),
    [
        ({}, JobResources(cores=0)),
        ({"_cores": 1, "_nodes": 1}, JobResources(cores=1)),
        ({"_cores": 0}, JobResources(cores=0)),
        ({"_cores": 2, "mem_mb": 1000, "disk_mb": 50000}, JobResources(cores=2, mem_mb=1000, disk_mb=50000)),
        ({"_cores": 1, "mem_mb": 1000.7}, JobResources(mem_mb=1000)),
        ({"_cores": 1, "mem_mb": "<TBD>", "disk_mb": None}, JobResources()),
        ({"_cores": 1, "gpu": True}, JobResources()),
        ({"_cores": 1, "gpu": 2, "gpus": 3}, JobResources(gpus=2)),
        ({"_cores": 1, "gpu": 0, "gpus": 3}, JobResources(gpus=3)),
        ({"_cores": 1, "nvidia_gpu": 1}, JobResources(gpus=1)),
        ({"_cores": 1, "runtime": 90}, JobResources(runtime_min=90)),
        ({"_cores": 1, "runtime": 0}, JobResources(runtime_min=None)),
        ({"_cores": 1, "tmpdir": "/tmp", "licences": 3}, JobResources()),  # noqa: S108 - an example
    ],
)
def test_a_jobs_resources_are_read(resources, asked):
    assert JobResources.of(resources) == asked


WORKER = WorkerResources(cores=(4, 5), mem_mb=8000, disk_mb=1000, gpus=("0",))


@pytest.mark.parametrize(
    ("job", "lacking"),
    [
        (JobResources(), []),
        (JobResources(cores=0), []),
        (JobResources(cores=2, mem_mb=8000, disk_mb=1000, gpus=1, runtime_min=10**6), []),
        (JobResources(cores=3), [("threads", 3, 2)]),
        (JobResources(mem_mb=8001), [("mem_mb", 8001, 8000)]),
        (JobResources(disk_mb=5000, gpus=2), [("disk_mb", 5000, 1000), ("gpu", 2, 1)]),
    ],
)
def test_what_an_idle_worker_lacks_for_a_job_is_told(job, lacking):
    assert shortfalls(job, WORKER) == lacking
    assert fits(job, WORKER) == (not lacking)


def test_a_worker_of_unlimited_scratch_space_lacks_none():
    assert fits(JobResources(disk_mb=10**9), WorkerResources((0,), 0, UNLIMITED_DISK_MB))


def test_resources_that_steer_other_executors_are_told_from_those_that_act_here():
    acting = {"mem_mb", "disk_mb", "runtime", "gpu", "gpus", "nvidia_gpu", "tmpdir", "_cores", "_nodes"}
    acting |= {"mpi", "tasks", "cpus_per_task"}
    steering = {"slurm_partition", "slurm_extra", "constraint", "qos", "gpu_model"}
    foreign = {"lsf_queue", "k8s_node_selector", "nodes", "slurm_requeue"}
    assert foreign_resources(acting | steering | foreign | {"licences"}) == steering | foreign
    assert foreign_resources(acting | steering | foreign | {"licences"}, steered=True) == foreign


@pytest.mark.parametrize(
    ("resources", "asked"),
    [
        ({"_cores": 2, "tasks": 4}, JobResources(cores=8, tasks=4)),
        ({"_cores": 2, "tasks": 4, "cpus_per_task": 3}, JobResources(cores=12, tasks=4)),
        ({"_cores": 2, "cpus_per_task": -1}, JobResources(cores=2)),
        ({"_cores": 1, "tasks": 4, "mpi": "mpiexec -x"}, JobResources(cores=4, tasks=4)),
        ({"_cores": 1, "tasks": 4, "mpi": "/usr/bin/srun --mpi=pmix"}, JobResources(cores=4, tasks=4, spans=True)),
        ({"_cores": 1, "tasks": 1, "mpi": "srun"}, JobResources()),
        ({"_cores": 1, "tasks": 4, "mpi": "srun", "gpu": 1}, JobResources(cores=4, tasks=4, gpus=1)),
    ],
)
def test_the_tasks_of_an_mpi_program_multiply_its_cores(resources, asked):
    assert JobResources.of(resources) == asked


@pytest.mark.parametrize(
    ("asked", "guessed", "given"),
    [
        (JobResources(cores=8), (), JobResources(cores=8)),
        (JobResources(cores=8), ("threads",), JobResources(cores=4)),
        (JobResources(cores=8, mem_mb=9000), ("threads",), JobResources(cores=8, mem_mb=9000)),
        (JobResources(cores=8, mem_mb=9000, gpus=1), ("threads", "mem_mb", "gpu"), JobResources(cores=4, mem_mb=4000)),
        (JobResources(cores=2, mem_mb=100), ("threads", "mem_mb", "gpu"), JobResources(cores=2, mem_mb=100)),
        (JobResources(cores=1, disk_mb=99), ("threads", "mem_mb", "gpu"), JobResources(cores=1, disk_mb=99)),
    ],
)
def test_a_job_that_asks_for_more_than_was_guessed_to_be_there_gets_all_of_it(asked, guessed, given):
    offer = WorkerResources(cores=(0, 1, 2, 3), mem_mb=4000, disk_mb=10, guessed=guessed)
    got = shrunk(asked, asked, [offer])
    assert replace(got, counted_cores=0) == given
    assert got.counted_cores == (asked.cores if got.cores < asked.cores else 0), "--cores counts what it asked for"


def test_a_group_gets_as_much_as_the_largest_worker_has():
    small = WorkerResources(cores=(0, 1), mem_mb=9000, disk_mb=10)
    large = WorkerResources(cores=(0, 1, 2, 3), mem_mb=4000, disk_mb=10)
    wish, floor = JobResources(cores=16, mem_mb=16000), JobResources(cores=2, mem_mb=1000)
    assert shrunk(wish, floor, [small, large]) == JobResources(cores=4, mem_mb=4000)
    assert shrunk(wish, replace(floor, mem_mb=5000), [small, large]) == JobResources(cores=2, mem_mb=9000)
    assert shrunk(wish, replace(floor, cores=5), [small, large]) == replace(floor, cores=5), "to be refused"
