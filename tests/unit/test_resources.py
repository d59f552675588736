"""Resources: what a rule's words ask for, and whether a worker has it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from offers import fits
from snakemake_executor_plugin_daskmpi.resources import (
    UNLIMITED_DISK_MB,
    JobResources,
    Steering,
    WorkerResources,
    foreign_resources,
    says_memory,
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
    acting |= {"mpi", "tasks", "cpus_per_task", "mem_mb_per_cpu", "cpus_per_gpu"}
    steering = {"slurm_partition", "slurm_extra", "constraint", "qos", "gpu_model"}
    foreign = {"lsf_queue", "k8s_node_selector", "nodes", "slurm_requeue", "cluster", "mem_gb"}
    asked = dict.fromkeys(acting | steering | foreign | {"licences"}, "x")
    assert set(foreign_resources(asked)) == steering | foreign
    assert set(foreign_resources(asked, steered=True)) == foreign


@pytest.mark.parametrize(
    ("resources", "foreign"),
    [
        ({"gres": "gpu:1"}, {}),
        ({"gres": "gpu:a100:2,lscratch:10"}, {"gres": "lscratch:10"}),
        ({"gres": "lscratch:10"}, {"gres": ""}),
        ({"slurm_extra": "'--gres=gpu:a100:1'"}, {}),
        ({"slurm_extra": "--mem=4G --time 30 --nice=100"}, {"slurm_extra": "--nice=100"}),
        ({"slurm_extra": "'--nice=100'"}, {"slurm_extra": ""}),
        ({"slurm_extra": "--comment='never closed"}, {"slurm_extra": ""}),
        ({"nodes": 2, "tasks_per_node": 3}, {}),
        ({"nodes": 2, "tasks": 3}, {"nodes": ""}),
    ],
)
def test_what_counts_here_is_not_said_to_have_no_effect(resources, foreign):
    assert foreign_resources(resources) == foreign


@pytest.mark.parametrize(
    ("resources", "gpus"),
    [
        ({"gres": "gpu:1"}, 1),
        ({"gres": "gpu:a100:2"}, 2),
        ({"gres": "gpu"}, 1),
        ({"gres": "gpu:a100"}, 1),
        ({"gres": "gpu:1,lscratch:10"}, 1),
        ({"gres": "lscratch:10, gpu:v100:1, gpu:a100:1"}, 2),
        ({"gres": "'gpu:2'"}, 2),
        ({"gres": "mygpu:2"}, 0),
        ({"slurm_gres": "gpu:2"}, 2),
        ({"gpu": "1"}, 1),
        ({"gpu": "a100:2"}, 2),
        ({"gpu": "<TBD>"}, 0),
        ({"gpu": 0, "gres": "gpu:1"}, 1),
        ({"gpu_model": "a100"}, 1),
        ({"gpu_model": "a100", "gpu": 0}, 0),
        ({"slurm_extra": "'--gres=gpu:a100:1'"}, 1),
        ({"slurm_extra": "--gres gpu:a100:1,lscratch:5 --nice=1"}, 1),
        ({"slurm_extra": "--gpus=2"}, 2),
        ({"slurm_extra": "--gpus a100:2"}, 2),
        ({"slurm_extra": "--gpus=v100:1,a100:2"}, 3),
        ({"slurm_extra": "-G2"}, 2),
        ({"slurm_extra": "-G 2"}, 2),
        ({"slurm_extra": "--gpus-per-node=a100:2"}, 2),
        ({"slurm_extra": "--gpus-per-task=1", "tasks": 3}, 3),
        ({"slurm_extra": "--mail-type=ALL --comment='no --gpus=2'"}, 0),
        ({"slurm_extra": "--gres"}, 0),
    ],
)
def test_gpus_are_asked_for_in_many_ways(resources, gpus):
    assert JobResources.of(resources).gpus == gpus


@pytest.mark.parametrize(
    ("resources", "asked"),
    [
        ({"mem_mb_per_cpu": 800}, (3, 2400, None)),
        ({"mem_mb_per_cpu": "800", "mem_mb": 1000}, (3, 2400, None)),
        ({"mem_mb_per_cpu": "<TBD>", "mem_mb": 1000}, (3, 1000, None)),
        ({"mem_mb_per_cpu": 800, "tasks": 2}, (6, 4800, None)),
        ({"mem_mb_per_cpu": 800, "cpus_per_task": "5"}, (5, 4000, None)),
        ({"mem_mb_per_cpu": 800, "_cores": 0}, (0, 800, None)),
        ({"mem_mb": "1000", "runtime": "7", "_cores": "4"}, (4, 1000, 7)),
        ({"mem_mb": 1000, "slurm_extra": "--mem=4G"}, (3, 4096, None)),
        ({"mem_mb_per_cpu": 1000, "slurm_extra": "--mem-per-cpu 512"}, (3, 1536, None)),
        ({"slurm_extra": "--mem-per-gpu=1T --gpus=2"}, (3, 2 * 1024**2, None)),
        ({"slurm_extra": "--mem=0"}, (3, 0, None)),
        ({"slurm_extra": "--mem=lots -c 2 -t 1:00:30"}, (2, 0, 61)),
        ({"slurm_extra": "--cpus-per-task=8 --time=2-12", "runtime": 5}, (8, 0, 3600)),
        ({"slurm_extra": "--time=90:30"}, (3, 0, 91)),
        ({"slurm_extra": "-n4"}, (12, 0, None)),
        ({"tasks_per_node": 4}, (12, 0, None)),
        ({"tasks_per_node": 4, "nodes": 2}, (24, 0, None)),
        ({"cpus_per_gpu": 4, "gres": "gpu:2"}, (8, 0, None)),
        ({"cpus_per_gpu": 4}, (3, 0, None)),
        ({"cpus_per_gpu": 4, "gpu": 1, "cpus_per_task": 2}, (2, 0, None)),
    ],
)
def test_cores_memory_and_time_are_asked_for_in_many_ways(resources, asked):
    found = JobResources.of({"_cores": 3} | resources)
    assert (found.cores, found.mem_mb, found.runtime_min) == asked


def test_sbatch_is_not_asked_again_for_what_was_read():
    asked = {"gres": "gpu:a100:2,lscratch:10", "slurm_extra": "--mem=4G --nice=1", "mem_mb": 5}
    steering = Steering.of(asked)
    assert (steering.gpu_model, steering.gres, steering.extra) == ("a100", "lscratch:10", "--nice=1")
    assert Steering.of({"gres": "gpu:1"}) == Steering(), "any worker with a GPU will do"
    quoted = "--comment='two words' --nice=1"
    assert Steering.of({"slurm_extra": quoted}).extra == quoted, "untouched where nothing was read"


@pytest.mark.parametrize(
    ("resources", "said"),
    [({}, False), ({"mem_mb": "<TBD>"}, False), ({"mem_mb": 0}, True), ({"_cores": 1, "mem_mb_per_cpu": 8}, True)],
)
def test_whether_memory_is_known_is_told(resources, said):
    assert says_memory(resources) == said


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
