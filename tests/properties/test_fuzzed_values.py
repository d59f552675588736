"""Whatever settings and rules say is a clear error or a right value, never another exception."""

from __future__ import annotations

import dataclasses
import typing
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from offers import fits
from required import examples
from snakemake_executor_plugin_daskmpi.errors import SettingsError
from snakemake_executor_plugin_daskmpi.placement.placement import Placement
from snakemake_executor_plugin_daskmpi.resources import JobResources, WorkerResources, shrunk
from snakemake_executor_plugin_daskmpi.settings.durations import parse_walltime
from snakemake_executor_plugin_daskmpi.settings.flags import BINDINGS, LAUNCHERS, Settings

if TYPE_CHECKING:
    from collections.abc import Callable

SETTINGS = {"derandomize": True, "database": None, "deadline": None}

NUMBERS = st.integers() | st.integers(-3, 20) | st.sampled_from([10**30, -(10**30)])
TEXTS = st.text() | st.sampled_from(
    ["", " ", ",", "0,1", "-1", "NoDevFiles", "'; rm -rf /", "\x1b[31m", *LAUNCHERS, *BINDINGS]
)
#: What a rule's resource may come to: Snakemake lets pass most of it.
VALUES = NUMBERS | st.floats() | TEXTS | st.none() | st.booleans()
NAMES = ["_cores", "mem_mb", "disk_mb", "gpu", "gpus", "nvidia_gpu", "runtime", "tasks", "cpus_per_task", "mpi"]
NAMES += ["slurm_partition", "partition", "constraint", "qos", "gres", "slurm_extra", "daskmpi_component"]
RESOURCES = st.dictionaries(st.sampled_from(NAMES), VALUES)

OFFERS = st.builds(
    WorkerResources,
    cores=st.sampled_from([(), (0,), (3, 4, 5)]),
    mem_mb=st.integers(0, 10**6),
    disk_mb=st.sampled_from([0, 2**53]),
    gpus=st.sampled_from([(), ("0",)]),
    guessed=st.sampled_from([(), ("threads",), ("threads", "mem_mb", "gpu")]),
)


def value_of(field: dataclasses.Field) -> st.SearchStrategy:
    """Return the values that Snakemake's argument builder may make of a setting."""
    if field.type is bool:
        return st.booleans()
    (kind,) = (each for each in typing.get_args(field.type) or (field.type,) if each is not type(None))
    return st.none() | {int: NUMBERS, str: TEXTS, bool: st.booleans()}[kind]


def refused(fn: Callable[[], object]) -> bool:
    """Call a function, and say whether it refused by an error in three parts."""
    try:
        fn()
    except SettingsError as error:
        return "\n  Next: " in str(error) or pytest.fail(f"{error} does not say what to do")
    return False


@given(st.fixed_dictionaries({}, optional={field.name: value_of(field) for field in dataclasses.fields(Settings)}))
@settings(max_examples=examples(50), **SETTINGS)
def test_settings_are_right_or_refused_in_three_parts(values):
    if refused(lambda: Settings(**values).check()):
        return
    for name in ("workers", "cores", "mem_mb"):
        assert values.get(name) is None or values[name] >= 1


@given(TEXTS)
@example("99999999999999999999-1")
@settings(max_examples=examples(100), **SETTINGS)
def test_a_walltime_is_one_or_refused(text):
    assert refused(lambda: parse_walltime(text)) or parse_walltime(text) > 0


@given(RESOURCES)
@example({"mem_mb": float("nan")})
@example({"tasks": float("inf"), "_cores": float("inf")})
@settings(max_examples=examples(200), **SETTINGS)
def test_a_job_asks_for_nothing_less_than_nothing(resources):
    request = JobResources.of(resources)
    amounts = (request.cores, request.mem_mb, request.disk_mb, request.gpus, request.runtime_min or 0)
    assert all(isinstance(amount, int) and amount >= 0 for amount in amounts)
    assert request.tasks >= 1


@given(RESOURCES, st.lists(OFFERS, max_size=3))
@settings(max_examples=examples(200), **SETTINGS)
def test_a_job_is_placed_or_refused_in_three_parts(resources, offers):
    placement = Placement()
    for n, offer in enumerate(offers):
        placement.add_worker(f"worker{n}", offer)
    wish = JobResources.of(resources)
    request = shrunk(wish, wish, offers)
    refusal = placement.refusal(request)
    if refusal is None:
        placement.enqueue("job", request)
        assert [assignment.key for assignment in placement.assignments()] == ["job"]
    else:
        assert not any(fits(request, offer) for offer in offers)
        assert "\n  Next: " in str(refusal)
