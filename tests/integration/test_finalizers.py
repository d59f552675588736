"""What Python does first at its end, in a process that clears globals name by name."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import gc
from snakemake_executor_plugin_daskmpi.worker.finalizers import call_finalizers

class Inborn:
    def __del__(self):
        print("inborn")

kept = Inborn()
gc.freeze()
{}
call_finalizers()
print("called", flush=True)
import os
os._exit(0)
"""


def said_by(text: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(text)], capture_output=True, text=True, check=True, timeout=60
    )
    return (done.stdout + done.stderr).splitlines()


def test_finalizers_are_called_once_each_in_the_order_in_which_objects_were_made():
    text = """
class Thing:
    def __init__(self, name):
        self.name = name

    def __del__(self):
        print(self.name, NAME)

NAME = "of a global"
things = [Thing(n) for n in range(2)]
call_finalizers()
things.clear()
"""
    assert said_by(text) == ["0 of a global", "1 of a global", "called"]


def test_what_was_there_before_is_left_alone():
    assert said_by("class Own(Inborn): pass\nown = Own()") == ["called"]


def test_a_suspended_generator_comes_to_its_end():
    text = """
def steps():
    try:
        yield 1
    finally:
        print("finally")

generator, not_begun = steps(), steps()
next(generator)
"""
    assert said_by(text) == ["finally", "called"]


@pytest.mark.parametrize("raised", ["ValueError('odd')", "SystemExit(3)"])
def test_what_a_finalizer_raises_is_said_and_the_next_one_is_called(raised):
    text = f"""
class Odd:
    def __del__(self):
        raise {raised}

class Even:
    def __del__(self):
        print("even")

odd, even = Odd(), Even()
"""
    said = said_by(text)
    assert said[:2] == ["even", "called"]
    assert "Exception ignored in the finalizer of a Odd:" in said
