"""The graces nest: whoever waits leaves time for all that is inside."""

from __future__ import annotations

import re

import pytest

from snakemake_executor_plugin_daskmpi.placement.deadline import Deadline
from snakemake_executor_plugin_daskmpi.rank import graces

#: Who waits, and for what, one after the other.
NESTED = {
    "BODY_S": ["PROGRAMS_S"],
    "WORKER_S": ["BODY_S"],
    "CANCEL_S": ["WORKER_S"],
    "RANK_S": ["BY_ITSELF_S", "UNKILLABLE_S"],
    "WORLD_S": ["RANK_S"],
    "ALLOCATION_S": ["CANCEL_S", "WORLD_S"],
    "QUEUE_S": ["ALLOCATION_S"],
}


@pytest.mark.parametrize(("outer", "inner"), NESTED.items())
def test_whoever_waits_leaves_time_for_what_is_inside(outer: str, inner: list[str]):
    assert getattr(graces, outer) > sum(getattr(graces, name) for name in inner)


def test_the_table_names_them_from_the_inside_out():
    assert re.findall(r"^:data:`(\w+)`", graces.__doc__ or "", re.MULTILINE) == ["PROGRAMS_S", *NESTED]


def test_a_run_is_ended_early_enough_for_its_end_to_be_one_in_order():
    hour = Deadline(ends_at=3600, length_s=3600, said_by="Slurm", clock=lambda: 0)
    assert hour.ends_at - hour.ends_jobs_in_s >= graces.CANCEL_S + graces.WORLD_S
