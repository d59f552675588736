"""What happens in a run: each story of :mod:`run_state`, by plain events and a clock that the test sets."""

from __future__ import annotations

import dataclasses
import signal

import pytest

from snakemake_executor_plugin_daskmpi.client.actions import (
    EndJob,
    EndJobs,
    EndRun,
    Respawn,
    Say,
    Start,
    TakeBack,
)
from snakemake_executor_plugin_daskmpi.client.drains import Drains
from snakemake_executor_plugin_daskmpi.client.job import Job
from snakemake_executor_plugin_daskmpi.messages import JobSpec, OutcomeKind
from snakemake_executor_plugin_daskmpi.resources import JobResources
from stories import PATIENCE_S, Run, info, kinds, reported, said


class TestAJob:
    def test_starts_on_a_worker_with_what_it_was_granted(self):
        run = Run()
        assert run.submit("a", cores=2) == []
        (start,) = run.state.on_turn()
        assert start.job.worker == "tcp://2"
        assert start.grant.cores == (0, 1)
        assert start.grant.mem_mb == 10

    def test_waits_until_another_one_has_ended(self):
        run = Run().running("a", cores=2)
        run.submit("b", cores=2)
        assert run.start() == {}
        run.ends("a")
        assert run.start() == {"b": "tcp://2"}

    def test_of_higher_priority_goes_first(self):
        run = Run()
        run.submit("low", cores=2)
        run.submit("high", cores=2, priority=5)
        assert list(run.start()) == ["high"]

    @pytest.mark.parametrize("kind", [OutcomeKind.OK, OutcomeKind.FAILED, OutcomeKind.OUT_OF_MEMORY])
    def test_is_reported_when_it_has_ended(self, kind):
        run = Run().running("a")
        actions = run.ends("a", kind)
        assert reported(actions) == {"a": kind}
        assert run.state.is_idle

    def test_is_reported_once(self):
        run = Run().running("a")
        run.ends("a")
        assert run.ends("a") == []

    def test_that_no_worker_can_hold_is_refused_with_the_reason(self):
        (report,) = Run(cores=2).submit("a", cores=3)
        assert report.outcome.kind is OutcomeKind.FAILED
        assert "3" in report.outcome.reason
        assert report.outcome.worker == ""

    def test_that_ends_while_a_run_drains_is_reported(self):
        run = Run().running("a")
        run.state.on_drain(Drains.SIGUSR1)
        assert reported(run.ends("a")) == {"a": OutcomeKind.OK}

    def test_that_waits_behind_a_short_one_is_sent_ahead(self):
        run = Run(cores=1).running("a")
        run.ends("a", started_at=1.0, ended_at=1.01)
        for key in ("b", "c", "d"):
            run.submit(key)
        starts = [action for action in run.state.on_turn() if isinstance(action, Start)]
        assert [start.job.key for start in starts] == ["b", "c", "d"]
        assert [start.grant.after for start in starts] == ["", "b", "c"]


