"""When the allocation ends, and what Slurm says of it."""

from __future__ import annotations

import pytest

from snakemake_executor_plugin_daskmpi.errors import SettingsError
from snakemake_executor_plugin_daskmpi.placement.deadline import Deadline
from snakemake_executor_plugin_daskmpi.placement.refusal import too_long_for
from snakemake_executor_plugin_daskmpi.settings.durations import seconds_left
from snakemake_executor_plugin_daskmpi.settings.flags import Settings
from snakemake_executor_plugin_daskmpi.slurm.job_times import parse_times, times_of_slurm

#: Two components of a hetjob, of which the second one ends first, as Slurm 22.05 prints them.
SHOWN = (
    "JobId=5 HetJobId=5 HetJobOffset=0 StartTime=2026-11-25T10:00:00 EndTime=2026-11-25T11:00:00 Deadline=N/A\n"
    "JobId=6 HetJobId=5 HetJobOffset=1 StartTime=2026-11-25T10:00:00 EndTime=2026-11-25T10:30:00 Deadline=N/A"
)


def hour(now: float = 0.0, **more) -> Deadline:
    return Deadline(ends_at=3600.0, length_s=3600.0, said_by="Slurm", clock=lambda: now, **more)


def test_time_passes():
    assert hour(0).leaves_time_for(59)
    assert not hour(60).leaves_time_for(59)
    assert hour(10_000).drains_in_s == 0
    assert hour(10_000).ends_jobs_in_s == 0


def test_the_planning_of_the_next_job_gets_its_time_but_not_all_of_it():
    assert hour(start_s=60, plans_next=True).margin_s == hour().margin_s + 120
    assert hour(start_s=6000, plans_next=True).margin_s == 720


def test_a_job_is_refused_only_if_no_such_allocation_could_hold_it():
    assert too_long_for(59, hour(now=3500)) is None, "it is left for the next one"
    assert too_long_for(None, hour()) is None
    assert too_long_for(60, hour()) is None, "a runtime is an upper bound"
    assert "runtime=61 (minutes)" in str(too_long_for(61, hour()))


def test_a_job_asks_for_the_whole_if_it_needs_the_time_of_start_and_end_too():
    assert [hour().is_asked_for_whole(minutes) for minutes in (59, 60, 61)] == [False, True, False]


@pytest.mark.parametrize("text", ["", "soon", "-5", "90x", "2026-13-01", "00:00:00"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(SettingsError, match="--daskmpi-deadline cannot be"):
        seconds_left(text, now=0)


def test_a_deadline_is_checked_with_the_other_settings():
    Settings(deadline="2h").check()
    with pytest.raises(SettingsError, match="--daskmpi-deadline 2001-01-01 has passed"):
        Settings(deadline="2001-01-01").check()


def test_the_component_that_ends_first_counts():
    found = parse_times(SHOWN)
    assert found is not None
    assert found[1] - found[0] == 1800


@pytest.mark.parametrize("said", ["", "slurm_load_jobs error: Invalid job id specified", "JobId=5 EndTime=Unknown"])
def test_a_slurm_that_does_not_tell_is_no_error(said):
    assert parse_times(said) is None


def test_the_end_is_in_the_environment_since_23_02():
    environ = {"SLURM_JOB_ID": "5", "SLURM_JOB_START_TIME": "1000", "SLURM_JOB_END_TIME": "4600"}
    assert times_of_slurm(environ) == (1000, 4600)
    assert times_of_slurm({}) is None


def test_without_scontrol_there_is_no_deadline_and_no_error(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    assert times_of_slurm({"SLURM_JOB_ID": "5"}) is None
