"""What Slurm's accounting says of jobs, as Slurm 22.05.8 has written it, and what is made of that."""

from __future__ import annotations

import dataclasses
import json

import pytest

from snakemake_executor_plugin_daskmpi.slurm import sacct
from snakemake_executor_plugin_daskmpi.slurm.counted import AskedJob, lives_then, with_use

DONE = """\
1|1+0|COMPLETED|0:0|1795767219|1795767220|1795767227|7|10|2|billing=2,cpu=2,mem=1048576K,node=1|00:06.260||0|n1
1.batch|1+0.batch|COMPLETED|0:0|1795767220|1795767220|1795767227|7||2|cpu=2,mem=1048576K,node=1|00:00.016|15320K|0|n1
1.0|1+0.0|COMPLETED|0:0|1795767220|1795767220|1795767227|7||2|cpu=2,mem=1048576K,node=1|00:06.244|86800K|0|n1
2|1+1|COMPLETED|0:0|1795767219|1795767220|1795767227|7|10|6|billing=6,cpu=6,mem=3145728K,node=1|00:07.489||0|n2
2.0|1+1.0|COMPLETED|0:0|1795767220|1795767220|1795767227|7||6|cpu=6,mem=3145728K,node=1|00:07.489|86864K|0|n2
"""
#: The same four seconds after its start, and a job on two nodes.
RUNNING = """\
1|1+0|RUNNING|0:0|1795767219|1795767220|Unknown|4|10|2|billing=2,cpu=2,mem=1048576K,node=1|00:00:00|||n1
1.batch|1+0.batch|RUNNING|0:0|1795767220|1795767220|Unknown|4||2|cpu=2,mem=1048576K,node=1|00:00:00||0|n1
1.0|1+0.0|RUNNING|0:0|1795767220|1795767220|Unknown|4||2|cpu=2,mem=1048576K,node=1|00:00:00||0|n1
2|1+1|RUNNING|0:0|1795767219|1795767220|Unknown|4|10|6|billing=6,cpu=6,mem=3145728K,node=1|00:00:00|||n2
2.0|1+1.0|RUNNING|0:0|1795767220|1795767220|Unknown|4||6|cpu=6,mem=3145728K,node=1|00:00:00||0|n2
6|6|RUNNING|0:0|1795767219|1795767220|Unknown|4|60|10|billing=10,cpu=10,mem=5242880K,node=2|00:00:00|||n[3-4]
6.batch|6.batch|RUNNING|0:0|1795767220|1795767220|Unknown|4||5|cpu=5,mem=2621440K,node=1|00:00:00||0|n3
6.0|6.0|RUNNING|0:0|1795767220|1795767220|Unknown|4||10|cpu=10,mem=5242880K,node=2|00:00:00||0|n[3-4]
"""
#: What sstat said then, and squeue.
STEPS = """\
1.batch|15687680|0|cpu=00:00:00,energy=0,fs/disk=30012,mem=15687680,pages=0,vmem=564658176|n1
1.0|88883200|0|cpu=00:00:04,energy=0,fs/disk=42524,mem=88883200,pages=0,vmem=92839936|n1
2.0|88948736|0|cpu=00:00:04,energy=0,fs/disk=85048,mem=177827840,pages=0,vmem=185679872|n2
6.batch|11001856|0|cpu=00:00:00,energy=0,fs/disk=25691,mem=11001856,pages=0,vmem=292610048|n3
6.0|1740800|0|cpu=00:00:00,energy=0,fs/disk=13954,mem=3448832,pages=0,vmem=5980160|n[3-4]
"""
QUEUE = """\
1|1+0|RUNNING|1795767219|1795767220|0:05|10:00|2|n1
2|1+1|RUNNING|1795767219|1795767220|0:05|10:00|6|n2
"""
#: Without anybody who gathers what steps use, sstat has no numbers.
NOTHING_GATHERED = "1.batch||0||n1\n1.0||0||n1\n"
CANCELLED = """\
3|3|CANCELLED by 0|0:0|1795767219|1795767220|1795767225|5|10|2|billing=2,cpu=2,mem=1048576K,node=1|00:00.006|||n3
3.batch|3.batch|CANCELLED|0:15|1795767220|1795767220|1795767225|5||2|cpu=2,mem=1048576K,node=1|00:00.003|12388K|0|n3
3.0|3.0|CANCELLED|0:15|1795767220|1795767220|1795767225|5||2|cpu=2,mem=1048576K,node=1|00:00.002|1656K|0|n3
"""
REQUEUED = """\
4|4|REQUEUED|0:0|1795767219|1795767220|1795767225|5|60|1|billing=1,cpu=1,mem=524288K,node=1|00:00.014|||n3
4.batch|4.batch|CANCELLED|0:15|1795767220|1795767220|1795767225|5||1|cpu=1,mem=524288K,node=1|00:00.012|10696K|0|n3
4.0|4.0|CANCELLED|0:15|1795767220|1795767220|1795767225|5||1|cpu=1,mem=524288K,node=1|00:00.001|1636K|0|n3
4|4|RUNNING|0:0|1795767225|1795767231|Unknown|5|60|1|billing=1,cpu=1,mem=524288K,node=1|00:00:00|||n3
4.batch|4.batch|RUNNING|0:0|1795767231|1795767231|Unknown|5||1|cpu=1,mem=524288K,node=1|00:00:00||0|n3
4.0|4.0|RUNNING|0:0|1795767231|1795767231|Unknown|5||1|cpu=1,mem=524288K,node=1|00:00:00||0|n3
"""
PENDING_AGAIN = "4|4|PENDING|0:0|1795767225|Unknown|Unknown|0|60|1||00:00:00||0|None assigned\n"
FAILED = """\
5|5|FAILED|7:0|1795767219|1795767220|1795767222|2|60|1|billing=1,cpu=1,gres/gpu=2,mem=524288K,node=1|00:00.014||0|g1
5.batch|5.batch|FAILED|7:0|1795767220|1795767220|1795767222|2||1|cpu=1,gres/gpu=2,mem=524288K,node=1|00:00.012|10444K|0|g1
5.0|5.0|COMPLETED|0:0|1795767220|1795767220|1795767222|2||1|cpu=1,gres/gpu=2,mem=524288K,node=1|00:00.002|1668K|0|g1
"""
NODE_FAIL = """\
7|7+0|NODE_FAIL|0:0|1795767225|1795767225|1795767231|6|10|2|billing=2,cpu=2,mem=1048576K,node=1|00:00.005||0|n2
7.batch|7+0.batch|CANCELLED|0:15|1795767225|1795767225|1795767231|6||2|cpu=2,mem=1048576K,node=1|00:00.003|15052K|0|n2
7.0|7+0.0|CANCELLED|0:15|1795767225|1795767225|1795767231|6||2|cpu=2,mem=1048576K,node=1|00:00.002|1636K|0|n2
8|7+1|NODE_FAIL|0:0|1795767225|1795767225|1795767231|6|10|6|billing=6,cpu=6,mem=3145728K,node=1|00:00:00||0|n1
8.0|7+1.0|CANCELLED||1795767225|1795767225|1795767231|6||6|cpu=6,mem=3145728K,node=1|00:00:00||0|n1
"""
#: The state was written into the database: a cluster for tests has no kernel that limits memory.
OUT_OF_MEMORY = """\
9|9|OUT_OF_MEMORY|0:125|1795767231|1795767231|1795767232|1|60|1|billing=1,cpu=1,mem=102400K,node=1|00:00.181||0|n3
9.batch|9.batch|OUT_OF_MEMORY|0:125|1795767231|1795767231|1795767232|1||1|cpu=1,mem=102400K,node=1|00:00.010|10508K|0|n3
9.0|9.0|OUT_OF_MEMORY|0:125|1795767231|1795767231|1795767232|1||1|cpu=1,mem=102400K,node=1|00:00.171|301560K|0|n3
"""
#: The tasks of an array; the last one has its number.
ARRAY = """\
7|6_3|COMPLETED|0:0|1795766470|1795766470|1795766473|3|60|1|billing=1,cpu=1,mem=524288K,node=1|00:00.011||0|n2
7.0|6_3.0|COMPLETED|0:0|1795766470|1795766470|1795766473|3||1|cpu=1,mem=524288K,node=1|00:00.001|1636K|0|n2
6|6_4|COMPLETED|0:0|1795766470|1795766470|1795766473|3|60|1|billing=1,cpu=1,mem=524288K,node=1|00:00.012||0|n2
6.0|6_4.0|COMPLETED|0:0|1795766470|1795766470|1795766473|3||1|cpu=1,mem=524288K,node=1|00:00.002|1572K|0|n2
"""