class TestALostWorker:
    def test_loses_what_it_ran_and_nothing_else(self):
        run = Run(workers=2, cores=1).running("a", "b")
        actions = run.state.on_worker_lost("tcp://2")
        assert kinds(actions) == ["Report"]
        assert reported(actions) == {"a": OutcomeKind.LOST}
        assert "rank 2 on node died while running it" in actions[0].outcome.reason
        assert set(run.state.queue.jobs) == {"b"}

    def test_gives_back_what_waited_there_for_its_turn(self):
        run = Run(workers=2, cores=1).running("a", "x")
        run.ends("a", started_at=1.0, ended_at=1.01)
        run.submit("b")
        run.submit("c")
        assert run.start() == {"b": "tcp://2", "c": "tcp://2"}
        actions = run.state.on_worker_lost("tcp://2")
        assert reported(actions) == {"b": OutcomeKind.LOST}
        run.ends("x")
        assert run.start() == {"c": "tcp://3"}

    def test_gives_back_what_it_never_heard_of(self):
        run = Run(workers=2, cores=1).running("a", "x")
        run.ends("a")
        run.submit("b")
        assert run.start() == {"b": "tcp://2"}
        assert run.state.on_worker_lost("tcp://2", unsent={"b"}) == []
        run.ends("x")
        assert run.start() == {"b": "tcp://3"}

    def test_that_nobody_knows_is_no_event(self):
        assert Run().state.on_worker_lost("tcp://9") == []

    def test_leaves_jobs_that_no_other_can_hold_refused(self):
        run = Run(workers=1, cores=4)
        run.state.on_worker_added(info(3, cores=1))
        run.running("a", cores=4)
        run.submit("b", cores=4)
        actions = run.state.on_worker_lost("tcp://2")
        assert reported(actions) == {"a": OutcomeKind.LOST, "b": OutcomeKind.FAILED}

    def test_that_comes_back_is_said_and_started_anew_by_whoever_started_it(self):
        run = Run(lives=2)
        actions = run.state.on_worker_lost("tcp://2")
        assert kinds(actions) == ["Say", "Respawn"]
        assert actions[1] == Respawn("rank 2")
        assert said(actions) == ["worker rank 2 on node was lost, and is started anew; 1 more if need be."]

    def test_that_has_no_lives_left_is_not_awaited(self):
        run = Run(lives=0)
        assert run.state.on_worker_lost("tcp://2") == []
        assert run.state.next_alarm_s() is None

    def test_is_awaited_by_jobs_that_only_it_can_hold(self):
        run = Run(lives=1)
        run.state.on_worker_lost("tcp://2")
        assert run.submit("a", cores=2) == []
        assert not run.state.is_idle
        actions = run.state.on_worker_added(info(2, address="tcp://new"))
        assert said(actions) == ["worker rank 2 on node is back."]
        assert run.start() == {"a": "tcp://new"}

    def test_that_does_not_come_back_is_given_up_and_its_jobs_are_refused(self):
        run = Run(lives=1)
        run.state.on_worker_lost("tcp://2")
        run.submit("a")
        assert run.state.next_alarm_s() == PATIENCE_S
        assert run.wait(PATIENCE_S - 1) == []
        actions = run.wait(1)
        assert said(actions) == ["worker rank 2 did not come back in time (--daskmpi-startup-timeout)."]
        assert reported(actions) == {"a": OutcomeKind.FAILED}
        assert run.wait(PATIENCE_S) == []

    def test_is_awaited_by_what_waited_when_it_went(self):
        run = Run(lives=1).running("a", cores=2)
        run.submit("b", cores=2)
        assert reported(run.state.on_worker_lost("tcp://2")) == {"a": OutcomeKind.LOST}
        run.state.on_worker_added(info(2, address="tcp://new"))
        assert run.start() == {"b": "tcp://new"}

    def test_that_is_back_says_nothing_if_it_was_not_awaited(self):
        assert Run().state.on_worker_added(info(3)) == []

    def test_of_two_only_the_last_one_given_up_refuses_what_is_held(self):
        run = Run(workers=2, lives=1)
        run.state.on_worker_lost("tcp://2")
        run.clock.now += 10
        run.state.on_worker_lost("tcp://3")
        run.submit("a")
        assert reported(run.wait(PATIENCE_S - 10)) == {}
        assert reported(run.wait(10)) == {"a": OutcomeKind.FAILED}

    def test_after_a_cancel_is_not_awaited(self):
        run = Run(lives=1)
        run.state.on_cancel()
        assert run.state.on_worker_lost("tcp://2") == []


class TestAnEndThatSpreads:
    """A lost worker, or a body that SIGTERM has ended, may be the first sign that all processes are being ended."""

    def test_in_a_world_of_ranks_a_lost_job_is_reported_a_second_later(self):
        run = Run(is_world=True).running("a")
        assert run.state.on_worker_lost("tcp://2") == []
        assert not run.state.is_idle
        assert run.state.next_alarm_s() == 1.0
        assert run.wait(0.5) == []
        assert reported(run.wait(0.5)) == {"a": OutcomeKind.LOST}
        assert run.state.is_idle

    def test_without_ranks_it_is_reported_at_once(self):
        assert reported(Run().running("a").state.on_worker_lost("tcp://2")) == {"a": OutcomeKind.LOST}

    @pytest.mark.parametrize(("in_step", "at_once"), [(True, False), (False, True)])
    def test_a_body_that_sigterm_has_ended_waits_in_a_slurm_step(self, in_step, at_once):
        run = Run(is_slurm_step=in_step).running("a")
        actions = run.ends("a", OutcomeKind.FAILED, signal=signal.SIGTERM)
        assert bool(reported(actions)) == at_once
        assert bool(reported(run.wait(1))) != at_once

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, None])
    def test_other_ends_do_not_wait(self, number):
        run = Run(is_slurm_step=True, is_world=True).running("a")
        assert reported(run.ends("a", OutcomeKind.FAILED, signal=number)) == {"a": OutcomeKind.FAILED}


