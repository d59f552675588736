"""What Slurm says of a job, in its queue and of its end, and what the user reads of it."""

from __future__ import annotations

import datetime as dt

import pytest

from snakemake_executor_plugin_daskmpi.slurm.submission import queue, reasons
from snakemake_executor_plugin_daskmpi.slurm.submission.queue import End, QueuedJob

# As Slurm 22.05.8 prints it: the components of a hetjob in any order.
HETJOB = (
    "2+1\x1fPENDING\x1fResources\x1f2026-11-23T14:02:11\x1fmain\x1f99\x1f\n"
    "2+0\x1fPENDING\x1fNone\x1fN/A\x1fmain\x1f100\x1f\n"
)
RUNNING = "1+0\x1fRUNNING\x1fNone\x1f2026-11-23T09:27:54\x1fmain\x1f42\x1fn1\n"


def test_a_hetjobs_components_are_lines_of_their_own():
    second, first = queue.parse_queue(HETJOB)
    assert second == QueuedJob("2+1", "PENDING", "Resources", "2026-11-23T14:02:11", "main", 99)
    assert first == QueuedJob("2+0", "PENDING", "None", "", "main", 100)
    assert {first.number, second.number} == {"2"}


def test_lines_that_are_no_jobs_are_passed_over():
    assert queue.parse_queue("CLUSTER: blue\n" + RUNNING)[0].nodes == "n1"


def test_jobs_with_a_higher_priority_are_ahead_and_hetjobs_count_once():
    own, first = queue.parse_queue(HETJOB)
    others = [QueuedJob("3+0", "PENDING", priority=200), QueuedJob("3+1", "PENDING", priority=199)]
    assert queue.count_ahead(own, [own, first, *others, QueuedJob("4", "PENDING", priority=5)]) == 1


def test_a_waiting_hetjob_tells_the_reason_that_says_most():
    _, line = reasons.what_to_tell(queue.parse_queue(HETJOB), 3)
    assert line.startswith(
        "Slurm job 2 waits in partition main: the nodes it needs are busy; about 3 before it; expected"
    )


def test_a_new_forecast_alone_is_not_told():
    told, _ = reasons.what_to_tell(queue.parse_queue(HETJOB), 3)
    later, _ = reasons.what_to_tell(queue.parse_queue(HETJOB.replace("14:02", "14:07")), 3)
    fewer, _ = reasons.what_to_tell(queue.parse_queue(HETJOB), 2)
    assert told == later != fewer


def test_a_running_job_tells_its_nodes():
    assert reasons.what_to_tell(queue.parse_queue(RUNNING), None)[1] == "Slurm job 1 runs on n1; its output follows."


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("Priority", "jobs with a higher priority are before it"),
        ("QOSMaxJobsPerUserLimit", "you run or ask for as much as one user may (running jobs)"),
        ("AssocGrpCpuLimit", "all jobs of its account together use as much as they may (CPUs)"),
        ("AssocGrpCPURunMinutesLimit", "all jobs of its account together use as much as they may (CPU time"),
        ("QOSGrpGRES", "all jobs of its quality of service together use as much as they may (GPUs"),
        ("QOSMaxWallDurationPerJobLimit", "it asks for more than one job may (walltime), so it will not start"),
        ("Dependency", "a job that it depends on has not ended"),
        ("BeginTime", "its earliest start is still to come"),
        ("PartitionTimeLimit", "its walltime is above the partition's limit, so it will not start"),
        ("ReqNodeNotAvail, UnavailableNodes:n[1-2]", "nodes that it needs are down, drained or reserved"),
        ("Licenses", "a licence that it needs is in use"),
        ("JobHeldUser", "it is held; 'scontrol release' lets it go"),
        ("SomethingNew", "Slurm's reason is SomethingNew"),
    ],
)
def test_reasons_to_wait_are_told_in_plain_english(reason, text):
    assert reasons.waiting_text(reason).startswith(text)


