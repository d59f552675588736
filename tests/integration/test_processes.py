"""Processes: families that stay together, tried on real ones."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.rank import processes

if TYPE_CHECKING:
    from pathlib import Path


def ended_child() -> int:
    """Return the pid of a process that is gone."""
    with subprocess.Popen(["true"]) as process:
        return process.pid


def test_a_signal_to_a_process_that_is_gone_is_no_error():
    pid = ended_child()
    processes.send(pid, signal.SIGTERM)
    processes.send_to_group(pid, signal.SIGTERM)


def test_a_signal_to_a_group_reaches_all_of_it():
    script = "sleep 60 & echo $!; wait"
    with subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, text=True, start_new_session=True) as leader:
        assert leader.stdout is not None
        assert leader.stdout.readline().strip().isdigit()
        processes.send_to_group(leader.pid, signal.SIGKILL)
        # The pipe ends only when the sleeping process, which has inherited it, has ended too.
        assert leader.stdout.read() == ""
    assert leader.returncode == -signal.SIGKILL


def test_a_signal_to_a_process_that_leads_no_group_reaches_it_alone():
    with subprocess.Popen(["sleep", "60"]) as process:
        assert os.getpgid(process.pid) == os.getpgid(0)
        processes.send_to_group(process.pid, signal.SIGTERM)
    assert process.returncode == -signal.SIGTERM


def test_a_process_ends_with_its_parent_however_that_dies():
    program = (
        "import os, signal, time\n"
        "from snakemake_executor_plugin_daskmpi.rank import processes\n"
        "if os.fork() == 0:\n"
        "    processes.end_with_parent(signal.SIGKILL)\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(60)\n"
        "time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-P", "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ready\n"
        parent.kill()
        assert parent.stdout.read() == ""  # once the child has ended, too


def test_nothing_outlives_what_started_it_if_its_descendants_are_killed():
    program = (
        "import signal, subprocess\n"
        "from snakemake_executor_plugin_daskmpi.rank import processes\n"
        "processes.adopt_orphans()\n"
        "kept = subprocess.Popen(['sleep', '60'])\n"
        # A child that leaves its session, and one whose parent ends at once.
        "family = subprocess.Popen(['sh', '-c', 'setsid sleep 60 & (sleep 60 &); echo ready; wait'],"
        " stdout=subprocess.PIPE)\n"
        "family.stdout.readline()\n"
        "processes.kill_descendants(keep={kept.pid})\n"
        "assert family.stdout.read() == b''\n"
        "assert kept.poll() is None\n"
        "processes.end_session(signal.SIGTERM, 20)\n"
        "assert not processes._children_of(__import__('os').getpid())\n"
    )
    subprocess.run([sys.executable, "-P", "-c", program], check=True, timeout=30, start_new_session=True)


def test_a_program_that_is_ended_has_time_to_clean_up(tmp_path: Path):
    program = (
        "import signal, subprocess\n"
        "from snakemake_executor_plugin_daskmpi.rank import processes\n"
        f"script = \"trap 'sleep 0.1; touch {tmp_path}/cleaned; exit' TERM; echo ready; sleep 60 & wait\"\n"
        "with subprocess.Popen(['sh', '-c', script], stdout=subprocess.PIPE) as family:\n"
        "    family.stdout.read(6)\n"
        "    processes.end_session(signal.SIGTERM, 20)\n"
    )
    subprocess.run([sys.executable, "-P", "-c", program], check=True, timeout=30, start_new_session=True)
    assert (tmp_path / "cleaned").exists()


def test_a_program_that_does_not_end_is_not_waited_for_longer_than_its_grace():
    program = (
        "import signal, subprocess\n"
        "from snakemake_executor_plugin_daskmpi.rank import processes\n"
        "script = \"trap '' TERM; echo ready; exec sleep 60\"\n"
        "family = subprocess.Popen(['sh', '-c', script], stdout=subprocess.PIPE)\n"
        "family.stdout.read(6)\n"
        "processes.end_session(signal.SIGTERM, 0.05)\n"
        "assert family.poll() is None\n"
        "family.kill()\n"
    )
    subprocess.run([sys.executable, "-P", "-c", program], check=True, timeout=30, start_new_session=True)
