"""Placement: what it promises of the order, of ageing, and of refusals, by examples."""

from __future__ import annotations

import pytest

from snakemake_executor_plugin_daskmpi.placement.assignment import Assignment
from snakemake_executor_plugin_daskmpi.placement.placement import Placement
from snakemake_executor_plugin_daskmpi.resources import JobResources, WorkerResources

FOUR_CORES = WorkerResources(cores=(0, 1, 2, 3), mem_mb=12000, disk_mb=50000)
GPU_WORKER = WorkerResources(cores=tuple(range(8)), mem_mb=32000, disk_mb=50000, gpus=("GPU-a", "GPU-b"))


def placement_of(*offers: WorkerResources, patience: int = 32) -> Placement:
    """Return a placement with workers named w0, w1 and so on."""
    placement = Placement(patience=patience)
    for number, offer in enumerate(offers):
        placement.add_worker(f"w{number}", offer)
    return placement


def started(placement: Placement) -> list[str]:
    return [assignment.key for assignment in placement.assignments()]


def test_priority_goes_before_size() -> None:
    placement = placement_of(FOUR_CORES)
    placement.enqueue("large", JobResources(cores=4))
    placement.enqueue("urgent", JobResources(cores=1), priority=1)
    assert started(placement) == ["urgent"]


def test_what_a_longer_chain_waits_for_goes_before_size_but_after_priority() -> None:
    placement = placement_of(WorkerResources(cores=(0,), mem_mb=1000, disk_mb=0))
    placement.enqueue("large", JobResources(mem_mb=900))
    placement.enqueue("of a chain", JobResources(), n_behind=3)
    placement.enqueue("of a longer chain", JobResources(), n_behind=40)
    placement.enqueue("urgent", JobResources(), priority=1)
    order = []
    while keys := started(placement):
        order += keys
        placement.release(keys[0])
    assert order == ["urgent", "of a longer chain", "of a chain", "large"]


def test_the_larger_goes_first_and_size_is_that_of_all_shares() -> None:
    placement = placement_of(FOUR_CORES)
    placement.enqueue("half the cores", JobResources(cores=2, mem_mb=100))
    placement.enqueue("three cores", JobResources(cores=3, mem_mb=100))
    placement.enqueue("most of the memory", JobResources(cores=1, mem_mb=9000))
    placement.enqueue("half of both", JobResources(cores=2, mem_mb=6000))
    assert started(placement) == ["most of the memory", "three cores"]


def test_a_job_with_a_gpu_goes_before_larger_ones_without() -> None:
    placement = placement_of(GPU_WORKER)
    placement.enqueue("all cores", JobResources(cores=8))
    placement.enqueue("gpu", JobResources(gpus=1))
    assert started(placement) == ["gpu"]


def test_the_longer_goes_first_among_jobs_of_one_size() -> None:
    placement = placement_of(FOUR_CORES)
    for key, runtime_min in (("unknown", None), ("short", 10), ("long", 11), ("longest", 600)):
        placement.enqueue(key, JobResources(cores=2, runtime_min=runtime_min))
    order = started(placement)
    placement.release("longest")
    assert order + started(placement) == ["longest", "long", "short"]


def test_the_oldest_goes_first_among_equals() -> None:
    placement = placement_of(FOUR_CORES)
    for number in range(6):
        placement.enqueue(f"job{number}", JobResources(cores=2))
    assert started(placement) == ["job0", "job1"]


def test_a_job_goes_where_it_leaves_least_and_gets_the_lowest_free_cores() -> None:
    placement = placement_of(GPU_WORKER, FOUR_CORES, WorkerResources(cores=(4, 5), mem_mb=12000, disk_mb=0))
    placement.enqueue("a", JobResources(cores=1))
    placement.enqueue("b", JobResources(cores=3))
    assert placement.assignments() == [Assignment("b", "w1", (0, 1, 2), ()), Assignment("a", "w1", (3,), ())]


def test_gpus_are_left_to_jobs_that_ask_for_them() -> None:
    placement = placement_of(GPU_WORKER, FOUR_CORES)
    for number in range(2):
        placement.enqueue(f"cpu{number}", JobResources(cores=2))
        placement.enqueue(f"gpu{number}", JobResources(cores=4, gpus=1))
    placed = {a.key: (a.worker, a.gpus) for a in placement.assignments()}
    assert placed == {"cpu0": ("w1", ()), "cpu1": ("w1", ()), "gpu0": ("w0", ("GPU-a",)), "gpu1": ("w0", ("GPU-b",))}


def test_a_job_without_gpus_takes_a_gpu_worker_when_no_other_has_room() -> None:
    placement = placement_of(GPU_WORKER, FOUR_CORES)
    placement.enqueue("first", JobResources(cores=4))
    placement.enqueue("second", JobResources(cores=4))
    assert [a.worker for a in placement.assignments()] == ["w1", "w0"]