def test_a_start_on_another_day_has_a_date():
    assert reasons.start_text("2026-11-24T00:10:00", dt.datetime(2026, 11, 23, 23, 50)) == "on Tue 24 Nov at 00:10"  # noqa: DTZ001


# -- the end -------------------------------------------------------------------------------------------


def test_scontrol_tells_the_end_of_the_first_component():
    text = (
        "JobId=1 HetJobOffset=0 JobState=CANCELLED Reason=None ExitCode=0:15 Command=/a JobState=x\nJobId=2 JobState=Y"
    )
    assert queue.parse_end(text) == End("CANCELLED", 143)


def test_accounting_tells_who_cancelled():
    assert queue.parse_history("CANCELLED by 1000|0:0\nCANCELLED|0:0") == End("CANCELLED", 0, "1000")
    assert queue.parse_history("OUT_OF_MEMORY|0:125") == End("OUT_OF_MEMORY", 253)
    assert queue.parse_history("") is None


@pytest.mark.parametrize("state", sorted(queue.ENDED - {"COMPLETED", "FAILED", "REVOKED", "RECONFIG_FAIL"}))
def test_each_early_end_is_told_with_a_next_step(state):
    message = reasons.end_message("12", state, output="out.log")
    assert message.startswith("Slurm job 12 ended early: ")
    assert f"Seen: its state is {state}; all that it wrote is in out.log." in message
    assert "Slurm calls its end" not in message


def test_who_cancelled_it_is_named():
    assert "it was cancelled by ada." in reasons.end_message("12", "CANCELLED", by="ada", output="out.log")


# -- submitting ----------------------------------------------------------------------------------------


def test_the_id_is_read_whatever_a_site_prints_before_it():
    assert queue.parse_submitted("Welcome to blue!\n1234\n") == ("1234", "")
    assert queue.parse_submitted("1234;blue") == ("1234", "blue")


def test_options_that_cannot_stand_in_the_script_are_given_to_sbatch():
    command = queue.submit_command("job.sh", ["--chdir=a\nb"])
    assert command == ["sbatch", "--parsable", "--chdir=a\nb", "job.sh"]


def test_a_job_that_slurm_took_without_a_word_is_found_by_its_script():
    text = "7\x1f(null)\n8+0\x1f/a b\nc/2026-1/job.sh\n8+1\x1f/a b\nc/2026-1/job.sh\n"
    assert queue.parse_script_jobs(text, "2026-1/job.sh") == ["8"]
    assert not queue.parse_script_jobs(text, "2026-2/job.sh")


# What sbatch 22.05.8 says, and what the user should look at.
REFUSALS = [
    ("sbatch: error: invalid partition specified: nope", "change --daskmpi-partition"),
    ("sbatch: error: Batch job submission failed: Requested node configuration is not available", "threads and mem_mb"),
    ("sbatch: error: Memory specification can not be satisfied", "threads and mem_mb"),
    ("sbatch: error: Batch job submission failed: Invalid feature specification", "change constraint"),
    ("sbatch: error: Invalid generic resource (gres) specification", "change gpu, gpu_model or gres"),
    ("sbatch: error: Batch job submission failed: Invalid account or account/partition combination specified",
     "change --daskmpi-account"),
    ("sbatch: error: Batch job submission failed: Invalid qos specification", "change --daskmpi-qos"),
    ("sbatch: error: Batch job submission failed: Requested time limit is invalid (missing or exceeds some limit)",
     "change --daskmpi-walltime"),
    ("sbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit, time limits)",
     "wait until your jobs have ended"),
    ("sbatch: unrecognized option '--nonsense'", "change --daskmpi-sbatch-args"),
    ("sbatch: error: the site's own rule says no", "sbatch --test-only 'the job.sh'"),
]  # fmt: skip


@pytest.mark.parametrize(("said", "next_step"), REFUSALS)
def test_a_refusal_says_what_to_change(said, next_step):
    message = reasons.refusal_message(said, "the job.sh")
    assert next_step in message.rpartition("Next: ")[2]
    assert said in message
