"""A quick campaign: each kind of fault once, on fewer jobs; and while a run grows."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from campaign import Fault, carry_out, fault_of, names_for
from harness import Workflow, require
from kinds import no_clock, no_network
from load import GROWING, QUICK
from required import at_night, skip_or_fail

if TYPE_CHECKING:
    from pathlib import Path

    from slurm_cluster import SlurmCluster

#: Of each kind, the first seed; but nobody has to wait for a minute.
LOCAL = [fault for seed in range(len(names_for("local"))) if (fault := fault_of(seed, "local")).name != "stand-still"]
#: What an MPI world does otherwise, by the first seeds that have it.
IN_MPI = [
    next(fault for seed in range(200) if (fault := fault_of(seed, "mpich")).name == name)
    for name in ("kill-worker", "kill-rank", "kill-launcher", "interrupt")
]
#: By day, of each sort of fault one: something dies, stands still, is told to end, has no room, or is not heard.
BY_DAY = {
    ("local", "kill-forkserver"),
    ("local", "kill-client"),
    ("local", "stop-worker"),
    ("local", "interrupt-twice"),
    ("local", "hog"),
    ("local", "full-outputs"),
    ("local", "cut-network"),
    ("local", "clock-jump"),
}
DAY = [fault for fault in (*LOCAL, *IN_MPI) if (fault.launcher, fault.name) in BY_DAY]
assert len(DAY) == len(BY_DAY), "each is a kind of fault"


@pytest.mark.parametrize(
    "fault",
    [*DAY, *at_night(fault for fault in (*LOCAL, *IN_MPI) if fault not in DAY)],
    ids=lambda fault: f"{fault.launcher}-{fault.name}",
)
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


#: Each of those that can befall a run while it grows.
GROWS = [fault_of(seed, "grow") for seed in range(len(names_for("grow")))]
GROWS_BY_DAY = [fault for fault in GROWS if fault.name in ("kill-joining", "silent-controller")]


@pytest.mark.parametrize(
    "fault",
    [*GROWS_BY_DAY, *at_night(fault for fault in GROWS if fault not in GROWS_BY_DAY)],
    ids=lambda fault: fault.name,
)
def test_a_run_that_grows_bears_a_fault_and_leaves_nothing_in_the_queue(
    fault: Fault, workflow: Workflow, slurm: SlurmCluster
):
    workflow.slurm = slurm
    assert carry_out(fault, workflow, GROWING).violations == []
