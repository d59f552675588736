"""A run as its record tells it: what lines make of jobs and workers."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest

from records import START, Record
from snakemake_executor_plugin_daskmpi.record.events import VERSION, Cause
from snakemake_executor_plugin_daskmpi.record.run_view import RunView, State

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def record(tmp_path: Path) -> Record:
    """A run with a worker."""
    record = Record(tmp_path)
    record.worker()
    return record


def test_a_job_goes_from_waiting_to_running_to_done(record: Record):
    record.submitted("a")
    view = record.view()
    assert view.jobs["a"].state is State.WAITING
    record.started("a", at=1)
    assert view.update()
    assert (view.jobs["a"].state, view.jobs["a"].worker, view.jobs["a"].started_at) == (
        State.RUNNING,
        "rank 2",
        START + 1,
    )
    record.ended("a", begin=2, end=5)
    view.update()
    assert (view.jobs["a"].state, view.jobs["a"].seconds) == (State.DONE, 3)


def test_anything_that_has_happened_is_new_whatever_the_time_of_it(record: Record):
    view = record.view()
    assert not view.update()
    record.submitted("a", time=START)
    assert view.update()
    assert not view.update()
    record.note("started", job="a", worker="rank 2", cores=[0], time=None)
    assert view.update()
    record.write("half a li\n")
    assert view.update()
    assert not view.update()


def test_after_a_look_at_a_record_the_garbage_collector_does_what_it_did_before(record: Record):
    view = record.view()
    assert gc.isenabled()
    record.path.unlink()
    record.path.mkdir()
    with pytest.raises(OSError, match="directory"):
        view.update()
    assert gc.isenabled()
    gc.disable()
    try:
        assert not RunView(record.folder.parent).update()
        assert not gc.isenabled()
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        ("failed", State.FAILED),
        ("lost", State.FAILED),
        ("out-of-memory", State.FAILED),
        ("cancelled", State.LEFT),
        ("timed-out", State.LEFT),
        ("an outcome of a later version", State.FAILED),
    ],
)
def test_what_is_not_done_has_failed_or_is_left(record: Record, outcome: str, state: State):
    record.job(key="a", outcome=outcome)
    assert record.view().jobs["a"].state is state


def test_a_job_that_was_sent_ahead_runs_when_the_one_before_it_has_ended(record: Record):
    record.submitted("a", jobid=1)
    record.submitted("b", jobid=2)
    record.submitted("c", jobid=3)
    record.started("a")
    record.started("b", after="a")
    record.started("c", after="b")
    view = record.view()
    assert [job.state for job in view.jobs.values()] == [State.RUNNING, State.SENT, State.SENT]
    record.ended("a", end=7)
    view.update()
    assert [job.state for job in view.jobs.values()] == [State.DONE, State.RUNNING, State.SENT]
    assert view.jobs["b"].started_at == START + 7


def test_what_had_been_sent_to_a_lost_worker_waits_again(record: Record):
    record.submitted("a", jobid=1)
    record.submitted("b", jobid=2)
    record.started("a")
    record.started("b", after="a")
    record.note("worker-lost", worker="rank 2", comes_back=True, waits=["b"])
    record.ended("a", "lost")
    view = record.view()
    assert [job.state for job in view.jobs.values()] == [State.FAILED, State.WAITING]
    assert (view.jobs["b"].worker, view.jobs["b"].after) == ("", "")
    assert (view.workers["rank 2"].lost_at, view.workers["rank 2"].comes_back) == (START, True)


def test_a_worker_that_came_back_has_two_lives(record: Record):
    record.note("worker-lost", worker="rank 2", comes_back=True, waits=[])
    record.worker("rank 2", at=5)
    view = record.view()
    assert view.workers["rank 2"].lost_at is None
    assert [worker.lost_at for worker in view.former_workers] == [START]


def test_of_a_job_that_was_retried_the_last_attempt_counts(record: Record):
    record.job(key="a", outcome="failed")
    record.submitted("b", jobid=1, attempt=2)
    view = record.view()
    assert [job.key for job in view.attempts_of(1)] == ["a", "b"]
    assert view.counts()["one"] == {State.WAITING: 1}


def test_a_job_that_is_spawned_instead_is_handed_over_again(record: Record):
    record.job(key="a", outcome="spawned-instead")
    record.submitted("b", jobid=1)
    assert record.view().counts()["one"] == {State.WAITING: 1}


def test_jobs_that_are_set_aside_are_left(record: Record):
    record.submitted("a")
    record.note("set-aside", jobs=["a"], why="no time")
    record.note("drain", why="SIGUSR1 was received")
    view = record.view()
    assert (view.jobs["a"].state, view.set_aside, view.drain) == (
        State.LEFT,
        {"a": "no time"},
        "SIGUSR1 was received",
    )


def test_jobs_of_a_group_count_by_their_rules(record: Record):
    record.note("jobs", by_rule={"one": 4, "two": 1})
    record.submitted("g", rule="together", jobid="an-id", members={"one": 2, "two": 1}, member_ids=[4, 5, 6])
    record.started("g")
    view = record.view()
    assert view.counts() == {"one": {State.RUNNING: 2}, "two": {State.RUNNING: 1}}
    assert view.n_not_ready() == {"one": 2}


def test_what_was_not_handed_over_is_what_the_dag_has_besides(record: Record):
    record.note("jobs", by_rule={"one": 3})
    record.submitted("a")
    view = record.view()
    assert view.n_not_ready() == {"one": 2}
    record.note("jobs", by_rule={"one": 3, "late": 2})
    view.update()
    assert view.n_not_ready() == {"one": 2, "late": 2}


def test_a_reason_is_that_of_jobs_that_ask_for_the_same(record: Record):
    record.submitted("a", jobid=1, asks={"cores": 2})
    record.submitted("b", jobid=2, asks={"cores": 2})
    record.submitted("c", jobid=3)
    record.note("waiting", reasons=[_reason("cores", {"cores": 2}, n_jobs=2, worker="rank 2", holders=["x"])])
    view = record.view()
    reason = view.reason_of(view.jobs["b"])
    assert reason is not None
    assert (reason.cause, reason.n_jobs, reason.holders) == (Cause.CORES, 2, ("x",))
    assert view.reason_of(view.jobs["c"]) is None


def test_a_reason_of_an_earlier_version_has_no_holders_and_of_a_later_one_an_unknown_cause(record: Record):
    record.submitted("a", asks={"cores": 2})
    record.note("waiting", reasons=[_reason("the weather", {"cores": 2})])
    view = record.view()
    reason = view.reason_of(view.jobs["a"])
    assert reason is not None
    assert (reason.text, reason.worker, reason.holders) == ("it rains", "", ())


def test_a_record_of_a_newer_version_is_read_as_far_as_it_is_known(tmp_path: Path):
    record = Record(tmp_path, version=VERSION + 1)
    record.note("something-new", job="a")
    record.submitted("a", colour="red")
    view = record.view()
    assert view.is_newer_format
    assert view.n_unreadable == 0
    assert list(view.jobs) == ["a"]


def test_lines_that_speak_of_what_was_lost_with_others_are_counted_and_passed_over(record: Record):
    record.started("never submitted")
    record.ended("never submitted")
    record.note("worker-lost", worker="never joined", waits=["unknown"])
    record.note("submitted", job="no more than a key")
    record.write("half a li\n")
    record.submitted("a")
    view = record.view()
    assert list(view.jobs) == ["a"]
    assert view.n_unreadable == 5


def test_the_end_is_known_by_the_last_line(record: Record):
    view = record.view()
    assert not view.end
    record.end(done=3, total=4, failed=1)
    view.update()
    assert view.end["done"] == 3


def _reason(cause: str, asks: dict[str, int], **more: object) -> dict[str, object]:
    return {"cause": cause, "asks": asks, "priority": 0, "n_jobs": 1, "text": "it rains", "example": "a", **more}


def test_a_job_that_snakemake_takes_for_failed_has_failed_though_its_body_ended_well(record):
    record.job(key="a")
    record.note("rejected", job="a")
    (job,) = record.view().current
    assert (job.state, job.outcome) == (State.FAILED, "rejected")
    assert "output" in job.ended["reason"]


def test_a_worker_that_has_left_is_gone_and_not_lost(record: Record):
    record.worker("rank 45.0", allocation="45", ends_at=START + 60)
    record.note("worker-left", time=START + 50, worker="rank 45.0", why="Slurm job 45 ends")
    view = record.view()
    worker = view.workers["rank 45.0"]
    assert (worker.allocation, worker.left_at, worker.lost_at) == ("45", START + 50, None)
    assert worker.gone_at == START + 50
    assert view.workers["rank 2"].gone_at is None


def test_a_job_that_was_ended_with_its_worker_waits_again_and_is_one_job(record: Record):
    record.note("jobs", by_rule={"one": 1})
    record.job(key="a", outcome="timed-out")
    record.submitted("a-again", jobid=1, again_of="a", asks={"runtime_min": 1})
    view = record.view()
    assert [(job.key, job.state, job.again_of) for job in view.current] == [("a-again", State.WAITING, "a")]
    assert view.counts() == {"one": {State.WAITING: 1}}
    assert [job.state for job in view.attempts_of(1)] == [State.LEFT, State.WAITING]


def test_of_further_slurm_jobs_the_last_phase_is_known(record: Record):
    for phase in ("queued", "started"):
        record.note("allocation", allocation="45", phase=phase)
    assert record.view().allocations["45"]["phase"] == "started"
