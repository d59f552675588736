"""What the placement promises of any jobs, workers and order of events.

A machine makes up workers and jobs, and what happens to them, keeps books of its own, and compares after each step. In
the end nothing new comes, and every job has to run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from offers import fits
from required import examples
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


class AnyEvents(RuleBasedStateMachine):
    """Jobs and workers that come and go in any order."""

    @initialize(
        offers=st.lists(st.tuples(OFFERS, STEP_GROUPS), min_size=1, max_size=4),
        max_cores=st.sampled_from([None, None, 1, 3, 5, 12]),
        patience=st.sampled_from([1, 3, 32]),
    )
    def begin(self, offers, max_cores, patience):
        self.placement = Placement(patience=patience, max_cores=max_cores)
        self.max_cores = max_cores
        self.offers: dict[str, WorkerResources] = {}
        self.waiting: dict[str, JobResources] = {}
        self.placed: dict[str, Placed] = {}
        self.n_names = 0
        for offer, group in offers:
            self.come(offer, group)

    def name(self, kind: str) -> str:
        self.n_names += 1
        return f"{kind}{self.n_names}"

    # -- what happens ----------------------------------------------------------------------------

    @precondition(lambda self: len(self.offers) < 5)
    @rule(offer=OFFERS, group=STEP_GROUPS)
    def come(self, offer, group):
        name = self.name("worker")
        self.offers[name] = offer
        self.placement.add_worker(name, offer, group)

    @rule(requests=st.lists(REQUESTS, min_size=1, max_size=8), priority=st.sampled_from([0, 0, 5]))
    def enqueue(self, requests, priority):
        for request in requests:
            if self.placement.refusal(request) is None:
                key = self.name("job")
                self.waiting[key] = request
                self.placement.enqueue(key, request, priority)
            else:
                assert not any(fits(request, offer) for offer in self.offers.values())

    @rule()
    def place(self):
        for assignment in self.placement.assignments():
            request = self.waiting.pop(assignment.key)
            self.placed[assignment.key] = Placed(request, assignment)
            if not assignment.shared:
                assert (len(assignment.cores), len(assignment.gpus)) == (request.cores, request.gpus)
            else:
                assert sum(tasks for _, tasks in assignment.shared) == request.tasks

    @precondition(lambda self: self.placed)
    @rule(data=st.data())
    def send_a_successor(self, data):
        key = data.draw(st.sampled_from(sorted(self.placed)))
        successor = self.placement.successor(key)
        if successor is not None:
            ahead = self.placed[key]
            request = self.waiting.pop(successor.key)
            assert request == ahead.request
            assert (successor.worker, successor.cores, successor.gpus) == (
                (ahead.assignment.worker, ahead.assignment.cores, ahead.assignment.gpus)
            )
            self.placed[successor.key] = Placed(request, successor, after=key)

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
        del self.offers[name]
        lost = sorted(key for key, placed in self.placed.items() if placed.assignment.worker == name)
        assert sorted(self.placement.remove_worker(name)) == lost
        for key in lost:
            del self.placed[key]
        for key in self.placement.unplaceable():
            request = self.waiting.pop(key)
            assert not any(fits(request, offer) for offer in self.offers.values())

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
