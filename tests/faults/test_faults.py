"""A quick campaign: each kind of fault once, on fewer jobs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from campaign import Fault, carry_out, fault_of, names_for
from harness import Workflow, require, skip_or_fail
from kinds import no_clock, no_network
from load import QUICK

if TYPE_CHECKING:
    from pathlib import Path

#: Of each kind, the first seed; but nobody has to wait for a minute.
LOCAL = [fault for seed in range(len(names_for("local"))) if (fault := fault_of(seed, "local")).name != "stand-still"]
#: What an MPI world does otherwise, by the first seeds that have it.
IN_MPI = [
    next(fault for seed in range(200) if (fault := fault_of(seed, "mpich")).name == name)
    for name in ("kill-worker", "kill-rank", "kill-launcher", "interrupt")
]


@pytest.mark.parametrize("fault", [*LOCAL, *IN_MPI], ids=lambda fault: f"{fault.launcher}-{fault.name}")
def test_a_run_bears_a_fault_or_says_what_it_is_and_can_go_on(fault: Fault, tmp_path: Path):
    if fault.kind.as_root and os.geteuid() != 0:
        skip_or_fail("root", f"{fault.name} needs root; run the tests as root to lift this")
    if fault.kind.own_network and (reason := no_network()):
        skip_or_fail("network", f"networks cannot be disturbed here ({reason}); root, iptables and tc lift this")
    if fault.kind.own_clock and (reason := no_clock()):
        skip_or_fail("clock", f"clocks cannot be set here ({reason}); one lifts this")
    if fault.launcher != "local":
        require(fault.launcher)
    workflow = Workflow(tmp_path)
    try:
        assert carry_out(fault, workflow, QUICK).violations == []
    finally:
        workflow.close()
