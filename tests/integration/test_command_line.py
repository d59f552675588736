"""The command line that runs again: this process's own, or the one that it stands for."""

from __future__ import annotations

import json
import subprocess
import sys

from snakemake_executor_plugin_daskmpi import command_line

#: A verb's process that becomes another, which says what it would run again.
BECOMES = """
import os, sys
from snakemake_executor_plugin_daskmpi import command_line
command_line.stand_for([sys.executable, "-m", "snakemake", "it's all"])
os.execv(sys.executable, [sys.executable, "-c", sys.argv[1], "--nolock"])
"""
SAYS = """
import json
from snakemake_executor_plugin_daskmpi import command_line
print(json.dumps(command_line.same_command("--jobs=1")[1:]))
"""


def said_by(*program: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", *program], capture_output=True, text=True, check=True, timeout=60)
    return list(json.loads(done.stdout))


def test_a_process_that_stands_for_another_command_runs_that_again():
    assert said_by(BECOMES, SAYS) == ["-m", "snakemake", "it's all", "--jobs=1"]


def test_programs_that_such_a_process_starts_mean_themselves(monkeypatch):
    monkeypatch.setenv(command_line.STANDS_FOR, '[1, "-m", "another"]')
    assert said_by(SAYS, "all") == ["-c", SAYS, "all", "--jobs=1"]