class TestADrain:
    @pytest.mark.parametrize(
        ("what", "text"),
        [
            (Drains.SIGUSR1, "SIGUSR1 was received: no further jobs start, 1 running one may end."),
            (
                Drains.SIGTERM,
                "SIGTERM was received: no further jobs start, 1 running one may end. A second SIGTERM ends them.",
            ),
        ],
    )
    def test_is_said_once(self, what, text):
        run = Run().running("a")
        (say,) = run.state.on_drain(what)
        assert say == Say(text, is_warning=True)
        assert run.state.on_drain(what) == []

    def test_of_an_idle_run_says_that_none_runs(self):
        (say,) = Run().state.on_drain(Drains.SIGTERM)
        assert say.text == "SIGTERM was received: no further jobs start, none runs."

    def test_sets_aside_what_waits_and_lets_what_runs_end(self):
        run = Run().running("a", cores=2)
        run.submit("b")
        say, end = run.state.on_drain(Drains.SIGUSR1)
        assert "1 running one may end" in say.text
        assert [job.key for job in end.set_aside] == ["b"]
        assert run.start() == {}
        assert set(run.state.queue.jobs) == {"a"}
        assert run.state.is_over

    def test_sets_aside_what_comes_later(self):
        run = Run()
        run.state.on_drain(Drains.SIGUSR1)
        assert not run.state.is_over
        (end,) = run.submit("a")
        assert [job.key for job in end.set_aside] == ["a"]

    def test_sets_aside_what_was_held_for_a_lost_worker(self):
        run = Run(lives=1)
        run.state.on_worker_lost("tcp://2")
        run.submit("a")
        _, end = run.state.on_drain(Drains.SIGUSR1)
        assert [job.key for job in end.set_aside] == ["a"]
        assert run.state.is_idle

    def test_tells_of_all_that_was_set_aside_each_time(self):
        run = Run()
        run.state.on_drain(Drains.SIGUSR1)
        run.submit("a")
        (end,) = run.submit("b")
        assert [job.key for job in end.set_aside] == ["a", "b"]

    def test_sets_aside_what_waited_on_a_worker_that_is_lost(self):
        run = Run(cores=1).running("a")
        run.ends("a", started_at=1.0, ended_at=1.01)
        run.submit("b")
        run.submit("c")
        run.start()
        run.state.on_drain(Drains.SIGUSR1)
        actions = run.state.on_worker_lost("tcp://2")
        assert reported(actions) == {"b": OutcomeKind.LOST}
        assert list(run.state.set_aside) == ["c"]


class TestADeadline:
    def test_is_an_alarm_for_the_drain_and_for_the_end(self):
        run = Run().deadline().running("a")
        assert run.state.next_alarm_s() == 540.0
        actions = run.wait(540)
        assert kinds(actions) == ["Say"]
        assert "the allocation ends at" in actions[0].text
        assert run.state.next_alarm_s() == 30.0

    def test_ends_what_still_runs_and_jobs_of_local_rules(self):
        run = Run().deadline().running("a")
        run.wait(540)
        actions = run.wait(30)
        assert kinds(actions) == ["EndLocalJobs", "EndJobs"]
        assert actions[1].kind is OutcomeKind.TIMED_OUT
        assert "the allocation ends at" in actions[1].reason
        assert run.wait(1) == []
        assert run.state.next_alarm_s() is None

    def test_that_finds_nothing_running_ends_jobs_of_local_rules_alone(self):
        assert kinds(Run().deadline().wait(570)) == ["Say", "EndLocalJobs"]

    def test_takes_back_what_it_has_ended(self):
        run = Run().deadline().running("a")
        run.wait(570)
        actions = run.ends("a", OutcomeKind.TIMED_OUT)
        assert kinds(actions) == ["EndRun", "TakeBack"]
        assert isinstance(actions[1], TakeBack)

    @pytest.mark.parametrize(("runtime", "starts"), [(8, True), (9, True)])
    def test_lets_start_what_ends_in_time(self, runtime, starts):
        run = Run().deadline()
        run.submit("a", runtime=runtime)
        assert bool(run.start()) == starts

    def test_refuses_what_would_not_end_in_an_allocation_of_this_length(self):
        (report,) = Run().deadline().submit("a", runtime=11)
        assert report.outcome.kind is OutcomeKind.FAILED

    def test_lets_what_asks_for_all_of_it_have_what_is_left(self):
        run = Run().deadline()
        run.clock.now += 300
        assert run.submit("a", runtime=10) == []
        assert list(run.start()) == ["a"]

    def test_sets_aside_what_has_become_too_long(self):
        run = Run().deadline().running("a", cores=2)
        run.submit("b", runtime=8)
        run.clock.now += 120
        run.ends("a")
        assert run.start() == {}
        assert list(run.state.set_aside) == ["b"]
        assert not run.state.is_over, "others may have time left"

    def test_after_local_jobs_were_ended_the_run_is_over(self):
        (end,) = Run().deadline().state.on_local_jobs_ended()
        assert end == EndRun(())

    def test_that_has_passed_is_an_alarm_at_once(self):
        run = Run().deadline()
        run.clock.now += 5000
        assert run.state.next_alarm_s() == 0.0

    def test_after_a_cancel_is_none(self):
        run = Run().deadline().running("a")
        run.state.on_cancel()
        assert run.state.next_alarm_s() is None
        assert run.wait(570) == []


