"""The memory watch, over real processes."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from runs import wait_until
from snakemake_executor_plugin_daskmpi.resources import WorkerResources
from snakemake_executor_plugin_daskmpi.worker.memory.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Iterator

OFFER = WorkerResources(cores=(0,), mem_mb=4000, disk_mb=0)


class Watching:
    """A watch, and what it says."""

    def __init__(self, policy: str, offer: WorkerResources = OFFER) -> None:
        self.said: queue.Queue[tuple[str, str]] = queue.Queue()
        self.watch = Watch(policy, offer, lambda: (os.getpid(),), lambda *verdict: self.said.put(verdict))


@pytest.fixture
def watching() -> Iterator[type[Watching]]:
    made = []

    class Closing(Watching):
        def __init__(self, *args, **kwargs) -> None:
            super().__init__(*args, **kwargs)
            made.append(self)

    yield Closing
    for each in made:
        each.watch.close()


@contextmanager
def process_of(mb: int) -> Iterator[int]:
    """A process that has so much memory, and some for Python itself."""
    program = f"import sys; taken = b'x' * {mb}_000_000; print('ready', flush=True); sys.stdin.read()"
    command = [sys.executable, "-S", "-E", "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process.pid
        process.kill()


def test_strict_names_the_job_that_exceeds_its_request_once_and_no_other(watching):
    watched = watching("strict")
    with process_of(60) as hog, process_of(60) as honest, process_of(60) as silent:
        for key, pid, requested_mb in (("hog", hog, 30), ("honest", honest, 100), ("silent", silent, 0)):
            watched.watch.add(key, pid, requested_mb)
        key, reason = watched.said.get(timeout=30)
        assert key == "hog"
        assert "had asked for mem_mb=30" in reason
        weighed = watched.watch._jobs["honest"].footprint
        wait_until(lambda: weighed.peak_pss_mb, on_timeout=lambda: f"{weighed} is never weighed")
        assert watched.said.empty()


def test_what_the_rank_itself_takes_counts_against_what_it_offers(watching):
    with process_of(60) as hog:
        # This process, which is the rank here, has more than 30 MB.
        watched = watching("evict", WorkerResources(cores=(0,), mem_mb=90, disk_mb=0))
        watched.watch.add("hog", hog, 30)
        assert watched.said.get(timeout=30)[0] == "hog"


@pytest.mark.parametrize("policy", ["evict", "strict", "ignore"])
def test_peaks_are_recorded_whatever_the_policy(watching, policy):
    watched = watching(policy)
    with process_of(60) as pid:
        watched.watch.add("job", pid, 1000)
        footprint = watched.watch._jobs["job"].footprint
        wait_until(lambda: footprint.peak_pss_mb, on_timeout=lambda: f"{footprint} is never weighed")
        assert watched.watch.remove("job").footprint is footprint
        assert 60 < footprint.peak_pss_mb <= footprint.peak_rss_mb < 100


def test_where_an_offer_was_guessed_the_limit_is_the_hosts(watching):
    watched = watching("evict", WorkerResources(cores=(0,), mem_mb=1, disk_mb=0, guessed=("mem_mb",)))
    with process_of(60) as pid:
        watched.watch.add("job", pid, 1)
        footprint = watched.watch._jobs["job"].footprint
        wait_until(lambda: footprint.peak_pss_mb, on_timeout=lambda: f"{footprint} is never weighed")
    assert watched.said.empty(), "the host has more than that"


def test_a_job_that_ends_at_once_is_not_looked_at(watching):
    watched = watching("strict")
    watched.watch.add("job", os.getpid(), 1)
    assert watched.watch.remove("job").footprint.peak_rss_mb == 0
    assert watched.watch.remove("job") is None


def test_a_job_that_ended_while_the_kernel_killed_nobody_was_not_killed_by_it(watching):
    watched = watching("ignore")
    watched.watch.add("job", os.getpid(), 1)
    assert watched.watch.kernel_kill(watched.watch.remove("job")) == ""
