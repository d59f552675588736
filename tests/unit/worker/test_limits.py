"""Limits: what a rank offers, from the user, from Slurm, or from the machine."""

from __future__ import annotations

import os

import pytest

from environments import BATCH_SCRIPT, SRUN_PMIX, hetjob_rank
from snakemake_executor_plugin_daskmpi.resources import UNLIMITED_DISK_MB
from snakemake_executor_plugin_daskmpi.settings.flags import Settings
from snakemake_executor_plugin_daskmpi.worker.limits import (
    Share,
    cores_of,
    gpus_of,
    host_memory_mb,
    memory_mb,
    offer_of,
)

ALONE = Share()
EIGHT = list(range(8))


@pytest.mark.parametrize("workers", [1, 2, 3, 5, 8])
def test_shares_are_even_and_leave_nothing(workers):
    slices = [Share(index, workers).slice_of(EIGHT) for index in range(workers)]
    assert [core for part in slices for core in part] == EIGHT
    assert max(map(len, slices)) - min(map(len, slices)) <= 1


def test_with_more_workers_than_cores_nobody_goes_without():
    assert [Share(index, 3).slice_of([4, 5]) for index in range(3)] == [[4], [5], [4]]


def test_there_is_nothing_to_share_of_nothing():
    assert Share(1, 2).slice_of([]) == []


def test_a_rank_of_a_hetjob_offers_the_cores_of_its_own_component():
    assert cores_of(None, hetjob_rank(0), EIGHT, ALONE) == (0,)
    assert cores_of(None, hetjob_rank(2), EIGHT, ALONE) == (0, 1, 2, 3)


def test_a_rank_of_a_hetjob_offers_the_memory_of_its_own_component():
    assert memory_mb(hetjob_rank(0), 1, 64000, ALONE) == 1024
    assert memory_mb(hetjob_rank(2), 4, 64000, ALONE) == 4 * 3072


def test_a_task_that_srun_bound_to_its_cores_offers_just_these():
    assert cores_of(None, SRUN_PMIX, [4, 5, 6, 7], Share(1, 2)) == (4, 5, 6, 7)


def test_tasks_that_srun_left_unbound_share_their_node():
    assert [cores_of(None, SRUN_PMIX, EIGHT, Share(index, 2)) for index in range(2)] == [(0, 1, 2, 3), (4, 5, 6, 7)]


def test_a_local_worker_in_a_batch_script_offers_what_slurm_gave_on_this_node():
    environ = {name: value for name, value in BATCH_SCRIPT.items() if name != "SLURM_CPUS_PER_TASK"}
    assert cores_of(None, environ | {"SLURM_CPUS_ON_NODE": "5"}, EIGHT, ALONE) == (0, 1, 2, 3, 4)
    assert memory_mb(environ, 5, 128_000, ALONE) == 64_000


def test_a_shell_of_salloc_on_another_machine_offers_that_machine():
    elsewhere = {name: value for name, value in BATCH_SCRIPT.items() if name != "SLURMD_NODENAME"}
    assert cores_of(None, elsewhere, EIGHT, ALONE) == tuple(EIGHT)
    assert memory_mb(elsewhere, 8, 10_000, ALONE) == 7500


def test_tasks_that_srun_crowded_onto_a_small_node_offer_no_more_than_it_has():
    # Seen on Slurm 22.05: srun without --cpus-per-task puts 3 tasks of 2 CPUs on a node that gave 4.
    environ = SRUN_PMIX | {"SLURM_CPUS_PER_TASK": "2", "SLURM_CPUS_ON_NODE": "4"}
    assert [len(cores_of(None, environ, EIGHT, Share(index, 3))) for index in range(3)] == [2, 1, 1]


def test_more_cores_than_slurm_gave_do_not_come_with_more_memory():
    assert offer_of(Settings(cores=16), hetjob_rank(2), ALONE).mem_mb == 4 * 3072


