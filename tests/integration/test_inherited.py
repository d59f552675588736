"""What jobs inherit of Snakemake's own process: what has changed there since its start, and nothing else."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import os, resource, sys
from snakemake_executor_plugin_daskmpi import inherited

os.environ.update(KEPT="1", GOES="1", CHANGES="1")
os.umask(0o022)
inherited.remember()
{change}
changes = inherited.changes()
os.environ.update(GOES="1", CHANGES="1")
os.environ.pop("COMES", None)
os.umask(0o022)
changes.apply()
limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
print([os.environ.get(name) for name in ("KEPT", "GOES", "CHANGES", "COMES")], oct(os.umask(0)), limit)
print(changes.environ, changes.umask, dict(changes.limits).keys(), changes.is_reversible)
"""


def outcome(change: str) -> list[str]:
    program = [sys.executable, "-P", "-c", PROGRAM.format(change=change)]
    done = subprocess.run(program, check=True, capture_output=True, text=True)
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("change", "seen", "sent"),
    [
        ("", "['1', '1', '1', None]", "() None dict_keys([]) True"),
        ("os.environ['COMES'] = '2'", "['1', '1', '1', '2']", "(('COMES', '2'),) None dict_keys([]) True"),
        ("del os.environ['GOES']", "['1', None, '1', None]", "(('GOES', None),) None dict_keys([]) True"),
        ("os.environ['CHANGES'] = '3'", "['1', '1', '3', None]", "(('CHANGES', '3'),) None dict_keys([]) True"),
    ],
)
def test_the_environment_is_as_there(change, seen, sent):
    line, changes = outcome(change)
    assert line.startswith(f"{seen} 0o22 ")
    assert changes == sent


def test_the_umask_and_limits_are_as_there_and_their_process_takes_no_other_job():
    line, changes = outcome("os.umask(0o077); resource.setrlimit(resource.RLIMIT_NOFILE, (99, 100))")
    assert line.endswith("0o77 99")
    assert changes == "() 63 dict_keys(['RLIMIT_NOFILE']) False"


def test_signals_that_are_ignored_are_ignored_there():
    _, changes = outcome("import signal; signal.signal(signal.SIGUSR2, signal.SIG_IGN)")
    assert changes == "() None dict_keys([]) False"
