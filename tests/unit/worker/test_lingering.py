"""Programs that a job has left: waited for, said, killed, given up, on a clock of the test's own."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from snakemake_executor_plugin_daskmpi.worker.lingering import Lingering


@dataclass
class Worker:
    """A worker's sessions, and what was done to them."""

    bound_s: float = 10.0
    killed: list[int] = field(default_factory=list)
    lingering: Lingering = field(init=False)

    def __post_init__(self) -> None:
        self.lingering = Lingering(lambda sid: f"program of {sid}", self.killed.append, self.bound_s)


def test_what_ends_at_once_is_neither_said_nor_killed():
    worker = Worker()
    worker.lingering.add(7, 0.0, is_killed=False)
    assert worker.lingering.look({7}, 0.1) == ({}, {})
    assert worker.lingering.look(set(), 0.2) == ({7: ""}, {})
    assert worker.lingering.pause_s(0.2) is None
    assert worker.killed == []


def test_it_is_said_once_that_a_program_still_runs():
    worker = Worker()
    worker.lingering.add(7, 0.0, is_killed=False)
    assert worker.lingering.pause_s(0.5) == 1.5
    assert worker.lingering.look({7}, 2.0) == ({}, {7: "program of 7"})
    assert worker.lingering.look({7}, 3.0) == ({}, {})
    assert worker.lingering.pause_s(4.0) == 6.0


def test_what_runs_for_too_long_is_killed_and_named():
    worker = Worker()
    worker.lingering.add(7, 0.0, is_killed=False)
    assert worker.lingering.look({7}, 10.0) == ({}, {})
    assert worker.killed == [7]
    assert worker.lingering.look(set(), 10.1) == ({7: "program of 7"}, {})
    failure = worker.lingering.failure("sleep 9 (process 3)")
    assert failure["failed"]
    assert failure["reason"] == "its body has ended, but sleep 9 (process 3) still ran 10 s later and was killed"
    assert "--daskmpi-linger" in failure["next_step"]


def test_what_cannot_be_killed_is_given_up():
    worker = Worker()
    worker.lingering.add(7, 0.0, is_killed=False)
    worker.lingering.look({7}, 10.0)
    assert worker.lingering.look({7}, 14.9) == ({}, {})
    assert worker.lingering.look({7}, 15.0) == ({7: "program of 7"}, {})


def test_what_a_killed_process_has_left_has_a_moment_and_is_no_reason_of_its_own():
    worker = Worker()
    worker.lingering.add(7, 0.0, is_killed=True)
    assert worker.lingering.pause_s(0.0) == 0.5
    assert worker.lingering.look({7}, 0.5) == ({}, {})
    assert worker.killed == [7]
    assert worker.lingering.look(set(), 0.6) == ({7: ""}, {})


@pytest.mark.parametrize("bound_s", [0.0, 1.0])
def test_a_bound_below_the_time_of_the_first_word_is_kept(bound_s):
    worker = Worker(bound_s)
    worker.lingering.add(7, 0.0, is_killed=False)
    assert worker.lingering.pause_s(0.0) == bound_s
    assert worker.lingering.look({7}, bound_s) == ({}, {})
    assert worker.killed == [7]


def test_jobs_do_not_wait_for_each_other():
    worker = Worker()
    worker.lingering.add(7, 0.0, is_killed=False)
    worker.lingering.add(8, 5.0, is_killed=False)
    assert worker.lingering.look({7}, 5.1) == ({8: ""}, {7: "program of 7"})
    assert set(worker.lingering.sessions) == {7}
