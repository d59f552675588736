"""What the placement promises of any jobs, workers and order of events.

A machine makes up workers and jobs, and what happens to them, keeps books of its own, and compares after each step. In
the end nothing new comes, and every job has to run. Some workers leave at a time that is known, and some are closed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from offers import fits
from required import examples
from snakemake_executor_plugin_daskmpi.placement.deadline import Deadline
from snakemake_executor_plugin_daskmpi.placement.placement import Placement
from snakemake_executor_plugin_daskmpi.resources import JobResources, WorkerResources

if TYPE_CHECKING:
    from snakemake_executor_plugin_daskmpi.placement.assignment import Assignment

#: The same examples at each run, so that a failure is the fault of the change that was made.
SETTINGS = {"derandomize": True, "database": None, "deadline": None}

OFFERS = st.builds(
    WorkerResources,
    # Ids need not begin with 0, nor follow one another.
    cores=st.sampled_from([(0,), (0, 1), (7, 9), (0, 1, 2, 3), tuple(range(8))]),
    mem_mb=st.sampled_from([500, 4000, 12000]),
    disk_mb=st.sampled_from([0, 50000]),
    gpus=st.sampled_from([(), (), ("GPU-a",), ("GPU-a", "GPU-b")]),
)
#: For how many minutes a worker stays; None if as long as the others.
STAYS = st.sampled_from([None, 4, 40, 90])
#: Rules, and what is known of how long their jobs take, in minutes.
RULES, MAY_TAKE_MIN = st.sampled_from(["", "", "quick", "slow"]), {"quick": 2.0, "slow": 45.0}
STEP_GROUPS = st.sampled_from(["", "c1", "c1", "c2"])
SINGLE = st.builds(
    JobResources,
    cores=st.sampled_from([0, 1, 1, 1, 2, 3, 4, 6, 8]),
    mem_mb=st.sampled_from([0, 0, 400, 3000, 11000]),
    disk_mb=st.sampled_from([0, 0, 20000]),
    gpus=st.sampled_from([0, 0, 0, 1, 2]),
    runtime_min=st.sampled_from([None, 5, 60]),
)
#: MPI programs whose tasks may lie on several workers.
WIDE = st.builds(
    lambda tasks, each, mem_mb: JobResources(cores=tasks * each, mem_mb=tasks * mem_mb, tasks=tasks, spans=True),
    st.integers(2, 6),
    st.integers(1, 2),
    st.sampled_from([0, 100, 500]),
)
REQUESTS = SINGLE | SINGLE | WIDE


@dataclass
class Placed:
    """A job that the placement has placed."""

    request: JobResources
    assignment: Assignment
    rule: str = ""
    #: The job that it takes over from, while that is there.
    after: str = ""

    def taken_of(self, worker: str) -> tuple[int, int, int, int]:
        """Return the cores, memory, disk and GPUs that it takes of a worker."""
        request, shares = self.request, dict(self.assignment.shared)
        if not shares:
            here = worker == self.assignment.worker
            return (request.cores, request.mem_mb, request.disk_mb, request.gpus) if here else (0, 0, 0, 0)
        tasks = shares.get(worker, 0)
        each = (-(-amount // request.tasks) for amount in (request.cores, request.mem_mb, request.disk_mb))
        return (*(tasks * amount for amount in each), 0)  # type: ignore[return-value]


def minutes_of(request: JobResources, rule: str) -> float:
    """Return how long a job may take."""
    return max(request.runtime_min or 0, MAY_TAKE_MIN.get(rule, 0))


class AnyEvents(RuleBasedStateMachine):
    """Jobs and workers that come and go in any order."""

    @initialize(
        offers=st.lists(st.tuples(OFFERS, STEP_GROUPS, STAYS), min_size=1, max_size=4),
        max_cores=st.sampled_from([None, None, 1, 3, 5, 12]),
        patience=st.sampled_from([1, 3, 32]),
    )
    def begin(self, offers, max_cores, patience):
        self.now = 1000.0
        self.placement = Placement(patience=patience, max_cores=max_cores)
        self.placement.may_take_min.update(MAY_TAKE_MIN)
        self.max_cores = max_cores
        self.offers: dict[str, WorkerResources] = {}
        #: Until when each worker stays; those that are closed take no jobs.
        self.ends: dict[str, float] = {}
        self.closed: set[str] = set()
        #: What each job asks for, and its rule.
        self.waiting: dict[str, tuple[JobResources, str]] = {}
        self.placed: dict[str, Placed] = {}
        self.n_names = 0
        for offer, group, stay in offers:
            self.come(offer, group, stay)

    def name(self, kind: str) -> str:
        self.n_names += 1
        return f"{kind}{self.n_names}"

    def takes(self, worker: str, request: JobResources, rule: str) -> bool:
        """Say whether a worker takes such a job by now, and could hold it when idle."""
        in_time = self.now + 60 * minutes_of(request, rule) <= self.ends[worker]
        return worker not in self.closed and in_time and fits(request, self.offers[worker])

    def drop_what_nobody_takes(self):
        for key in self.placement.unplaceable():
            request, rule = self.waiting.pop(key)
            assert not any(self.takes(name, request, rule) for name in self.offers)
        for request, rule in self.waiting.values():
            assert request.spans or any(self.takes(name, request, rule) for name in self.offers)

    # -- what happens ----------------------------------------------------------------------------

    @precondition(lambda self: len(self.offers) < 5)
    @rule(offer=OFFERS, group=STEP_GROUPS, stay=STAYS)
    def come(self, offer, group, stay):
        name = self.name("worker")
        self.offers[name], self.ends[name], deadline = offer, math.inf, None
        if stay is not None:
            self.ends[name] = ends_at = self.now + 60 * stay
            deadline = Deadline(ends_at, length_s=0.0, said_by="Slurm", clock=lambda: self.now)
        self.placement.add_worker(name, offer, group, deadline)

    @rule(requests=st.lists(REQUESTS, min_size=1, max_size=8), priority=st.sampled_from([0, 0, 5]), its_rule=RULES)
    def enqueue(self, requests, priority, its_rule):
        for request in requests:
            if self.placement.refusal(request, minutes_of(request, its_rule)) is None:
                key = self.name("job")
                self.waiting[key] = request, its_rule
                self.placement.enqueue(key, request, priority, rule=its_rule)
            else:
                assert not any(self.takes(name, request, its_rule) for name in self.offers)

    @rule(minutes=st.sampled_from([1, 3, 40]))
    def pass_time(self, minutes):
        self.now += 60 * minutes
        self.drop_what_nobody_takes()

    @precondition(lambda self: self.offers.keys() - self.closed)
    @rule(data=st.data())
    def close_a_worker(self, data):
        name = data.draw(st.sampled_from(sorted(self.offers.keys() - self.closed)))
        self.closed.add(name)
        self.placement.close_worker(name)
        self.drop_what_nobody_takes()

    @rule()
    def place(self):
        for assignment in self.placement.assignments():
            request, its_rule = self.waiting.pop(assignment.key)
            self.placed[assignment.key] = Placed(request, assignment, its_rule)
            self.ends_in_time(self.placed[assignment.key])
            if not assignment.shared:
                assert (len(assignment.cores), len(assignment.gpus)) == (request.cores, request.gpus)
            else:
                assert sum(tasks for _, tasks in assignment.shared) == request.tasks

    def ends_in_time(self, placed: Placed) -> None:
        """Check that a job that is placed now can end on all of its workers before they leave."""
        for worker in {placed.assignment.worker, *(name for name, _ in placed.assignment.shared)}:
            assert worker not in self.closed
            assert self.now + 60 * minutes_of(placed.request, placed.rule) <= self.ends[worker]

    @precondition(lambda self: self.placed)
    @rule(data=st.data())
    def send_a_successor(self, data):
        key = data.draw(st.sampled_from(sorted(self.placed)))
        successor = self.placement.successor(key)
        if successor is not None:
            ahead = self.placed[key]
            request, its_rule = self.waiting.pop(successor.key)
            assert (request, its_rule) == (ahead.request, ahead.rule)
            assert (successor.worker, successor.cores, successor.gpus) == (
                (ahead.assignment.worker, ahead.assignment.cores, ahead.assignment.gpus)
            )
            self.placed[successor.key] = Placed(request, successor, its_rule, after=key)
            self.ends_in_time(self.placed[successor.key])

    @precondition(lambda self: self.placed)
    @rule(data=st.data())
    def release(self, data):
        self.end(data.draw(st.sampled_from(sorted(self.placed))))

    def end(self, key):
        self.placement.release(key)
        ended = self.placed.pop(key)
        for placed in self.placed.values():
            if placed.after == key:
                placed.after = ended.after

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def withdraw(self, data):
        key = data.draw(st.sampled_from(sorted(self.waiting)))
        assert self.placement.withdraw(key)
        assert not self.placement.withdraw(key)
        del self.waiting[key]

    @precondition(lambda self: self.offers)
    @rule(data=st.data())
    def lose_a_worker(self, data):
        name = data.draw(st.sampled_from(sorted(self.offers)))
        del self.offers[name], self.ends[name]
        self.closed.discard(name)
        lost = sorted(key for key, placed in self.placed.items() if placed.assignment.worker == name)
        assert sorted(self.placement.remove_worker(name)) == lost
        for key in lost:
            del self.placed[key]
        self.drop_what_nobody_takes()

    # -- what must be true -------------------------------------------------------------------------

    @property
    def holders(self) -> list[Placed]:
        """Those that hold what they have, not those that wait for it behind another one."""
        return [placed for placed in self.placed.values() if not placed.after]

    @invariant()
    def no_worker_gives_more_than_it_has(self):
        for name, offer in self.offers.items():
            taken = [placed.taken_of(name) for placed in self.holders]
            cores, mem_mb, disk_mb, gpus = (sum(amounts) for amounts in zip((0, 0, 0, 0), *taken, strict=True))
            assert cores <= len(offer.cores)
            assert mem_mb <= offer.mem_mb
            assert disk_mb <= offer.disk_mb
            assert gpus <= len(offer.gpus)

    @invariant()
    def no_core_and_no_gpu_is_given_twice(self):
        for name, offer in self.offers.items():
            here = [placed.assignment for placed in self.holders if placed.assignment.worker == name]
            for given_, offered in (
                ([core for assignment in here for core in assignment.cores], offer.cores),
                ([gpu for assignment in here for gpu in assignment.gpus], offer.gpus),
            ):
                assert len(given_) == len(set(given_))
                assert set(given_) <= set(offered)

    @invariant()
    def the_limit_of_cores_holds(self):
        cores = [placed.request.cores for placed in self.holders if placed.request.cores]
        assert self.max_cores is None or sum(cores) <= self.max_cores or len(cores) == 1

    @invariant()
    def every_job_is_somewhere(self):
        assert (self.placement.queued, self.placement.running) == (len(self.waiting), len(self.placed))

    def teardown(self):
        """Let all jobs run, the oldest first, with nothing new to come."""
        if not hasattr(self, "placement"):
            return
        while self.waiting or self.placed:
            self.place()
            self.no_worker_gives_more_than_it_has()
            assert self.placed, f"{self.waiting} wait for ever"
            self.end(next(iter(self.placed)))


AnyEvents.TestCase.settings = settings(
    max_examples=examples(60), stateful_step_count=30, suppress_health_check=[HealthCheck.too_slow], **SETTINGS
)
TestAnyEvents = AnyEvents.TestCase


@given(
    offers=st.lists(OFFERS, min_size=1, max_size=3),
    wanted=REQUESTS,
    stream=st.lists(REQUESTS, min_size=1, max_size=5),
    patience=st.integers(1, 12),
)
@settings(max_examples=examples(200), **SETTINGS)
def test_no_job_starves_behind_an_endless_stream_of_lower_rank(offers, wanted, stream, patience):
    placement = Placement(patience=patience)
    for n, offer in enumerate(offers):
        placement.add_worker(f"worker{n}", offer, "c1")
    stream = [request for request in stream if placement.refusal(request) is None]
    if not stream or placement.refusal(wanted) is not None:
        return
    running, n = [], 0
    for step in range(10 * (patience + 10)):
        while placement.queued < 6:
            placement.enqueue(f"stream{n}", stream[n % len(stream)])
            n += 1
        if step == 5:
            placement.enqueue("wanted", wanted, priority=1)
        running += [assignment.key for assignment in placement.assignments()]
        if "wanted" in running:
            return
        placement.release(running.pop(0))
    raise AssertionError(f"{wanted} starves after {n} others")


@given(
    offers=st.lists(OFFERS, min_size=1, max_size=3),
    requests=st.lists(SINGLE, min_size=1, max_size=20),
    data=st.data(),
)
@settings(max_examples=examples(60), **SETTINGS)
def test_without_reservations_nothing_waits_that_fits(offers, requests, data):
    placement = Placement(patience=10**9)
    workers = {f"worker{n}": offer for n, offer in enumerate(offers)}
    for name, offer in workers.items():
        placement.add_worker(name, offer)
    waiting, placed = {}, {}
    for n, request in enumerate(requests):
        if placement.refusal(request) is None:
            waiting[f"job{n}"] = request
            placement.enqueue(f"job{n}", request)
        if placed and data.draw(st.booleans()):
            key = data.draw(st.sampled_from(sorted(placed)))
            del placed[key]
            placement.release(key)
        placed |= {a.key: Placed(waiting.pop(a.key), a) for a in placement.assignments()}
        for name, offer in workers.items():
            here = [job.assignment for job in placed.values() if job.assignment.worker == name]
            taken = [job.taken_of(name) for job in placed.values()]
            free = WorkerResources(
                cores=tuple(set(offer.cores) - {core for assignment in here for core in assignment.cores}),
                mem_mb=offer.mem_mb - sum(amounts[1] for amounts in taken),
                disk_mb=offer.disk_mb - sum(amounts[2] for amounts in taken),
                gpus=tuple(set(offer.gpus) - {gpu for assignment in here for gpu in assignment.gpus}),
            )
            assert not [key for key, request in waiting.items() if fits(request, free)]
