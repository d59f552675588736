"""A forkserver is killed: its running jobs are lost, and another one takes its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from killing import ancestors, kill_and_check

if TYPE_CHECKING:
    from psutil import Process

    from harness import Workflow


def forkserver(workflow: Workflow) -> Process:
    """Return the forkserver of the worker that runs slow job 0."""
    worker = next(each for each in (workflow.rank(2), workflow.rank(3)) if each in ancestors(workflow, 0))
    (forkserver,) = (each for each in ancestors(workflow, 0) if each.ppid() == worker.pid)
    return forkserver


@pytest.mark.parametrize("retries", [0, 1])
def test_a_killed_forkserver_loses_its_jobs_and_is_replaced(workflow: Workflow, retries: int):
    run = kill_and_check(workflow, forkserver, retries)
    assert run.text.count("was lost on worker") == 2
    assert run.text.count("the forkserver of the worker died (signal SIGKILL)") == 2
    assert "--retries 1 runs such jobs again" in run.text
