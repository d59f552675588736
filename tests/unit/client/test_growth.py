"""A run to which further workers may come: what no worker that is here can hold is held for them."""

from __future__ import annotations

import dataclasses

import pytest

from snakemake_executor_plugin_daskmpi.client.drains import Drains
from snakemake_executor_plugin_daskmpi.client.job import Job
from snakemake_executor_plugin_daskmpi.messages import JobSpec, OutcomeKind
from snakemake_executor_plugin_daskmpi.resources import JobResources
from stories import Run, info, kinds, reported


def held(run: Run) -> list[str]:
    return [job.key for job in run.state.held]


def with_gpu(rank: int, **fields: object) -> object:
    offer = info(rank).offer | {"gpus": ("0",)}
    return dataclasses.replace(info(rank), offer=offer, **fields)


def submit_for_gpu(run: Run, key: str) -> list[object]:
    request = JobResources(cores=1, gpus=1)
    return run.state.on_submitted(Job(JobSpec(key, f"rule {key}", "rule", f"{key}.log"), request, request, 0))


class TestAJobThatNoneCanHold:
    def test_is_held_and_starts_on_a_worker_that_comes(self):
        run = Run(may_grow=True)
        assert submit_for_gpu(run, "a") == []
        assert held(run) == ["a"]
        assert not run.state.is_idle
        assert run.state.on_worker_added(info(3)) == [], "that has none either"
        assert held(run) == ["a"]
        run.state.on_worker_added(with_gpu(4))
        assert held(run) == []
        assert run.start() == {"a": "tcp://4"}

    @pytest.mark.parametrize(
        ("asked", "text"),
        [
            ({"gpus": 1}, "no worker that is here has 1 GPU; a further Slurm job that has is awaited"),
            (
                {"cores": 8, "mem_mb": 2000},
                "no worker that is here has 8 cores and 2000 MB of memory; a further Slurm job that has is awaited",
            ),
        ],
    )
    def test_says_what_it_waits_for(self, asked, text):
        run = Run(may_grow=True)
        request = JobResources(**asked)
        run.state.on_submitted(Job(JobSpec("a", "rule a", "rule", "a.log"), request, request, 0))
        (reason,) = run.state.reasons()
        assert (reason.cause.value, reason.text) == ("awaited", text)

    def test_waits_in_a_run_that_begins_without_workers(self):
        run = Run(workers=0, may_grow=True)
        assert run.submit("a") == []
        (reason,) = run.state.reasons()
        assert reason.text == "no worker that is here takes jobs; a further Slurm job that does is awaited"
        run.joins("45.0", 60)
        assert run.start() == {"a": "45.0"}

    def test_is_refused_when_none_will_come_and_it_is_said_why(self):
        run = Run(may_grow=True)
        submit_for_gpu(run, "a")
        submit_for_gpu(run, "b")
        (report,) = run.state.on_no_growth(["a", "x"], "No Slurm job may have one.")
        assert report.outcome.kind is OutcomeKind.FAILED
        assert report.outcome.reason.splitlines() == [
            "No worker can ever hold a job with gpu=1.",
            "  Seen: gpu=1, but the largest worker offers 0. No Slurm job may have one.",
            "  Next: lower the rule's gpu, or give workers more with --daskmpi-gpus or a larger --gpus-per-task.",
        ]
        assert held(run) == ["b"]

    def test_without_any_worker_is_not_said_to_have_lost_them(self):
        run = Run(workers=0, may_grow=True)
        run.submit("a")
        (report,) = run.state.on_no_growth(["a"], "Slurm refuses all jobs.")
        assert report.outcome.reason.startswith("No worker has come to run the job.")

    def test_may_be_held_from_any_moment_on(self):
        run = Run()
        assert kinds(submit_for_gpu(run, "a")) == ["Report"]
        run.state.may_grow = True
        assert submit_for_gpu(run, "b") == []

    def test_is_set_aside_by_a_drain(self):
        run = Run(may_grow=True)
        submit_for_gpu(run, "a")
        _, end = run.state.on_drain(Drains.SIGUSR1)
        assert [job.key for job in end.set_aside] == ["a"]

    def test_that_would_not_end_in_a_run_of_this_length_is_refused_at_once(self):
        run = Run(may_grow=True).deadline()
        assert reported(run.submit("a", runtime=11)) == {"a": OutcomeKind.FAILED}

    def test_is_held_when_the_only_one_that_could_is_lost(self):
        run = Run(workers=0, may_grow=True)
        run.state.on_worker_added(with_gpu(2))
        for key in ("a", "b"):
            submit_for_gpu(run, key)
        run.start()
        assert reported(run.state.on_worker_lost("tcp://2")) == {"a": OutcomeKind.LOST}
        assert held(run) == ["b"]


class TestTime:
    def test_a_job_that_none_has_time_for_is_held(self):
        run = Run(workers=0, may_grow=True)
        run.joins("45.0", 60, cores=1)
        run.running("a")
        run.submit("b", runtime=50)
        run.clock.now += 20 * 60
        assert run.state.on_turn() == []
        assert held(run) == ["b"]
        assert run.state.reasons()[0].text.startswith("no worker that is here has 50 minutes left")
        run.joins("46.0", 60)
        assert run.start() == {"b": "46.0"}

    def test_one_whose_rule_has_taken_longer_than_is_left_waits_for_a_worker_that_stays(self):
        run = Run(workers=0, may_grow=True)
        run.joins("45.0", 60)
        run.submit("first", rule="slow")
        run.start()
        run.ends("first", started_at=1.0, ended_at=1.0 + 20 * 60)
        run.clock.now += 45 * 60
        assert run.submit("second", rule="slow") == []
        assert run.start() == {}
        assert held(run) == ["second"]
        run.joins("46.0", 60)
        assert run.start() == {"second": "46.0"}

    def test_and_starts_after_all_if_none_comes(self):
        run = Run(workers=0, may_grow=True)
        run.joins("45.0", 60)
        run.submit("first", rule="slow")
        run.start()
        run.ends("first", started_at=1.0, ended_at=1.0 + 20 * 60)
        run.clock.now += 45 * 60
        run.submit("second", rule="slow")
        assert run.state.on_no_growth(["second"], "Slurm refuses all jobs.") == []
        assert run.start() == {"second": "45.0"}

    def test_a_job_that_asks_for_all_the_time_of_a_worker_goes_to_one_all_the_same(self):
        run = Run(workers=0, may_grow=True)
        assert held(run) == []
        run.submit("a", runtime=60)
        run.joins("45.0", 60)
        assert run.start() == {"a": "45.0"}

    def test_but_rather_to_one_that_stays_longer(self):
        run = Run(workers=0, may_grow=True)
        run.joins("45.0", 60)
        run.joins("46.0", 90)
        run.submit("a", runtime=60)
        assert run.start() == {"a": "46.0"}

    def test_a_job_that_was_cut_off_is_held_for_one_that_stays_longer(self):
        run = Run(workers=0, may_grow=True)
        run.joins("45.0", 60)
        run.running("a")
        run.wait(59.5 * 60)
        run.ends("a", OutcomeKind.TIMED_OUT, started_at=1.0, ended_at=1.0 + 59.5 * 60)
        assert held(run) == ["a-again"]
        assert run.state.on_worker_left("45.0") == []
        run.joins("46.0", 60)
        assert held(run) == ["a-again"]
        run.joins("47.0", 90)
        assert run.start() == {"a-again": "47.0"}
