"""Workers that leave before the run does, by plain events and a clock that the test sets.

A worker that stays for an hour ends its jobs after 59.5 minutes, and takes no further ones after 59.
"""

from __future__ import annotations

import dataclasses

import pytest

from snakemake_executor_plugin_daskmpi.client.actions import Dismiss, EndJob, EndJobs, Say, TakeBack, WaitAgain
from snakemake_executor_plugin_daskmpi.client.drains import Drains
from snakemake_executor_plugin_daskmpi.client.job import Job
from snakemake_executor_plugin_daskmpi.messages import JobSpec, OutcomeKind
from snakemake_executor_plugin_daskmpi.resources import JobResources
from stories import Run, info, kinds, reported, said


def grown(**options: int) -> Run:
    """Return a run whose own worker is busy, and that another one has joined for an hour."""
    run = Run(cores=1).running("busy")
    assert run.joins("45.0", 60, cores=2, **options) == []
    return run


class TestTime:
    @pytest.mark.parametrize(("runtime", "starts"), [(59, True), (60, False), (None, True)])
    def test_a_job_starts_there_only_if_it_ends_in_time(self, runtime, starts):
        run = grown()
        assert run.submit("a", runtime=runtime) == []
        assert run.start() == ({"a": "45.0"} if starts else {})

    def test_it_waits_for_a_worker_that_stays(self):
        run = grown()
        run.submit("a", runtime=60)
        assert run.start() == {}
        run.ends("busy")
        assert run.start() == {"a": "tcp://2"}

    def test_it_says_that_there_is_room_and_no_time(self):
        run = grown()
        run.submit("a", runtime=60)
        run.start()
        (reason,) = run.state.reasons()
        assert reason.text.endswith("; rank 45.0 has room, but leaves before it would have ended")

    def test_a_job_that_fits_no_more_by_now_does_not_start_there(self):
        run = grown()
        run.submit("a", cores=2)
        run.submit("b", runtime=50)
        assert run.start() == {"a": "45.0"}
        run.clock.now += 15 * 60
        run.ends("a")
        assert run.start() == {}

    def test_one_that_states_nothing_starts_there_if_others_of_its_rule_have_ended_in_that_time(self):
        run = grown()
        run.submit("first", rule="slow", cores=2)
        assert run.start() == {"first": "45.0"}
        run.clock.now += 20 * 60
        run.ends("first", started_at=1.0, ended_at=1.0 + 20 * 60)
        run.submit("second", rule="slow")
        assert run.start() == {"second": "45.0"}
        run.clock.now += 20 * 60
        run.submit("third", rule="slow")
        assert run.start() == {}, "19.5 minutes are left"
        run.submit("other", rule="quick")
        assert run.start() == {"other": "45.0"}

    def test_where_none_stays_so_long_it_starts_all_the_same(self):
        run = Run(workers=0)
        run.joins("45.0", 60)
        run.submit("first", rule="slow")
        run.start()
        run.ends("first", started_at=1.0, ended_at=1.0 + 20 * 60)
        run.clock.now += 45 * 60
        run.submit("second", rule="slow")
        assert run.start() == {"second": "45.0"}

    def test_what_took_longer_than_any_of_them_stays_counts_by_its_average(self):
        run = grown()
        for key, minutes in (("usual", 5), ("outlier", 90)):
            run.submit(key, rule="mixed", cores=2)
            run.start()
            run.ends(key, started_at=1.0, ended_at=1.0 + 60 * minutes)
        run.clock.now += 20 * 60
        run.submit("next", rule="mixed")
        assert run.start() == {"next": "45.0"}

    def test_short_jobs_are_not_sent_ahead_beyond_its_end(self):
        run = Run(cores=1).running("busy")
        run.joins("45.0", 60, cores=1)
        for key in ("a", "b", "c"):
            run.submit(key, rule="blink", runtime=5)
        run.start()
        run.ends("a", started_at=1.0, ended_at=1.01)
        assert run.start() == {"b": "45.0", "c": "45.0"}
        run.clock.now += 55 * 60
        for key in ("d", "e"):
            run.submit(key, rule="blink", runtime=5)
        run.ends("b", started_at=1.0, ended_at=1.01)
        assert run.start() == {}

    def test_a_job_that_none_has_time_for_any_more_is_refused_with_the_time(self):
        run = Run(workers=0)
        run.joins("45.0", 60, cores=1)
        run.running("a")
        assert run.submit("b", runtime=50) == []
        run.clock.now += 20 * 60
        (report,) = [action for action in run.state.on_turn() if action.job.key == "b"]
        assert report.outcome.kind is OutcomeKind.FAILED
        assert "No worker is there for long enough for a job that takes 50 minutes." in report.outcome.reason
        assert "in 39.5 minutes" in report.outcome.reason

    def test_a_worker_that_comes_too_late_leaves_at_once(self):
        run = Run(cores=1).running("busy")
        run.submit("a")
        actions = run.joins("45.0", 0.1)
        run.clock.now += 5
        assert kinds(run.state.on_time() or actions)[-1] == "Dismiss"
        assert run.start() == {}