@pytest.mark.parametrize("share", [ALONE, Share(1, 2), Share(2, 3)])
@pytest.mark.parametrize("asked", [1, 2, 5, 12])
def test_a_user_gets_as_many_cores_as_they_ask_for_each_with_its_own_id(share, asked):
    cores = cores_of(asked, SRUN_PMIX, EIGHT, share)
    assert len(set(cores)) == asked


def test_the_memory_of_a_node_is_shared_among_its_workers():
    environ = SRUN_PMIX | {"SLURM_MEM_PER_NODE": "64000"}
    del environ["SLURM_MEM_PER_CPU"]
    assert memory_mb(environ, 4, 128_000, Share(0, 2)) == 32_000


def test_without_slurm_a_quarter_of_the_memory_is_left_to_the_system():
    assert memory_mb({}, 4, 64_000, Share(1, 3)) == 16_000


def test_all_memory_of_a_node_asked_as_zero_is_not_none():
    environ = SRUN_PMIX | {"SLURM_MEM_PER_NODE": "0"}
    del environ["SLURM_MEM_PER_CPU"]
    assert memory_mb(environ, 4, 64_000, ALONE) == 48_000


def test_the_memory_of_this_machine_is_known():
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1_000_000
    assert 0 < host_memory_mb() <= physical


@pytest.mark.parametrize(
    ("environ", "gpus"),
    [
        ({}, ()),
        ({"CUDA_VISIBLE_DEVICES": ""}, ()),
        ({"CUDA_VISIBLE_DEVICES": "-1"}, ()),
        ({"CUDA_VISIBLE_DEVICES": "NoDevFiles"}, ()),
        ({"CUDA_VISIBLE_DEVICES": "0, 2"}, ("0", "2")),
        ({"CUDA_VISIBLE_DEVICES": "GPU-6f3a,GPU-91bc"}, ("GPU-6f3a", "GPU-91bc")),
        ({"ROCR_VISIBLE_DEVICES": "1"}, ("1",)),
        ({"SLURM_JOB_GPUS": "0,1"}, ("0", "1")),
        ({"CUDA_VISIBLE_DEVICES": "0", "SLURM_JOB_GPUS": "3"}, ("0",)),
    ],
)
def test_a_worker_that_is_alone_offers_all_gpus_it_can_see(environ, gpus):
    assert gpus_of(None, environ, ALONE) == gpus


@pytest.mark.parametrize(
    ("visible", "parts"),
    [("0,1,2,3", [("0", "1"), ("2",), ("3",)]), ("0,1", [("0",), ("1",), ()]), ("", [(), (), ()])],
)
def test_no_gpu_is_offered_by_two_workers(visible, parts):
    assert [gpus_of(None, {"CUDA_VISIBLE_DEVICES": visible}, Share(index, 3)) for index in range(3)] == parts


def test_gpus_that_slurm_gave_each_task_are_not_shared_out_again():
    environ = SRUN_PMIX | {"CUDA_VISIBLE_DEVICES": "0,1", "SLURM_GPUS_PER_TASK": "2"}
    assert gpus_of(None, environ, Share(1, 2)) == ("0", "1")


def test_gpus_that_slurm_gave_each_task_of_a_component_are_not_shared_out_again():
    environ = hetjob_rank(3) | {"CUDA_VISIBLE_DEVICES": "0", "SLURM_GPUS_PER_TASK_HET_GROUP_1": "1"}
    assert gpus_of(None, environ, Share(1, 2)) == ("0",)


def test_a_user_can_say_that_there_are_no_gpus():
    assert gpus_of("", {"CUDA_VISIBLE_DEVICES": "0,1"}, ALONE) == ()


def test_what_a_user_sets_wins_over_what_slurm_gave():
    settings = Settings(cores=2, mem_mb=500, disk_mb=0, gpus="7")
    offer = offer_of(settings, hetjob_rank(2), ALONE)
    assert (len(offer.cores), offer.mem_mb, offer.disk_mb, offer.gpus) == (2, 500, 0, ("7",))


def test_scratch_space_is_unlimited_unless_it_is_set():
    assert offer_of(Settings(), hetjob_rank(2), ALONE).disk_mb == UNLIMITED_DISK_MB
