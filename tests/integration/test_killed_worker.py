"""A whole worker is killed: its running jobs are lost, and the others do the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from killing import kill_and_check, slow_jobs_below, start, wait_for_end

if TYPE_CHECKING:
    from harness import Workflow


@pytest.mark.parametrize("retries", [0, 1])
def test_a_killed_worker_loses_its_jobs_and_the_other_one_does_the_rest(workflow: Workflow, retries: int):
    run = kill_and_check(workflow, lambda workflow: workflow.rank(2), retries)
    assert run.text.count("was lost on worker rank 2") == 2
    assert run.text.count("died while running it") == 2


def test_when_all_workers_are_killed_the_rest_is_refused(workflow: Workflow):
    run = start(workflow)
    workflow.killed = True
    victims = [workflow.rank(2), workflow.rank(3)]
    lost = [slow_jobs_below(workflow, victim) for victim in victims]
    assert sorted(map(len, lost)) == [2, 2]
    for victim in victims:
        victim.kill()
        wait_for_end(workflow, victim, run)
    run.ends_with(1)
    assert run.text.count("was lost on worker") == 4
    late = {n for n in range(6) if not workflow.has(f"late/{n}")}
    assert run.text.count("All workers are lost") == len(late) > 0
    assert run.text.count("Next: ") == 4 + len(late)


def test_a_killed_worker_leaves_no_scratch_directory(workflow: Workflow):
    kill_and_check(workflow, lambda workflow: workflow.rank(2), 1)
    assert not list(workflow.tmpdir.glob("daskmpi-*"))
