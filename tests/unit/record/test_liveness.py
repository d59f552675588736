"""Whether a run goes on: by its last line, its process, or how long its record was not touched."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from records import Record
from snakemake_executor_plugin_daskmpi.record.liveness import SILENT_S, Life, life_of

if TYPE_CHECKING:
    from pathlib import Path


def ended_process() -> int:
    """Return the id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_run_goes_on_while_its_process_lives(tmp_path: Path):
    record = Record(tmp_path, time=time.time())
    assert life_of(record.view()) is Life.GOES_ON


def test_a_run_has_ended_when_its_last_line_says_so(tmp_path: Path):
    record = Record(tmp_path, pid=ended_process())
    record.end(done=1, total=1, failed=0)
    assert life_of(record.view()) is Life.ENDED


def test_a_run_whose_process_is_gone_without_a_last_line_broke_off(tmp_path: Path):
    assert life_of(Record(tmp_path, pid=ended_process()).view()) is Life.BROKE_OFF


def test_a_last_line_that_comes_meanwhile_is_not_missed(tmp_path: Path):
    record = Record(tmp_path, pid=ended_process())
    view = record.view()
    record.end(done=1, total=1, failed=0)
    assert life_of(view) is Life.ENDED


def test_a_process_that_nobody_has_waited_for_is_gone(tmp_path: Path):
    with subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.read()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        record = Record(tmp_path, pid=process.pid, time=time.time())
        assert life_of(record.view()) is Life.BROKE_OFF


def test_another_process_of_the_same_id_is_not_the_run(tmp_path: Path):
    # This process has started long after that line was written.
    assert life_of(Record(tmp_path, time=1000.0).view()) is Life.BROKE_OFF


def test_of_a_run_elsewhere_the_time_of_its_record_tells(tmp_path: Path):
    record = Record(tmp_path, host="another host", pid=1)
    assert life_of(record.view()) is Life.GOES_ON
    assert life_of(record.silent_for(SILENT_S + 5).view()) is Life.BROKE_OFF
    assert [path.name for path in record.folder.iterdir()] == [record.path.name], "nothing is left there"


def test_a_run_whose_first_line_is_missing_is_known_by_the_process_that_its_id_names(tmp_path: Path):
    for pid, life in ((os.getpid(), Life.GOES_ON), (ended_process(), Life.BROKE_OFF)):
        record = Record(tmp_path, f"2026-01-01T120000.000000-{pid}")
        record.path.write_text("not its first line\n")
        assert life_of(record.view()) is life


def test_an_empty_record_of_no_process_here_is_that_of_a_run_elsewhere_for_a_moment_only(tmp_path: Path):
    record = Record(tmp_path, f"2026-01-01T120000.000000-{ended_process()}")
    record.path.write_text("")
    assert life_of(record.view()) is Life.GOES_ON
    assert life_of(record.silent_for(15).view()) is Life.BROKE_OFF
