"""A recorded run that is played again takes as long as it took."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from demands import need
from records import Record
from snakemake_executor_plugin_daskmpi.advise.advice import Advice, Value
from snakemake_executor_plugin_daskmpi.advise.replay import replay_of
from snakemake_executor_plugin_daskmpi.advise.shapes import scaled, shapes_of
from snakemake_executor_plugin_daskmpi.placement.placement import Placement
from snakemake_executor_plugin_daskmpi.planning.demand import Demand, Job
from snakemake_executor_plugin_daskmpi.resources import UNLIMITED_DISK_MB, WorkerResources


@pytest.fixture
def run(tmp_path) -> Record:
    return Record(tmp_path)


def test_jobs_share_the_workers_that_there_were(run):
    run.workers(2)
    for number in range(8):
        run.job("a", 600 * (number // 4), 600, submitted_at=0, asks={"cores": 2})
    replay = replay_of(run.end().view())
    assert (replay.predicted_min(), replay.took_min, replay.n_cores) == (20, 20, 8)


def test_a_job_comes_after_what_it_needs_and_after_its_earlier_attempt(run):
    run.worker(cores=8)
    first = run.job("a", 0, 60)
    run.job("b", 60, 30, needs=(first,), jobid=7, outcome="failed")
    run.job("b", 90, 30, needs=(first,), jobid=7, attempt=2)
    run.job("c", 120, 60, needs=(7,))
    assert replay_of(run.end().view()).predicted_min() == 3


def test_what_snakemake_did_itself_takes_its_time_too(run):
    run.worker()
    first = run.job("a", 0, 60)
    # Job 99 comes after the first one, through another of its kind, and takes half a minute; job 97 was done before.
    run.note("local", 90, jobid=99, rule="collect", needs=[98, 97])
    run.note("local", 90, jobid=98, rule="collect", needs=[first])
    run.job("b", 90, 60, needs=(99,))
    run.job("c", 0, 10, submitted_at=0, needs=(97,))
    replay = replay_of(run.end().view())
    assert replay.predicted_min() == 2.5
    assert [job.need.is_local for job in replay.demand.jobs] == [False, True, False, False]
    assert [job.after for job in replay.demand.jobs] == [(), (0,), (1,), ()]


def test_jobs_are_as_urgent_as_they_were(run):
    run.worker(cores=1)
    run.job("a", 60, 60, submitted_at=0)
    first = run.job("b", 0, 60, submitted_at=0, n_behind=3)
    run.job("c", 120, 60, submitted_at=60, needs=(first,), n_behind=2)
    replay = replay_of(run.end().view())
    assert replay.n_behind == (0, 3, 2)
    assert replay.predicted_min() == 3


def test_the_wait_for_snakemake_to_hand_a_job_over_is_left_out_and_told(run):
    run.worker()
    first = run.job("a", 0, 60)
    run.job("b", 72, 48, needs=(first,))
    replay = replay_of(run.end().view())
    assert (replay.took_min, replay.predicted_min()) == (2, 1.8)
    assert replay.handed_over_after_s == 12


def test_a_limit_of_cores_holds_again(tmp_path):
    run = Record(tmp_path, max_cores=2)
    run.worker(cores=8)
    for number in range(4):
        run.job("a", 60 * (number // 2), 60, submitted_at=0)
    assert replay_of(run.end().view()).predicted_min() == 2


def test_jobs_go_to_the_components_that_serve_them(run):
    run.worker(cores=4, components=["gpu"], gpus=["0"])
    run.worker(cores=2, components=[""])
    for number in range(4):
        run.job("a", 60 * (number // 2), 60, submitted_at=0)
    run.job("b", 0, 60, submitted_at=0, asks={"gpus": 1, "component": "gpu"})
    assert replay_of(run.end().view()).predicted_min() == 2


def test_a_run_of_which_nothing_ended_cannot_be_played(run):
    run.worker()
    assert replay_of(run.end().view()) is None


def test_lost_workers_and_a_missing_end_are_told(run):
    run.workers(2)
    run.job("a", 0, 60)
    run.note("worker-lost", 60, worker="rank 3")
    assert replay_of(run.end().view()).unlike == ("1 of its workers were lost on the way",)


def played(jobs: list[Job], offers: list[WorkerResources]) -> list[tuple[float, float, float]]:
    """Return when each job is handed over, starts and ends, in minutes: a run as rank 1 would have it."""
    placement, times, left = Placement(), {}, {index: set(job.after) for index, job in enumerate(jobs)}
    for number, offer in enumerate(offers):
        placement.add_worker(str(number), offer)
    n_behind, now, running, ready_at = Demand(tuple(jobs)).n_behind(), 0.0, {}, {}
    while len(times) < len(jobs):
        for index in [index for index, before in left.items() if not before]:
            del left[index]
            ready_at[index] = now
            placement.enqueue(str(index), jobs[index].need.resources, 0, n_behind[index])
        for assignment in placement.assignments():
            running[int(assignment.key)] = now
        end, index = min((running[index] + jobs[index].need.minutes, index) for index in running)
        times[index] = (ready_at[index], running.pop(index), end)
        placement.release(str(index))
        now = end
        for before in left.values():
            before.discard(index)
    return [times[index] for index in range(len(jobs))]


@pytest.mark.parametrize("seed", range(8))
def test_the_record_of_a_simulated_run_predicts_its_makespan(run, seed):
    rng = random.Random(seed)
    cores = rng.choice([4, 8])
    offers = [WorkerResources(tuple(range(cores)), 8000, UNLIMITED_DISK_MB) for _ in range(rng.choice([1, 2, 3]))]
    jobs = []
    for index in range(60):
        before = tuple(sorted(rng.sample(range(index), min(index, rng.choice([0, 0, 1, 2])))))
        # No two jobs end at the same time, as in life: what starts then would depend on which is seen first.
        its = replace(need(rng.choice([1, 2, 4]), rng.choice([500, 2000])), minutes=rng.uniform(1, 13))
        jobs.append(Job(f"r{index % 4}", its, after=before))
    run.workers(len(offers), cores=cores, mem_mb=8000)
    times, n_behind = played(jobs, offers), Demand(tuple(jobs)).n_behind()
    for index in sorted(range(60), key=lambda index: times[index]):
        submitted, start, end = (60 * minutes for minutes in times[index])
        asks = jobs[index].need.resources.stated()
        needs = jobs[index].after
        more = {"needs": needs, "asks": asks, "n_behind": n_behind[index]}
        run.job(jobs[index].rule, start, end - start, jobid=index, submitted_at=submitted, **more)
    replay = replay_of(run.end().view())
    assert replay.took_min == pytest.approx(max(end for *_, end in times))
    assert replay.predicted_min() == pytest.approx(replay.took_min, rel=0.1)


def test_the_smallest_shape_that_is_as_soon_is_found(run):
    run.workers(4, mem_mb=32000)
    for number in range(32):
        run.job("a", 600 * (number // 8), 600, submitted_at=0, asks={"cores": 2, "mem_mb": 16000})
    advice = Advice("a", mem_mb=Value(2000, ""), threads=Value(1, ""))
    shapes = shapes_of(replay_of(run.end().view()), {"a": advice})
    assert shapes.as_it_was.makespan_min == 40
    assert [(shape.name, shape.makespan_min) for shape in shapes.advised] == [
        ("a quarter", 80),
        ("half", 40),
        ("the same workers", 20),
        ("double", 10),
    ]
    assert (shapes.best.name, shapes.best.workers_text) == ("half", "2 x 4 cores, 8300 MB")
    assert shapes.best.core_hours == pytest.approx(shapes.as_it_was.core_hours / 2)


def test_a_single_worker_becomes_a_smaller_one(run):
    run.worker(cores=4, mem_mb=8000)
    run.job("a")
    workers = replay_of(run.end().view()).workers
    assert [(len(offer.cores), offer.mem_mb) for offer, _ in scaled(workers, 0.5)] == [(2, 4000)]
    assert scaled(workers, 0.1) == ()
    assert len(scaled(workers, 2)) == 2


def test_a_shape_that_is_too_small_for_a_job_is_not_offered(run):
    run.worker(cores=4)
    run.job("a", asks={"cores": 4})
    shapes = shapes_of(replay_of(run.end().view()), {})
    assert [shape.name for shape in shapes.advised] == ["the same workers", "double"]