FORMAT = (
    "--format=JobIDRaw,JobID,State,ExitCode,Submit,Start,End,ElapsedRaw,TimelimitRaw,AllocCPUS,AllocTRES,TotalCPU,"
    "MaxRSS,ConsumedEnergyRaw,NodeList"
)


def counted(text, job_id, at, steps=""):
    """What is made of sacct's answer, of a job that ran at a time (less 1,795,767,000), and of that of sstat."""
    asked = AskedJob(job_id, "", 1_795_767_000 + at, goes_on=True)
    usages = sacct.parse_steps(steps)
    return [with_use(life, usages) for life in lives_then(asked, sacct.parse_accounts(text))]


def test_a_hetjob_has_the_figures_of_each_component():
    first, second = counted(DONE, "1", 221)
    assert (first.job, first.het_group, second.job, second.het_group) == ("1+0", 0, "1+1", 1)
    assert (second.state, second.exit_code, second.signal, second.nodes) == ("COMPLETED", 0, None, "n2")
    assert (second.waited_s, second.elapsed_s, second.timelimit_s) == (1, 7, 600)
    assert (second.n_cpus, second.n_gpus) == (6, None)
    assert second.mem_mb == pytest.approx(3 * 1024**3 / 1e6)
    assert second.cpu_s == pytest.approx(7.489)
    assert second.cpu_efficiency == pytest.approx(7.489 / 42)
    assert first.cpu_s == pytest.approx(0.016 + 6.244)
    assert first.max_rss_mb == pytest.approx(86800 * 1024 / 1e6), "of the step that had the most"
    assert first.energy_j is None