class TestACancel:
    def test_forgets_what_waits_and_ends_what_runs(self):
        run = Run().running("a", cores=2)
        run.submit("b")
        assert run.state.on_cancel() == [EndJobs(OutcomeKind.CANCELLED)]
        assert set(run.state.queue.jobs) == {"a"}
        assert run.start() == {}

    def test_lets_start_nothing_that_comes_later(self):
        run = Run()
        run.state.on_cancel()
        run.submit("a")
        assert run.start() == {}

    def test_without_workers_has_nothing_to_end(self):
        assert Run(workers=0).state.on_cancel() == []

    def test_in_a_hurry_kills(self):
        run = Run().running("a")
        run.state.on_cancel()
        assert run.state.on_hurry() == [EndJobs(OutcomeKind.CANCELLED, at_once=True)]

    def test_takes_back_what_it_has_ended(self):
        run = Run().running("a")
        run.state.on_cancel()
        assert kinds(run.ends("a", OutcomeKind.CANCELLED))[-1] == "TakeBack"


class TestNothingLeftToDo:
    def late(self) -> Run:
        """Return a run that has set a job aside, and has no other."""
        run = Run().deadline().running("a", cores=2)
        run.submit("b", runtime=8)
        run.clock.now += 120
        run.ends("a")
        run.state.on_turn()
        return run

    def test_ends_the_run_when_it_is_so_twice_in_turn(self):
        run = self.late()
        assert run.state.may_be_over
        assert run.state.on_look(nothing_else=True) == []
        (end,) = run.state.on_look(nothing_else=True)
        assert [job.key for job in end.set_aside] == ["b"]
        assert not run.state.may_be_over

    def test_counts_anew_when_snakemake_has_something(self):
        run = self.late()
        run.state.on_look(nothing_else=True)
        run.state.on_look(nothing_else=False)
        assert run.state.on_look(nothing_else=True) == []

    def test_is_not_asked_while_jobs_run(self):
        run = self.late()
        run.running("c")
        assert not run.state.may_be_over
        assert run.state.on_look(nothing_else=True) == []
        assert run.state.on_look(nothing_else=True) == []

    def test_is_not_asked_if_nothing_was_set_aside(self):
        assert not Run().state.may_be_over


class TestAJobOverSeveralWorkers:
    def wide(self) -> Run:
        run = Run(workers=0)
        for rank in (2, 3):
            offer = info(rank)
            run.state.on_worker_added(dataclasses.replace(offer, node=f"n{rank}"))
        request = JobResources(cores=4, mem_mb=10, tasks=4, spans=True)
        spec = JobSpec("wide", "rule wide", "rule", "wide.log", mpi="srun")
        assert run.state.on_submitted(Job(spec, request, request, 0)) == []
        assert list(run.start()) == ["wide"]
        return run

    def test_is_ended_where_its_body_runs_when_a_worker_with_tasks_of_it_is_lost(self):
        run = self.wide()
        body = run.state.queue.jobs["wide"].worker
        (other,) = run.state.queue.jobs["wide"].shared_by - {body}
        (end,) = run.state.on_worker_lost(other)
        assert isinstance(end, EndJob)
        assert (end.key, end.worker) == ("wide", body)
        assert "which had tasks of it, died" in end.reason

    def test_is_lost_with_the_worker_of_its_body(self):
        run = self.wide()
        body = run.state.queue.jobs["wide"].worker
        assert reported(run.state.on_worker_lost(body)) == {"wide": OutcomeKind.LOST}
