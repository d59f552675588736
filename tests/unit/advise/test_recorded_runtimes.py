"""Runtimes of earlier runs, for rules that do not say."""

from __future__ import annotations

from dataclasses import replace

from demands import SITE, need
from records import Record
from snakemake_executor_plugin_daskmpi.advise.recorded_runtimes import known_from_records
from snakemake_executor_plugin_daskmpi.planning.demand import Demand, Job
from snakemake_executor_plugin_daskmpi.planning.planner import plan_of
from snakemake_executor_plugin_daskmpi.record.events import FILE_NAME
from snakemake_executor_plugin_daskmpi.settings.flags import Settings


def silent(demand_need):
    return replace(demand_need, resources=replace(demand_need.resources, runtime_min=None))


STATED, SILENT = need(minutes=30), silent(need())
DEMAND = Demand(
    (Job("stated", STATED), Job("a", SILENT), Job("a", SILENT, after=(0,)), Job("b", SILENT), Job("c", SILENT)),
    assumed_runtime=("a", "b", "c"),
)


def minutes(demand: Demand) -> list[float]:
    return [job.need.minutes for job in demand.jobs]


def test_the_mean_of_the_newest_run_counts_for_each_rule_and_a_stated_runtime_stays(tmp_path):
    old, new = (Record(tmp_path, run_id=f"2027-01-{day}T090000.000000-1") for day in (14, 15))
    for run, seconds in ((old, 6000), (new, 60)):
        run.job("a", 0, seconds)
        run.job("a", 0, 3 * seconds)
        run.job("stated", 0, 1)
        run.job("a", 0, 9999, outcome="failed")
    old.job("b", 0, 120)
    old.end()
    new.end()
    known = known_from_records(DEMAND, tmp_path)
    assert minutes(known) == [30, 2, 2, 2, 5]
    assert (known.assumed_runtime, known.recorded_runtime) == (("c",), ("a", "b"))
    assert known.recorded_in == "the run of 2027-01-15 09:00 and of earlier ones"
    # What jobs ask for, and so what rank 1 knows of them, stays as it is.
    assert [job.need.resources for job in known.jobs] == [job.need.resources for job in DEMAND.jobs]
    assert [job.after for job in known.jobs] == [job.after for job in DEMAND.jobs]
    assert known.jobs[1].need is known.jobs[2].need


def test_without_a_record_or_with_one_of_other_rules_or_a_broken_one_nothing_changes(tmp_path):
    assert known_from_records(DEMAND, tmp_path) is DEMAND
    other = Record(tmp_path)
    other.job("elsewhere")
    other.end()
    broken = tmp_path / ".snakemake" / "daskmpi" / "2028-01-01T000000.0-1"
    broken.mkdir()
    (broken / FILE_NAME).write_text('{"event": "ended"}\n{"event": "run", "time": null}\nno json\n')
    assert known_from_records(DEMAND, tmp_path) is DEMAND


def test_a_group_keeps_what_is_assumed(tmp_path):
    run = Record(tmp_path)
    run.job("a", 0, 600)
    run.end()
    group = replace(SILENT, least=SILENT.resources)
    demand = Demand((Job("a", group),), assumed_runtime=("a",))
    known = known_from_records(demand, tmp_path)
    assert (minutes(known), known.assumed_runtime, known.recorded_runtime) == ([5], ("a",), ())


def test_the_plan_says_whose_runtimes_it_has(tmp_path):
    run = Record(tmp_path)
    for rule in "abc":
        run.job(rule, 0, 600)
    run.end()
    plan = plan_of(known_from_records(DEMAND, tmp_path), SITE, Settings())
    (note,) = plan.notes
    assert note.startswith(
        "Runtimes of 3 rules are those of the run of 2027-01-15 09:00, the mean of each rule's jobs:"
    )
    # 30 and then 10 minutes, half as much again since they are means, and two to start; in fives.
    assert (plan.makespan_min, plan.walltime_min) == (40, 65)
