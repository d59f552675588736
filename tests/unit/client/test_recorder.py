"""What rank 1 writes of a run: whole lines, whatever names and disks are like."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from snakemake_executor_plugin_daskmpi.client.job import Job
from snakemake_executor_plugin_daskmpi.client.recorder import Recorder
from snakemake_executor_plugin_daskmpi.messages import Grant, JobOutcome, JobSpec, OutcomeKind, WorkerInfo
from snakemake_executor_plugin_daskmpi.record.events import FILE_NAME, Cause, Reason
from snakemake_executor_plugin_daskmpi.record.run_view import RunView, State
from snakemake_executor_plugin_daskmpi.resources import JobResources

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = 'a\nb\r\x00\x1b[2J"\\\u2028\u202e\udcff{"event": "end"}\n{"event": "end"}'


class SnakemakesJob:
    """As much of a job of Snakemake's as a record asks for; it comes after no other."""

    jobid = attempt = 1
    log = ()

    def __init__(self, output: str) -> None:
        self.output = [output]
        self.dag = SimpleNamespace(dependencies={self: []})

    def is_group(self) -> bool:
        """Say that it is none."""
        return False


def job(name: str = "rule one (jobid 1)", *, output: str = "out", mem_mb: int = 0) -> Job:
    request = JobResources(mem_mb=mem_mb)
    info = SimpleNamespace(job=SnakemakesJob(output))
    return Job(JobSpec("run-1", name, name, "log"), request, request, 0, info=info)


def recorder_in(folder: Path) -> Recorder:
    recorder = Recorder(folder)
    recorder.begin("run", "run", "a world", None)
    return recorder


def view_of(folder: Path) -> RunView:
    view = RunView(folder)
    view.update()
    return view


def test_what_is_written_is_what_is_read(tmp_path: Path):
    recorder = recorder_in(tmp_path)
    recorder.submitted(one := job(mem_mb=500))
    recorder.started(one, "rank 2", Grant(cores=(3,), mem_mb=500, disk_mb=0, gpus=("1",)))
    outcome = JobOutcome("run-1", OutcomeKind.FAILED, worker="rank 2", exit_code=3, started_at=5.0, ended_at=7.5)
    recorder.ended(one, outcome)
    recorder.end(0, 1, 1)
    recorder.close()
    view = view_of(tmp_path)
    (seen,) = view.jobs.values()
    assert (seen.asks, seen.cores, seen.gpus) == ({"mem_mb": 500}, (3,), ("1",))
    assert (seen.state, seen.seconds, seen.ended["exit_code"]) == (State.FAILED, 2.5, 3)
    assert view.end["failed"] == 1


def test_workers_that_join_and_leave_and_a_job_that_runs_again_are_read_as_written(tmp_path: Path):
    recorder = Recorder(tmp_path, clock=lambda: 1000.0)
    offer = {"cores": (0, 1), "mem_mb": 1, "disk_mb": 1, "gpus": (), "components": None}
    info = WorkerInfo("tcp://a", "rank 45.0", "n1", offer, allocation="45", ends_in_s=60.0, length_s=600.0)
    recorder.worker(info)
    recorder.worker_left(info.name, "Slurm job 45 ends")
    recorder.submitted(one := job())
    recorder.submitted(one.again(30.0), again_of=one.key)
    recorder.close()
    view = view_of(tmp_path)
    worker = view.workers["rank 45.0"]
    assert (worker.allocation, worker.left_at, worker.lost_at) == ("45", 1000.0, None)
    assert [(seen.key, seen.again_of, seen.asks) for seen in view.jobs.values()] == [
        ("run-1", "", {}),
        ("run-1-again", "run-1", {"runtime_min": 1}),
    ]
    (line,) = [line for line in (tmp_path / FILE_NAME).read_text().splitlines() if '"ends_at"' in line]
    assert json.loads(line)["ends_at"] == 1060.0


@pytest.mark.parametrize("program", ["/env/bin/snakemake", "/env/site-packages/snakemake/__main__.py"])
def test_a_run_is_told_by_the_name_of_its_program_however_it_was_started(tmp_path: Path, monkeypatch, program: str):
    monkeypatch.setattr("sys.argv", [program, "--jobs", "a b"])
    recorder_in(tmp_path).close()
    assert view_of(tmp_path).about["command"] == "snakemake --jobs 'a b'"


def test_what_was_asked_for_stays_beside_what_was_granted_when_a_job_runs_again(tmp_path: Path):
    recorder = recorder_in(tmp_path)
    granted = JobResources(cores=4, runtime_min=5)
    info = SimpleNamespace(job=SnakemakesJob("out"))
    spec = JobSpec("run-1", "rule one (jobid 1)", "one", "log")
    one = Job(spec, granted, granted, 0, info=info, asked=JobResources(cores=64, runtime_min=5))
    recorder.submitted(one)
    recorder.submitted(one.again(600.0), again_of=one.key)
    recorder.close()
    seen = [(each.asks, each.wish, each.asked) for each in view_of(tmp_path).jobs.values()]
    assert seen == [
        ({"cores": 4, "runtime_min": minutes}, {"cores": 64}, {"cores": 64, "runtime_min": minutes})
        for minutes in (5, 11)
    ]


