"""Footprint: the memory of families of processes, read from real ones."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.worker.memory.footprint import Footprint

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Takes 60 MB, forks two processes that share them, and takes 30 MB more when it is told to.
FAMILY = """
import os, sys
taken = b"x" * 60_000_000
end, own = os.pipe()
for _ in range(2):
    if os.fork() == 0:
        os.close(own)
        os.read(end, 1)  # until the head has gone
        os._exit(0)
print("ready", flush=True)
sys.stdin.readline()
more = b"x" * 30_000_000
print("grown", flush=True)
sys.stdin.read()
"""


@contextmanager
def family() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-S", "-E", "-c", FAMILY]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as head:
        assert head.stdout is not None
        assert head.stdout.readline() == "ready\n"
        yield head
        head.kill()


def test_what_processes_share_is_counted_for_each_in_rss_and_once_in_pss():
    with family() as head:
        footprint = Footprint(head.pid)
        footprint.look()
        assert 180 < footprint.rss_mb < 260
        assert footprint.estimate_mb(time.monotonic()) == footprint.rss_mb, "never too little"
        footprint.weigh(now := time.monotonic())
        assert footprint.pss_mb is not None
        assert 60 < footprint.pss_mb < 90
        assert footprint.estimate_mb(now) == footprint.pss_mb
        assert footprint.is_exact(now)
        assert not footprint.is_exact(now + 60)
        assert footprint.estimate_mb(now + 60) == footprint.rss_mb, "what was shared may have been copied"


def test_growth_after_a_weighing_counts_in_full():
    with family() as head:
        footprint = Footprint(head.pid)
        footprint.look()
        footprint.weigh(now := time.monotonic())
        assert footprint.pss_mb is not None
        assert head.stdin is not None
        assert head.stdout is not None
        print("go on", file=head.stdin, flush=True)
        assert head.stdout.readline() == "grown\n"
        footprint.look()
        assert footprint.estimate_mb(now) > footprint.pss_mb + 25
        assert not footprint.is_exact(now)
        assert footprint.has_grown(1.1)
        assert footprint.peak_pss_mb == footprint.estimate_mb(now)


def test_a_process_alone_is_looked_at_without_its_descendants():
    with family() as head:
        footprint = Footprint(head.pid, with_descendants=False)
        footprint.look()
        assert 60 < footprint.rss_mb < 90


def test_a_family_that_has_gone_has_nothing_but_its_peaks():
    with family() as head:
        footprint = Footprint(head.pid)
        footprint.look()
        footprint.weigh(time.monotonic())
    footprint.look()
    footprint.weigh(time.monotonic())
    assert (footprint.rss_mb, footprint.pss_mb) == (0, 0)
    assert footprint.peak_rss_mb > 180
    assert footprint.peak_pss_mb > 60
