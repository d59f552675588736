"""The srun that starts ranks: over all components, with the CPUs of each task, and nothing that Slurm would refuse."""

from __future__ import annotations

import pytest

from snakemake_executor_plugin_daskmpi.slurm.script.srun import Step, program_for_srun, srun_command, srun_environ

SURVIVE = ["--kill-on-bad-exit=0", "--wait=0", "--no-kill"]


@pytest.mark.parametrize(
    ("step", "arguments"),
    [
        (Step("pmix", (2,)), ["--mpi=pmix", *SURVIVE]),
        (Step("pmi2", (1, 4, 2)), ["--mpi=pmi2", "--het-group=0-2", *SURVIVE]),
        (Step("pmi2", (1,), binds_cpus=True), ["--mpi=pmi2", *SURVIVE, "--cpu-bind=none"]),
        # what the user says comes last, and so counts
        (
            Step("pmi2", (1,), binds_cpus=True, args=("--cpu-bind=cores",)),
            ["--mpi=pmi2", *SURVIVE, "--cpu-bind=none", "--cpu-bind=cores"],
        ),
    ],
)
def test_srun_starts_ranks_over_all_components_and_binds_none(step, arguments):
    assert srun_command(step) == ["srun", *arguments]


@pytest.mark.parametrize(
    ("cpus_per_task", "environ"),
    [
        ((4,), {"SRUN_CPUS_PER_TASK": "4"}),
        ((None,), {}),
        ((1, 4), {"SRUN_CPUS_PER_TASK_HET_GROUP_0": "1", "SRUN_CPUS_PER_TASK_HET_GROUP_1": "4"}),
        ((None, 4, None), {"SRUN_CPUS_PER_TASK_HET_GROUP_1": "4"}),
    ],
)
def test_srun_is_told_the_cpus_of_each_task_where_the_job_says(cpus_per_task, environ):
    assert srun_environ(Step("pmi2", cpus_per_task)) == environ


def test_a_lone_colon_in_the_program_does_not_start_another_component():
    program = ["python", "-m", "snakemake", "it's", ":", "a:b"]
    assert program_for_srun(program) == ["sh", "-c", """exec python -m snakemake 'it'"'"'s' : a:b"""]
    assert program_for_srun(["python", "a:b"]) == ["python", "a:b"]