def test_zero_core_jobs_take_memory_only_and_spread() -> None:
    placement = placement_of(FOUR_CORES, FOUR_CORES)
    placement.enqueue("all cores", JobResources(cores=4, mem_mb=1000))
    for number in range(4):
        placement.enqueue(f"idle{number}", JobResources(cores=0, mem_mb=5500))
    placed = [(a.key, a.worker, a.cores) for a in placement.assignments()]
    assert placed[0] == ("all cores", "w0", (0, 1, 2, 3))
    assert sorted(worker for _, worker, _ in placed[1:]) == ["w0", "w0", "w1", "w1"]
    assert {cores for _, _, cores in placed[1:]} == {()}


def starts_before(wanted: str, request: JobResources, *, priority: int, stream_priority: int, most: int) -> int:
    """Count the small jobs of an endless stream that start before another job does, on a worker full of them."""
    placement = placement_of(FOUR_CORES, patience=10)
    running: list[str] = []
    names = (f"small{number}" for number in range(10 * most))
    placement.enqueue(next(names), JobResources(cores=1), stream_priority)
    running += started(placement)
    placement.enqueue(wanted, request, priority)
    count = 0
    while count < most:
        while placement.queued < 6:
            placement.enqueue(next(names), JobResources(cores=1), stream_priority)
        new = started(placement)
        if wanted in new:
            break
        running += new
        count += len(new)
        placement.release(running.pop(0))
    return count


@pytest.mark.parametrize("priority", [0, 7])
def test_a_large_job_does_not_starve_behind_a_stream_of_small_ones(priority: int) -> None:
    request = JobResources(cores=4)
    # Ten are let by; the last of them may be one of three that start in one pass.
    assert 10 <= starts_before("large", request, priority=priority, stream_priority=0, most=100) <= 12


def test_a_job_of_low_priority_waits_for_all_of_higher_priority() -> None:
    request = JobResources(cores=4)
    assert starts_before("humble", request, priority=0, stream_priority=1, most=50) == 50


def test_a_reservation_holds_back_only_what_the_reserved_job_needs() -> None:
    placement = placement_of(GPU_WORKER, patience=2)
    placement.enqueue("both GPUs", JobResources(cores=1, gpus=2))
    assert started(placement) == ["both GPUs"]
    placement.enqueue("next GPU", JobResources(cores=4, gpus=1))
    for number in range(2):
        placement.enqueue(f"before{number}", JobResources())
    assert started(placement) == ["before0", "before1"]
    # Of eight cores three are taken and four are reserved for when they are free: four jobs may run beside.
    for number in range(6):
        placement.enqueue(f"beside{number}", JobResources())
    assert started(placement) == ["beside0", "beside1", "beside2", "beside3"]
    for key in ("before0", "before1"):
        placement.release(key)
        assert started(placement) == []
    placement.release("both GPUs")
    assert started(placement) == ["next GPU"]


def test_a_reservation_ends_with_its_job() -> None:
    placement = placement_of(FOUR_CORES, patience=1)
    for key in ("a", "b"):
        placement.enqueue(key, JobResources(cores=2))
    assert started(placement) == ["a", "b"]
    placement.release("a")
    placement.enqueue("large", JobResources(cores=4))
    placement.enqueue("small", JobResources(cores=1))
    assert started(placement) == ["small"]
    placement.enqueue("later", JobResources(cores=1))
    assert started(placement) == []
    assert placement.withdraw("large")
    assert started(placement) == ["later"]


def test_a_removed_worker_gives_back_its_jobs_and_its_reservation() -> None:
    placement = placement_of(FOUR_CORES, FOUR_CORES, patience=1)
    for key in ("a", "b"):
        placement.enqueue(key, JobResources(cores=3))
    assert started(placement) == ["a", "b"]
    placement.enqueue("large", JobResources(cores=4))
    placement.enqueue("small", JobResources(cores=1))
    assert started(placement) == ["small"]
    assert placement.remove_worker("w0") == ["a", "small"]
    assert placement.running == 1
    placement.release("a")
    placement.release("b")
    assert [(a.key, a.worker) for a in placement.assignments()] == [("large", "w1")]
    assert placement.remove_worker("w0") == []
    assert list(placement.workers) == ["w1"]


def test_jobs_that_no_remaining_worker_can_hold_are_given_back_once() -> None:
    placement = placement_of(FOUR_CORES, GPU_WORKER)
    placement.enqueue("gpu", JobResources(gpus=1))
    placement.enqueue("wide", JobResources(cores=6))
    placement.enqueue("small", JobResources())
    assert placement.unplaceable() == []
    placement.remove_worker("w1")
    assert sorted(placement.unplaceable()) == ["gpu", "wide"]
    assert placement.unplaceable() == []
    assert placement.queued == 1
    assert started(placement) == ["small"]


