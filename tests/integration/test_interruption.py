"""An interrupt is neither lost, nor raised in the middle of an event loop, nor raised again once it has arrived."""

from __future__ import annotations

import subprocess
import sys

#: Handlers and timers are a process's own, so each test takes a process.
PROGRAM = """
import asyncio, os, signal, sys, time
from snakemake_executor_plugin_daskmpi.client.interruption import Interruption

interruption = Interruption()
signal.signal(signal.SIGINT, lambda *_: interruption.come())

def interrupt():
    os.kill(os.getpid(), signal.SIGINT)

async def in_a_loop():
    interrupt()
    await asyncio.sleep(0.1)
    print("the loop goes on")

async def in_an_endless_loop():
    interrupt()
    while True:
        await asyncio.sleep(0.01)

class Finalized:
    def __del__(self):
        interrupt()
"""


def says(*lines: str) -> list[str]:
    """Return what a program prints that has the lines in addition."""
    command = [sys.executable, "-P", "-c", PROGRAM + "\n".join(lines)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout.splitlines()


def caught(*lines: str) -> list[str]:
    return ["try:", *(f"    {line}" for line in lines), "except KeyboardInterrupt:", "    print('interrupted')"]


def test_it_is_raised_at_once_where_it_may_be():
    assert says(*caught("interrupt()", "print('not reached')")) == ["interrupted"]


def test_it_waits_for_an_event_loop():
    lines = ["asyncio.run(in_a_loop())", "while True: time.sleep(0.01)"]
    assert says(*caught(*lines)) == ["the loop goes on", "interrupted"]


def test_it_does_not_wait_for_ever():
    assert says(*caught("asyncio.run(in_an_endless_loop())")) == ["interrupted"]


def test_one_that_is_lost_comes_again():
    lines = ["thing = Finalized()", "del thing", "print('lost')", "while True: time.sleep(0.01)"]
    assert says(*caught(*lines)) == ["lost", "interrupted"]


def test_one_that_was_lost_is_raised_where_it_is_minded():
    lines = ["thing = Finalized()", "del thing", "print('lost')", "interruption.mind()", "print('not reached')"]
    assert says(*caught(*lines)) == ["lost", "interrupted"]


def test_one_that_has_arrived_does_not_come_again():
    assert says(*caught("interrupt()"), "interruption.arrive()", "time.sleep(1.2)", "print('quiet')") == [
        "interrupted",
        "quiet",
    ]


def test_no_alarm_is_left_that_would_kill_the_process_at_its_end():
    timer = "signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)"
    lines = [*caught("interrupt()"), f"print({timer})", "interruption.arrive()", f"print({timer})"]
    assert says(*lines) == ["interrupted", "False", "True"]


def test_one_before_there_is_an_executor_is_of_its_run_alone():
    lines = ["from snakemake_executor_plugin_daskmpi.client.interruption import remember"]
    # Where tests are run in the background of a shell, it is ignored.
    lines += ["signal.signal(signal.SIGINT, signal.default_int_handler)", "remember()"]
    lines += caught("interrupt()") + caught("interruption.mind()")
    assert says(*lines) == ["interrupted"] * 2
    assert says(*lines, "remember()", "interruption.mind()", "print('another run')")[2:] == ["another run"]
