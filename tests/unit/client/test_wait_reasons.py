"""Why jobs wait, in words: by queues that the test fills."""

from __future__ import annotations

import dataclasses
from typing import Any

from snakemake_executor_plugin_daskmpi.client.job import Job
from snakemake_executor_plugin_daskmpi.client.job_queue import JobQueue
from snakemake_executor_plugin_daskmpi.client.run_state import RunState
from snakemake_executor_plugin_daskmpi.messages import JobSpec, WorkerInfo
from snakemake_executor_plugin_daskmpi.record.events import MOST_HOLDERS, Cause, Reason
from snakemake_executor_plugin_daskmpi.resources import JobResources, WorkerResources


def state_with(*offers: WorkerResources, max_cores: int | None = None, lives: int = 0) -> RunState:
    """Return a run with workers rank 2, rank 3, …"""
    state = RunState(JobQueue(max_cores=max_cores))
    for number, offer in enumerate(offers, start=2):
        info = WorkerInfo(f"tcp://{number}", f"rank {number}", "node", dataclasses.asdict(offer), lives_left=lives)
        state.on_worker_added(info)
    return state


def submit(state: RunState, key: str, priority: int = 0, **asks: Any) -> None:
    """Submit a job and start all that can."""
    request = JobResources(**asks)
    state.on_submitted(Job(JobSpec(key, f"rule {key}", "rule", "log"), request, request, priority))
    state.on_turn()


def only_reason(state: RunState) -> Reason:
    (reason,) = state.reasons()
    return reason


def offer(cores: int = 4, **rest: Any) -> WorkerResources:
    return WorkerResources(**{"cores": tuple(range(cores)), "mem_mb": 1000, "disk_mb": 1000, **rest})


def test_it_is_told_what_is_free_where_and_who_has_the_rest():
    state = state_with(offer())
    submit(state, "a", cores=3, mem_mb=100)
    submit(state, "b", cores=2)
    reason = only_reason(state)
    assert reason.text == "it needs 2 cores, and rank 2, which is nearest, has 1 free: the rest is taken by rule a"
    assert (reason.cause, reason.worker, reason.holders) == (Cause.CORES, "rank 2", ("a",))


def test_all_that_is_missing_is_told():
    state = state_with(offer())
    submit(state, "a", cores=4, disk_mb=900, mem_mb=600)
    submit(state, "b", cores=1, mem_mb=500, disk_mb=200)
    text = "it needs 1 core and 500 MB of memory and 200 MB of scratch space, and rank 2, which is nearest, "
    assert only_reason(state).text.startswith(f"{text}has none and 400 and 100 free")


def test_a_component_is_named():
    state = state_with(offer(2, components=("gpu",)), offer(8, components=("cpu",)))
    submit(state, "a", cores=2, component="gpu")
    submit(state, "b", cores=1, component="gpu")
    text = "it needs 1 core, and rank 2, nearest of those of component gpu, has none free: the rest is taken by rule a"
    assert only_reason(state).text == text


def test_what_is_free_on_several_workers_and_on_none_together_is_told():
    state = state_with(offer(4), offer(4))
    submit(state, "a", cores=4)
    submit(state, "b", mem_mb=1000)
    submit(state, "c", cores=2, mem_mb=500)
    reason = only_reason(state)
    assert reason.cause is Cause.TOGETHER
    assert "all that it needs is free on workers, but not on one: nearest is rank " in reason.text


def test_of_a_limit_it_is_told_what_it_leaves():
    state = state_with(offer(8), max_cores=4)
    submit(state, "a", cores=3)
    submit(state, "b", cores=2)
    assert only_reason(state).text == "it needs 2 cores, and --cores leaves 1: running jobs have the others"


def test_a_job_that_others_have_overtaken_for_long_has_a_worker_held_back():
    state = state_with(offer(2))
    submit(state, "holds", priority=1, cores=1)
    submit(state, "large", cores=2)
    for number in range(40):
        submit(state, f"small{number}", cores=1)
        state.queue.end(f"small{number}") if state.queue.jobs[f"small{number}"].worker else None
    reasons = {reason.cause: reason for reason in state.reasons()}
    text = "it would fit on rank 2, which is held back for rule large: that has waited for long"
    assert reasons[Cause.RESERVED].text == text
    assert reasons[Cause.RESERVED].holders == ("large",)


def test_a_job_that_only_a_lost_worker_could_hold_is_held_for_it():
    state = state_with(offer(8), offer(1), lives=1)
    state.on_worker_lost("tcp://2")
    submit(state, "a", cores=4)
    reason = only_reason(state)
    assert reason.cause is Cause.AWAITED
    assert reason.text == "no worker that is there can hold it; it is held for rank 2, which may come back"


def test_few_of_many_holders_are_named():
    state = state_with(offer(20))
    for number in range(20):
        submit(state, f"a{number}", cores=1)
    submit(state, "b", cores=2)
    reason = only_reason(state)
    assert reason.text.endswith("the rest is taken by rule a0, rule a1, rule a2 and 17 more")
    assert len(reason.holders) == MOST_HOLDERS