class TestItsEnd:
    def test_is_an_alarm_for_its_drain_and_for_the_end_of_its_jobs(self):
        run = grown()
        run.running("a")
        assert run.state.next_alarm_s() == 59 * 60
        assert run.wait(59 * 60 - 1) == []
        (say,) = run.wait(1)
        assert say.text.startswith("worker rank 45.0 takes no further jobs, and leaves: Slurm job 45 ends at ")
        assert run.state.next_alarm_s() == 30
        run.submit("b")
        assert run.start() == {}

    def test_lets_it_go_at_once_if_it_has_nothing_to_do(self):
        run = grown()
        say, dismiss = run.wait(59 * 60)
        assert isinstance(say, Say)
        assert dismiss == Dismiss("45.0")
        assert run.state.crew.why_dismissed("45.0").startswith("Slurm job 45 ends")

    def test_lets_it_go_when_its_last_job_has_ended(self):
        run = grown().running("a", "b")
        assert kinds(run.wait(59 * 60)) == ["Say"]
        assert kinds(run.ends("a")) == ["Report"]
        assert kinds(run.ends("b")) == ["Report", "Dismiss"]

    def test_is_said_once_for_all_workers_of_an_allocation(self):
        run = Run(cores=1).running("busy")
        for number in range(5):
            run.joins(f"45.{number}", 60)
            run.clock.now += 0.1
        run.clock.now -= 0.5
        actions = run.wait(59 * 60)
        (text,) = said(actions)
        assert text.startswith("workers rank 45.0, rank 45.1, rank 45.2 and 2 more take no further jobs, and leave: ")
        assert kinds(actions).count("Dismiss") == 5

    def test_ends_what_still_runs_there_and_nothing_else(self):
        run = grown().running("a")
        run.wait(59 * 60)
        say, end = run.wait(30)
        assert say.is_warning
        assert "what still runs there is ended, and starts anew elsewhere: rule a" in say.text
        assert end == EndJobs(OutcomeKind.TIMED_OUT, end.reason, worker="45.0")
        assert run.wait(100) == []

    def test_the_job_waits_again_for_more_time_than_it_had(self):
        run = grown().running("a")
        run.wait(59 * 60)
        run.wait(30)
        actions = run.ends("a", OutcomeKind.TIMED_OUT, started_at=1.0, ended_at=1.0 + 20 * 60)
        assert kinds(actions) == ["WaitAgain", "Dismiss"]
        assert isinstance(actions[0], WaitAgain)
        again = actions[0].again
        assert (again.key, again.request.runtime_min, again.spec.name) == ("a-again", 21, "rule a")
        run.joins("46.0", 21)
        assert run.start() == {}, "no longer than before"
        run.joins("47.0", 22)
        assert run.start() == {"a-again": "47.0"}

    def test_a_job_that_had_not_begun_needs_no_more_time_than_before(self):
        run = grown().running("a")
        run.wait(59.5 * 60)
        wait_again, _ = run.ends("a", OutcomeKind.TIMED_OUT)
        assert wait_again.again.request.runtime_min is None

    def test_a_group_whose_other_jobs_had_ended_waits_again_too(self):
        run = grown().running("a")
        run.wait(59.5 * 60)
        assert kinds(run.ends("a", OutcomeKind.CANCELLED)) == ["WaitAgain", "Dismiss"]

    def test_a_job_that_ended_well_meanwhile_is_done(self):
        run = grown().running("a")
        run.wait(59.5 * 60)
        assert reported(run.ends("a")) == {"a": OutcomeKind.OK}

    def test_of_a_run_that_drains_leaves_the_job_for_a_later_run(self):
        run = grown().running("a")
        run.state.on_drain(Drains.SIGUSR1)
        run.wait(59.5 * 60)
        actions = run.ends("a", OutcomeKind.TIMED_OUT, started_at=1.0, ended_at=100.0)
        assert kinds(actions) == ["EndRun", "TakeBack", "Dismiss"]
        assert isinstance(actions[1], TakeBack)

    def test_ends_a_job_over_several_workers_where_its_body_runs(self):
        run = Run(workers=0)
        for number in (0, 1):
            run.joins(f"45.{number}", 60, node=f"n{number}")
        request = JobResources(cores=4, mem_mb=10, tasks=4, spans=True)
        spec = JobSpec("wide", "rule wide", "rule", "wide.log", mpi="srun")
        assert run.state.on_submitted(Job(spec, request, request, 0)) == []
        assert run.start() == {"wide": "45.0"}
        assert kinds(run.wait(59 * 60)) == ["Say"], "both have tasks of it"
        assert [a.worker for a in run.wait(30) if isinstance(a, EndJobs)] == ["45.0"]
        actions = run.ends("wide", OutcomeKind.TIMED_OUT, started_at=1.0, ended_at=2.0)
        assert kinds(actions).count("Dismiss") == 2

    def test_shares_no_job_with_workers_of_another_allocation(self):
        run = Run(workers=0)
        run.joins("45.0", 60, node="n0")
        run.joins("46.0", 60, node="n1")
        request = JobResources(cores=4, mem_mb=10, tasks=4, spans=True)
        spec = JobSpec("wide", "rule wide", "rule", "wide.log", mpi="srun")
        (report,) = run.state.on_submitted(Job(spec, request, request, 0))
        assert report.outcome.kind is OutcomeKind.FAILED


