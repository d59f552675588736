"""The process of a body is killed: that job failed, and nothing else happened."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from killing import ancestors, kill_and_check

if TYPE_CHECKING:
    from harness import Workflow


@pytest.mark.parametrize("retries", [0, 1])
def test_a_killed_body_fails_alone_and_is_named(workflow: Workflow, retries: int):
    run = kill_and_check(workflow, lambda workflow: ancestors(workflow, 0)[0], retries)
    assert run.text.count("failed on worker") == 1
    assert "SIGKILL" in run.text
    assert "raise the rule's mem_mb" in run.text, "the usual reason"
