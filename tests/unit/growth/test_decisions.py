"""Whether a run should grow, for what, and whether what it asked for is still needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from demands import need
from snakemake_executor_plugin_daskmpi.growth import decisions
from snakemake_executor_plugin_daskmpi.growth.estimate import homeless, minutes_left, uncovered
from snakemake_executor_plugin_daskmpi.growth.further_job import FurtherJob, Phase
from snakemake_executor_plugin_daskmpi.planning.demand import Shape
from snakemake_executor_plugin_daskmpi.resources import UNLIMITED_DISK_MB, WorkerResources
from snakemake_executor_plugin_daskmpi.slurm.plan import Component, Plan
from snakemake_executor_plugin_daskmpi.world.ticket import Ticket

#: Seconds that a worker takes to start, in these tests; so it has to have work for 70.
START_S = 10.0


def worker(cores: int = 4, mem_mb: int = 8000, gpus: int = 0, first: int = 0, components=None) -> WorkerResources:
    ids = tuple(range(first, first + cores))
    return WorkerResources(ids, mem_mb, UNLIMITED_DISK_MB, tuple(map(str, range(gpus))), components=components)


def shape(count: int, *args, minutes: float = 5.0, **more) -> Shape:
    asked = need(*args, **more)
    return Shape(type(asked)(asked.resources, asked.steering, minutes), count, ("r",))


class TestMinutesLeft:
    @pytest.mark.parametrize(
        ("shapes", "workers", "minutes"),
        [
            ([shape(8)], [worker(4)], 10.0),
            ([shape(8)], [worker(4), worker(4, first=4)], 5.0),
            ([shape(8, 1, 4000)], [worker(4)], 20.0),
            ([shape(8), shape(4)], [worker(4)], 15.0),
            ([shape(2, gpus=1), shape(8)], [worker(4), worker(4, gpus=1)], 10.0),
            ([], [worker(4)], 0.0),
            ([shape(8, 8)], [worker(4)], 0.0),
        ],
        ids=["cores", "two workers", "memory", "two kinds", "the GPU binds", "nothing", "no worker holds it"],
    )
    def test_is_the_work_over_what_can_do_it(self, shapes, workers, minutes):
        assert minutes_left(shapes, workers) == pytest.approx(minutes)

    def test_goes_by_components(self):
        shapes = [shape(8, partition="gpu"), shape(4)]
        assert minutes_left(shapes, [worker(4, components=("",)), worker(4, components=("gpu",))]) == 10.0


class TestUncovered:
    def test_is_what_would_not_be_done_in_time(self):
        (left,) = uncovered([shape(80)], [worker(4)], target_min=50)
        assert left.count == 40

    def test_is_nothing_if_all_is_done_in_time(self):
        assert uncovered([shape(80)], [worker(4)], target_min=100) == []

    def test_is_all_that_no_worker_holds_however_much_time_there_is(self):
        gpu = shape(1, gpus=1)
        assert uncovered([shape(4), gpu], [worker(4)], target_min=1e6) == [gpu]
        assert homeless([shape(4), gpu], [worker(4)]) == [gpu]

    def test_counts_what_runs_too(self):
        hour = shape(1, minutes=60.0)
        assert uncovered([hour], [worker(1)], target_min=60) == []
        (left,) = uncovered([hour], [worker(1)], target_min=60, running=[hour])
        assert left.count == 1


class TestWanted:
    def test_nothing_is_for_what_is_done_before_a_worker_had_paid_for_its_start(self):
        assert decisions.wanted([shape(60, minutes=1 / 60)], [], [worker(1)], START_S) is None

    def test_workers_are_for_what_takes_longer(self):
        wanted = decisions.wanted([shape(300, minutes=1 / 60)], [], [worker(1)], START_S)
        assert wanted.target_min == pytest.approx(70 / 60)
        assert wanted.takes_min == pytest.approx(5.0)
        assert wanted.shapes[0].count == 230

    def test_a_long_job_is_given_the_time_that_it_takes(self):
        wanted = decisions.wanted([shape(3, minutes=60.0)], [], [worker(1)], START_S)
        assert wanted.target_min == 60.0
        assert wanted.shapes[0].count == 2

    def test_what_comes_counts_as_there(self):
        assert decisions.wanted([shape(300, minutes=1 / 60)], [], [worker(1)] * 5, START_S) is None


def job(n_tasks: int = 2, **component) -> FurtherJob:
    kind = {"name": "w", "serves": ("",), "cpus_per_task": 4, "mem_per_cpu_mb": 1000, **component}
    plan = Plan((Component(n_tasks=n_tasks, **kind),), 30, has_head=False)
    return FurtherJob("7", plan, Path(), Ticket("h", 1, "f", "w"), 0.0)


class TestIsNeeded:
    def test_not_when_nothing_waits(self):
        assert not decisions.is_needed(job(), [], [], START_S)

    def test_not_when_the_others_are_done_before_it_had_started(self):
        assert not decisions.is_needed(job(), [shape(4, minutes=0.1)], [worker(4)], START_S)
        assert decisions.is_needed(job(), [shape(40, minutes=0.1)], [worker(4)], START_S)

    def test_for_what_no_other_can_hold(self):
        gpu = [shape(1, gpus=1, minutes=0.001)]
        assert decisions.is_needed(job(gpus_per_task=1), gpu, [worker(4)], START_S)
        assert not decisions.is_needed(job(), gpu, [worker(4)], START_S), "it could not hold it either"


class TestSmaller:
    def test_has_half_of_the_workers_and_a_single_one_half_of_its_cores(self):
        assert decisions.smaller(job(5).plan, [shape(9)]).n_workers == 2
        (component,) = decisions.smaller(job(1).plan, [shape(9)]).components
        assert (component.n_tasks, component.cpus_per_task) == (1, 2)

    def test_none_holds_nothing_of_what_waits(self):
        assert decisions.smaller(job(1).plan, [shape(9, cores=3)]) is None
        assert decisions.smaller(job(1, cpus_per_task=1).plan, [shape(9)]) is None


def test_workers_that_have_come_are_no_longer_to_come():
    further = job(3)
    assert len(further.offers) == 3
    further.n_joined = 2
    assert len(further.offers) == 1
    further.phase = Phase.ENDED
    assert further.offers == []