class TestADismissal:
    def test_takes_no_further_jobs_and_goes_when_it_has_none(self):
        run = Run(workers=2, cores=1).running("a", "b")
        assert run.state.on_dismiss(["tcp://2"], "nothing is left for it") == []
        run.submit("c")
        assert kinds(run.ends("a")) == ["Report", "Dismiss"]
        assert run.start() == {}
        assert run.state.queue.idle_workers() == set()
        run.ends("b")
        assert run.start() == {"c": "tcp://3"}

    def test_lets_jobs_that_were_sent_ahead_begin(self):
        run = Run(cores=1).running("a")
        run.ends("a", started_at=1.0, ended_at=1.01)
        run.submit("b")
        run.submit("c")
        assert list(run.start()) == ["b", "c"]
        run.state.on_dismiss(["tcp://2"], "enough")
        assert kinds(run.ends("b")) == ["Report"]
        assert kinds(run.ends("c")) == ["Report", "Dismiss"]

    def test_is_one_however_often_it_is_asked_for(self):
        run = Run(workers=2)
        assert kinds(run.state.on_dismiss(["tcp://2", "tcp://9"], "enough")) == ["Dismiss"]
        assert run.state.on_dismiss(["tcp://2"], "enough") == []

    def test_refuses_what_only_it_could_hold(self):
        run = Run(cores=4)
        run.state.on_worker_added(info(3, cores=1))
        run.running("a", cores=4)
        run.submit("b", cores=4)
        assert reported(run.state.on_dismiss(["tcp://2"], "enough")) == {"b": OutcomeKind.FAILED}

    def test_is_no_loss_when_the_worker_has_gone(self):
        run = Run(workers=2, lives=3)
        run.state.on_dismiss(["tcp://2"], "enough")
        assert run.state.on_worker_left("tcp://2") == []
        assert set(run.state.queue.workers) == {"tcp://3"}
        assert run.state.next_alarm_s() is None
        assert run.state.on_worker_left("tcp://2") == []

    def test_of_the_last_worker_says_that_all_have_left(self):
        run = Run()
        run.state.on_dismiss(["tcp://2"], "enough")
        run.state.on_worker_left("tcp://2")
        (report,) = run.submit("a")
        assert report.outcome.reason.startswith("All workers have left.")

    def test_lets_a_worker_go_after_a_cancel_too(self):
        run = Run()
        run.state.on_cancel()
        assert kinds(run.state.on_dismiss(["tcp://2"], "enough")) == ["Dismiss"]


class TestALoss:
    def test_while_it_leaves_loses_its_jobs_and_nobody_awaits_it(self):
        run = Run(workers=2, cores=1, lives=2).running("a", "b")
        run.state.on_dismiss(["tcp://2"], "enough")
        actions = run.state.on_worker_lost("tcp://2")
        assert kinds(actions) == ["Report"]
        assert reported(actions) == {"a": OutcomeKind.LOST}
        assert run.state.next_alarm_s() is None

    def test_while_it_leaves_lets_it_go_again_if_its_keeper_has_started_it_anew(self):
        run = Run(workers=2, cores=1, lives=2).running("a", "b")
        run.state.on_dismiss(["tcp://2"], "enough")
        run.state.on_worker_lost("tcp://2")
        actions = run.state.on_worker_added(info(2, address="tcp://new", lives=1))
        assert kinds(actions) == ["Say", "Dismiss"]
        assert actions[1] == Dismiss("tcp://new")

    def test_of_a_worker_of_a_further_allocation_leaves_it_to_its_keeper(self):
        run = Run(cores=1).running("busy")
        joining = dataclasses.replace(info(9, lives=1), name="rank 45.0", allocation="45")
        run.state.on_worker_added(joining)
        actions = run.state.on_worker_lost("tcp://9")
        assert kinds(actions) == ["Say"]
        assert "is started anew, for the last time" in actions[0].text

    def test_of_tasks_lets_the_other_worker_go(self):
        run = Run(workers=0)
        for number in (0, 1):
            run.joins(f"45.{number}", 60, node=f"n{number}")
        request = JobResources(cores=4, mem_mb=10, tasks=4, spans=True)
        spec = JobSpec("wide", "rule wide", "rule", "wide.log", mpi="srun")
        run.state.on_submitted(Job(spec, request, request, 0))
        run.start()
        run.wait(59 * 60)
        (end,) = run.state.on_worker_lost("45.1")
        assert isinstance(end, EndJob)
        assert kinds(run.ends("wide", OutcomeKind.LOST)) == ["Report", "Dismiss"]