def test_of_steps_that_run_sacct_knows_nothing_and_sstat_what_they_used_so_far():
    assert [(each.cpu_s, each.max_rss_mb) for each in counted(RUNNING, "1", 221)] == [(None, None)] * 2
    first, second = counted(RUNNING, "1", 221, STEPS)
    assert (first.state, first.exit_code, first.ended_at) == ("RUNNING", None, None)
    assert (first.cpu_s, second.cpu_s) == (4, 4)
    assert (first.max_rss_mb, second.max_rss_mb) == (88.8832, 88.948736)
    assert second.cpu_efficiency == pytest.approx(4 / 24)
    (wide,) = counted(RUNNING, "6", 221, STEPS)
    assert (wide.nodes, wide.max_rss_mb) == ("n[3-4]", 11.001856)


def test_steps_of_the_same_number_on_other_nodes_are_those_of_another_cluster():
    first, second = counted(RUNNING, "1", 221, STEPS.replace("|n2", "|c2"))
    assert (first.cpu_s, second.cpu_s) == (4, None)
    assert (first.max_rss_mb, second.max_rss_mb) == (88.8832, None)


def test_what_is_known_of_some_steps_alone_is_not_what_the_job_used():
    some = "".join(line for line in STEPS.splitlines(keepends=True) if not line.startswith("1.0|"))
    first, second = counted(RUNNING, "1", 221, some)
    assert (first.cpu_s, first.max_rss_mb) == (None, 15.68768)
    assert second.cpu_s == 4
    (lost,) = counted(CANCELLED.replace("3.0|3.0|CANCELLED|0:15|", "3.0|3.0|CANCELLED||"), "3", 221)
    assert lost.cpu_s is None


def test_nothing_is_said_of_what_nobody_gathers():
    assert not sacct.parse_steps(NOTHING_GATHERED)
    nobody = DONE.replace("00:06.244", "00:00:00").replace("00:00.016", "00:00:00")
    first, _ = counted(nobody.replace("15320K", "").replace("86800K", ""), "1", 221)
    assert (first.cpu_s, first.cpu_efficiency, first.max_rss_mb) == (None, None, None)


def test_a_job_that_was_cancelled_tells_by_whom():
    (job,) = counted(CANCELLED, "3", 221)
    assert (job.job, job.het_group, job.state, job.cancelled_by) == ("3", None, "CANCELLED", 0)
    assert (job.exit_code, job.signal) == (0, None)


def test_a_job_that_failed_has_its_exit_code_and_its_gpus():
    (job,) = counted(FAILED, "5", 221)
    assert (job.state, job.exit_code, job.signal, job.n_gpus) == ("FAILED", 7, None, 2)
    (typed,) = counted(FAILED.replace("gres/gpu=2", "gres/gpu:a100=1,gres/gpu:h100=2"), "5", 221)
    assert typed.n_gpus == 3
    (both,) = counted(FAILED.replace("gres/gpu=2", "gres/gpu:a100=2,gres/gpu=2"), "5", 221)
    assert both.n_gpus == 2


def test_what_ran_on_a_node_that_was_lost_is_not_known_and_not_0():
    first, second = counted(NODE_FAIL, "7", 226)
    assert (first.state, second.state) == ("NODE_FAIL", "NODE_FAIL")
    assert first.cpu_s == pytest.approx(0.005)
    assert (second.cpu_s, second.cpu_efficiency, second.max_rss_mb) == (None, None, None)


def test_a_job_that_ran_out_of_memory_has_slurms_number_for_that():
    (job,) = counted(OUT_OF_MEMORY, "9", 231)
    assert (job.state, job.exit_code, job.signal) == ("OUT_OF_MEMORY", 0, 125)
    assert job.max_rss_mb > job.mem_mb