def test_a_new_worker_takes_what_waits() -> None:
    placement = placement_of()
    placement.enqueue("job", JobResources())
    assert started(placement) == []
    placement.add_worker("late", FOUR_CORES)
    assert started(placement) == ["job"]


def test_withdrawing_drops_a_waiting_job_only() -> None:
    placement = placement_of(FOUR_CORES)
    placement.enqueue("runs", JobResources(cores=4))
    assert started(placement) == ["runs"]
    placement.enqueue("waits", JobResources())
    assert [placement.withdraw(key) for key in ("waits", "waits", "runs", "unknown")] == [True, False, False, False]
    assert (placement.queued, placement.running) == (0, 1)


def test_a_key_that_waits_or_runs_cannot_be_enqueued_again() -> None:
    placement = placement_of(FOUR_CORES)
    placement.enqueue("job", JobResources())
    with pytest.raises(ValueError, match="job job is already there"):
        placement.enqueue("job", JobResources())
    assert started(placement) == ["job"]
    with pytest.raises(ValueError, match="job job is already there"):
        placement.enqueue("job", JobResources())
    with pytest.raises(ValueError, match="worker w0 is already there"):
        placement.add_worker("w0", FOUR_CORES)


def test_what_fits_is_not_refused() -> None:
    assert placement_of(FOUR_CORES, GPU_WORKER).refusal(JobResources(cores=4, mem_mb=12000)) is None


@pytest.mark.parametrize(
    ("request_", "seen", "next_step"),
    [
        (
            JobResources(cores=9),
            "threads=9, but the largest worker offers 8.",
            "lower the rule's threads, or give workers more with --daskmpi-cores or a larger --cpus-per-task.",
        ),
        (
            JobResources(mem_mb=64000),
            "mem_mb=64000, but the largest worker offers 32000.",
            "lower the rule's mem_mb, or give workers more with --daskmpi-mem-mb or a larger --mem.",
        ),
        (
            JobResources(mem_mb=1000, disk_mb=50001),
            "disk_mb=50001, but the largest worker offers 50000.",
            "lower the rule's disk_mb, or give workers more with --daskmpi-disk-mb or a larger TMPDIR.",
        ),
        (
            JobResources(gpus=3),
            "gpu=3, but the largest worker offers 2.",
            "lower the rule's gpu, or give workers more with --daskmpi-gpus or a larger --gpus-per-task.",
        ),
    ],
)
def test_a_refusal_names_what_is_short_and_what_to_change(request_: JobResources, seen: str, next_step: str) -> None:
    refusal = placement_of(FOUR_CORES, GPU_WORKER).refusal(request_)
    assert refusal is not None
    assert (refusal.seen, refusal.next_step) == (seen, next_step)


@pytest.mark.parametrize(
    ("request_", "flag"),
    [
        (JobResources(mem_mb=1000, disk_mb=50000), "--default-resources disk_mb=100)"),
        (JobResources(mem_mb=1000, disk_mb=1000), "--default-resources disk_mb=100)"),
        (JobResources(mem_mb=8000, disk_mb=90), "--default-resources mem_mb=700)"),
        (JobResources(mem_mb=2468, disk_mb=2468), "--default-resources mem_mb=700)"),
    ],
)
def test_a_size_that_may_be_snakemakes_default_is_answered_with_its_flag(request_: JobResources, flag: str) -> None:
    tiny = WorkerResources(cores=(0,), mem_mb=700, disk_mb=100)
    refusal = placement_of(tiny).refusal(request_)
    assert refusal is not None
    assert flag in refusal.next_step


def test_a_job_that_needs_the_best_of_two_workers_is_told_what_the_nearest_lacks() -> None:
    large = WorkerResources(cores=tuple(range(16)), mem_mb=64000, disk_mb=0)
    refusal = placement_of(GPU_WORKER, large).refusal(JobResources(cores=16, gpus=1))
    assert refusal is not None
    assert refusal.happened == "No worker can ever hold a job with threads=16, gpu=1."
    assert "the nearest offers threads=8 of 16" in refusal.seen
    assert refusal.next_step.startswith("lower the rule's threads")


def test_without_any_worker_every_job_is_refused_because_all_are_lost() -> None:
    placement = placement_of(FOUR_CORES)
    placement.remove_worker("w0")
    refusal = placement.refusal(JobResources())
    assert refusal is not None
    assert refusal.happened == "All workers are lost."
    assert refusal.next_step == "look into the workers' logs for the reason, then run the same command again."
