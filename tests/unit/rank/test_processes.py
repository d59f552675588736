"""Limits of a rank's process."""

from __future__ import annotations

import resource
import threading
from pathlib import Path

import pytest

from snakemake_executor_plugin_daskmpi.rank.processes import allow_open_files, call_this


@pytest.fixture
def hard():
    """Lower the soft limit for the time of a test, and return the hard one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("asked", [300, 100])
def test_the_limit_of_open_files_is_raised_as_far_as_needed_and_never_lowered(hard, asked):
    allow_open_files(asked)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (max(asked, 200), hard)


def test_the_hard_limit_bounds_it(hard):
    if hard == resource.RLIM_INFINITY:
        pytest.skip("no hard limit of open files here")
    allow_open_files(hard + 1)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)


def test_a_name_has_no_blanks_and_fifteen_characters():
    """In a thread, since a name is that of a thread."""
    shown = []

    def call() -> None:
        call_this("rank 4711.12 daskmpi")
        shown.append(Path(f"/proc/self/task/{threading.get_native_id()}/comm").read_text())

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    assert shown == ["rank-4711.12-da\n"]
