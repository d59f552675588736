"""What is said of a Slurm job's end."""

from __future__ import annotations

import pytest

from snakemake_executor_plugin_daskmpi.slurm.submission.reasons import end_message, vanished_message

AGAIN = "run the same command again, with --rerun-incomplete if Snakemake asks for it"


@pytest.mark.parametrize(
    "message",
    [
        *(
            end_message("7", state)
            for state in ("TIMEOUT", "DEADLINE", "CANCELLED", "NODE_FAIL", "PREEMPTED", "OUT_OF_MEMORY")
        ),
        vanished_message("7", "output"),
    ],
)
def test_whoever_goes_on_after_a_killed_run_is_told_the_same_each_time(message: str):
    assert AGAIN in message.partition("Next: ")[2]


def test_a_job_that_never_ran_has_left_nothing_incomplete():
    assert "--rerun-incomplete" not in end_message("7", "BOOT_FAIL")