def test_of_a_job_that_was_requeued_it_is_the_life_in_which_the_run_was():
    (first,) = counted(REQUEUED, "4", 222, STEPS.replace("6.", "4."))
    assert (first.state, first.elapsed_s, first.cpu_s) == ("REQUEUED", 5, pytest.approx(0.013))
    (second,) = counted(REQUEUED, "4", 233)
    assert (second.state, second.waited_s, second.cpu_s) == ("RUNNING", 6, None)
    (only,) = counted(REQUEUED.partition("4|4|RUNNING")[0] + PENDING_AGAIN, "4", 233)
    assert only.state == "REQUEUED"


def test_a_step_that_runs_now_is_of_the_life_that_runs_now():
    now = "4.0|1740800|0|cpu=00:09:00|n3\n4.batch|1740800|0|cpu=00:00:00|n3\n"
    assert [each.cpu_s for each in counted(REQUEUED, "4", 222, now)] == [pytest.approx(0.013)]
    assert [each.cpu_s for each in counted(REQUEUED, "4", 233, now)] == [540]


@pytest.mark.parametrize("at", [-3600, 227 + 3600])
def test_a_job_of_the_same_number_at_another_time_is_another_job(at):
    assert counted(DONE, "1", at) == []


def test_clocks_may_differ_a_little():
    assert len(counted(DONE, "1", 220 - 30)) == 2


def test_a_task_of_an_array_is_known_by_its_own_number():
    (job,) = counted(ARRAY, "6", -530)
    assert (job.job, job.het_group) == ("6_4", None)


def test_jobs_are_told_apart_where_several_are_asked_for():
    text = RUNNING + CANCELLED + NODE_FAIL
    assert [each.job for each in counted(text, "7", 226)] == ["7+0", "7+1"]
    assert [each.job for each in counted(text, "6", 226)] == ["6"]
    assert counted(text, "2", 226) == [], "a component's own number is not that of its job"


@pytest.mark.parametrize(("raw", "energy_j"), [("12345", 12345), ("0", None), ("18446744073709551614", None)])
def test_energy_is_that_of_the_job_and_not_the_sum_of_its_steps(raw, energy_j):
    text = DONE.replace("|0|n1", f"|{raw}|n1")
    assert [each.energy_j for each in counted(text, "1", 221)] == [energy_j, None]
    # Some have it for steps only.
    assert counted(text.replace(f"||{raw}|", "|||"), "1", 221)[0].energy_j == energy_j


def test_without_accounting_the_queue_tells_of_what_runs():
    lives = lives_then(AskedJob("1", "", 1795767221, goes_on=True), sacct.parse_queue(QUEUE))
    first, second = (with_use(life, sacct.parse_steps(STEPS)) for life in lives)
    assert (first.job, second.job, second.state, second.nodes) == ("1+0", "1+1", "RUNNING", "n2")
    assert (second.waited_s, second.elapsed_s, second.timelimit_s, second.n_cpus) == (1, 5, 600, 6)
    assert (first.cpu_s, second.cpu_s, second.mem_mb) == (4, 4, None)


@pytest.mark.parametrize("limit", ["UNLIMITED", "Partition_Limit", ""])
def test_a_job_without_a_limit_has_none(limit):
    assert counted(CANCELLED.replace("|5|10|2|", f"|5|{limit}|2|"), "3", 221)[0].timelimit_s is None


@pytest.mark.parametrize("cell", ["", "?", "9" * 5000, "-1", "nan", "\u0663", "1e999", "9" * 5000 + ":00", "=" * 9])
def test_whatever_stands_in_a_cell_is_a_figure_or_none(cell):
    fields = DONE.splitlines()[0].split("|")
    steps = f"{cell}|{cell}|{cell}|cpu={cell}|{cell}\n1.0|{cell}|{cell}|cpu={cell}|n1\n"
    lives = sacct.parse_queue("|".join([cell] * 9))
    for index in range(len(fields)):
        lives += sacct.parse_accounts("|".join([*fields[:index], cell, *fields[index + 1 :]]) + "\n" + DONE)
    for life in lives:
        made = with_use(life, sacct.parse_steps(steps))
        json.dumps([dataclasses.asdict(made), made.cpu_efficiency], allow_nan=False)


def test_lines_that_are_no_rows_are_passed_over():
    assert counted(f"Welcome to blue!\n{DONE}1.0|too|short\n", "1", 221) == counted(DONE, "1", 221)


def test_the_questions_are_whole_commands():
    assert sacct.accounts_command(["7", "9", "7"], "blue") == [
        "sacct",
        "--jobs=7,9",
        "--clusters=blue",
        "--noheader",
        "--parsable2",
        "--units=K",
        "--duplicates",
        FORMAT,
    ]
    assert "--clusters=" not in " ".join(sacct.accounts_command(["7"], ""))
    assert sacct.steps_command(["7", "8"])[:3] == ["sstat", "--jobs=7,8", "--allsteps"]
    assert sacct.queue_command("7")[-1] == "--format=%A|%i|%T|%V|%S|%M|%l|%C|%N"