def test_hostile_names_stay_within_their_line(tmp_path: Path):
    recorder = recorder_in(tmp_path)
    recorder.submitted(job(HOSTILE, output=HOSTILE))
    recorder.drain(HOSTILE)
    recorder.waiting(lambda: [Reason(Cause.CORES, {}, 0, 1, HOSTILE, "run-1")])
    recorder.flush()
    lines = (tmp_path / FILE_NAME).read_bytes().split(b"\n")
    assert [json.loads(line)["event"] for line in lines[:-1]] == ["run", "submitted", "drain", "waiting"]
    assert all(byte >= 0x20 for line in lines for byte in line)
    view = view_of(tmp_path)
    assert (view.jobs["run-1"].rule, view.jobs["run-1"].outputs, view.drain) == (HOSTILE, (HOSTILE,), HOSTILE)
    assert not view.end
    recorder.close()


def test_only_its_owner_can_read_it(tmp_path: Path):
    before = os.umask(0)
    try:
        recorder_in(tmp_path).close()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600


def test_a_full_disk_is_no_error(tmp_path: Path):
    (tmp_path / FILE_NAME).symlink_to("/dev/full")
    recorder = recorder_in(tmp_path)
    recorder.submitted(job())
    recorder.flush()
    recorder.show_life()
    recorder.close()


#: Writes lines of which one does not fit its file, and then one that does.
CUT_OFF = f"""
import os, resource, signal, sys
from pathlib import Path
from snakemake_executor_plugin_daskmpi.client.recorder import Recorder

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
folder = Path(sys.argv[1])
recorder = Recorder(folder)
recorder.begin("run", "run", "a world", None)
size = (folder / "{FILE_NAME}").stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, resource.RLIM_INFINITY))
recorder.drain("this line is longer than there is room for")
recorder.flush()
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
recorder.end(1, 1, 0)
recorder.close()
"""


def test_a_line_that_is_cut_off_does_not_take_the_next_one_along(tmp_path: Path):
    subprocess.run([sys.executable, "-c", CUT_OFF, str(tmp_path)], check=True)
    view = view_of(tmp_path)
    assert not view.drain
    assert view.n_unreadable == 1
    assert view.end["done"] == 1


def test_a_folder_that_somebody_removes_is_no_error(tmp_path: Path):
    folder = tmp_path / "run"
    folder.mkdir()
    recorder = recorder_in(folder)
    shutil.rmtree(folder)
    recorder.submitted(job())
    recorder.flush()
    recorder.show_life()
    recorder.close()


def test_a_folder_that_is_not_there_is_no_error(tmp_path: Path):
    recorder = recorder_in(tmp_path / "gone")
    recorder.show_life()
    recorder.close()


def test_what_has_not_changed_is_noted_once(tmp_path: Path):
    recorder = recorder_in(tmp_path)
    reasons = [Reason(Cause.CORES, {}, 0, 1, "it rains", "run-1")]
    for _ in range(3):
        recorder.waiting(lambda: list(reasons))
        recorder.drain("why")
        recorder.set_aside([job()], "")
    recorder.close()
    events = [json.loads(line)["event"] for line in (tmp_path / FILE_NAME).read_text().splitlines()]
    assert events == ["run", "waiting", "drain", "set-aside"]


@pytest.mark.parametrize(("after_s", "cost_s", "next_s"), [(0, 0.2, 20), (7200, 0.001, 7.2), (10, 0.0, 0.01)])
def test_why_jobs_wait_is_looked_at_seldom_where_that_takes_long_or_the_run_has(
    tmp_path: Path, after_s: float, cost_s: float, next_s: float
):
    times = iter(
        [0, after_s, after_s + cost_s, after_s + 0.99 * next_s, after_s + 1.01 * next_s, after_s + 1.02 * next_s]
    )
    recorder = Recorder(tmp_path, stopwatch=lambda: next(times))
    looks: list[None] = []
    for expected in (1, 1, 2):
        recorder.waiting(lambda: looks.append(None) or [])
        assert len(looks) == expected
    recorder.close()


def test_life_shows_by_the_time_of_the_last_change(tmp_path: Path):
    recorder = recorder_in(tmp_path)
    os.utime(tmp_path / FILE_NAME, (1000, 1000))
    recorder.show_life()
    assert (tmp_path / FILE_NAME).stat().st_mtime > 1000
    recorder.close()
