"""The launchers plan and script say what sbatch would submit, and start nothing."""

from __future__ import annotations

import shlex
import subprocess
from typing import TYPE_CHECKING

from harness import require
from mpis import MPIS

if TYPE_CHECKING:
    from harness import Workflow
    from slurm_cluster import SlurmCluster

#: Rules for three components.
SNAKEFILE = """
    rule all:
        input: expand("plain/{n}", n=range(8)), expand("large/{n}", n=range(2)), "gpu/0"

    rule plain:
        output: "plain/{n}"
        shell: "echo $(hostname) ${{CUDA_VISIBLE_DEVICES:-}} > {output}"

    rule large:
        output: "large/{n}"
        threads: 4
        resources: mem_mb=20000, slurm_partition="big"
        shell: "echo $(hostname) ${{CUDA_VISIBLE_DEVICES:-}} > {output}"

    rule gpu:
        output: "gpu/{n}"
        resources: slurm_partition="gpu", gpu=1, gpu_model="a100"
        shell: "echo $(hostname) ${{CUDA_VISIBLE_DEVICES:-}} > {output}"
"""
DEFAULTS = ("--default-resources", "mem_mb=300", "disk_mb=10", "runtime=2")


def test_the_plan_and_the_script_are_printed_and_nothing_starts(workflow: Workflow, slurm: SlurmCluster):
    workflow.write("Snakefile", SNAKEFILE)
    plan = workflow.start(*DEFAULTS, launcher="plan")
    plan.ends_with(0)
    for words in ("3 components", "gpu-a100", "scheduler, client and", "Forecast: ", "Walltime: "):
        assert words in plan.text
    script = workflow.start(*DEFAULTS, launcher="script")
    script.ends_with(0)
    assert script.text.count("#SBATCH hetjob") == 2
    assert "srun --mpi=pmi2 --het-group=0-2 --kill-on-bad-exit=0" in script.text
    assert not slurm.squeue("--noheader")
    assert not workflow.has("plain")


def test_a_plan_takes_runtimes_from_the_newest_run_here_where_rules_do_not_say(
    workflow: Workflow,
    slurm: SlurmCluster,  # noqa: ARG001 - its site is what is planned for
):
    snakefile = """
        rule all:
            input: expand("silent/{n}", n=range(6)), expand("stated/{n}", n=range(2)), "new"

        rule silent:
            output: "silent/{n}"
            shell: "touch {output}"

        rule stated:
            output: "stated/{n}"
            resources: runtime=17
            shell: "touch {output}"

        rule new:
            output: "new"
            shell: "touch {output}"
    """
    defaults = ("--default-resources", "mem_mb=300", "disk_mb=10")
    workflow.write("Snakefile", snakefile)
    workflow.start("silent/0", "silent/1", "stated/0", *defaults).ends_with(0)
    plan = workflow.start(*defaults, "--forceall", launcher="plan")
    plan.ends_with(0)
    assert "Note: The runtime of 1 rule is that of the run of 2" in plan.text
    assert "the mean of each rule's jobs: silent. A rule that states its runtime has that." in plan.text
    assert "Note: No runtime is given for new: 5 minutes a job are assumed." in plan.text
    (silent,) = (line for line in plan.text.splitlines() if line.startswith("  silent"))
    (stated,) = (line for line in plan.text.splitlines() if line.startswith("  stated"))
    assert ("~1 min" in silent, "17 min" in stated) == (True, True)


def test_a_run_that_may_grow_is_planned_as_two_ranks_whose_script_sbatch_takes(
    workflow: Workflow,
    slurm: SlurmCluster,
):
    # Two programs with a GPU at the end of an hour of other jobs, which a worker with GPUs would wait for.
    workflow.write(
        "Snakefile",
        """
        rule all:
            input: "last/0", "last/1"

        rule count:
            output: "count/{n}"
            shell: "touch {output}"

        rule last:
            output: "last/{n}"
            input: expand("count/{n}", n=range(100))
            threads: 4
            resources: slurm_partition="gpu", gpu=1, gpu_model="a100"
            shell: "touch {output}"
        """,
    )
    arguments = ("--default-resources", "mem_mb=300", "runtime=60", "--daskmpi-grow", "4")
    plan = workflow.start(*arguments, launcher="plan")
    plan.ends_with(0)
    for words in (
        "Slurm job: 2 ranks: scheduler and client",
        "Further Slurm jobs, at most 4 at a time, as forecast:",
        "Why: With --daskmpi-grow: ranks 0 and 1 alone, and workers that come and go: about ",
    ):
        assert words in plan.text
    script = workflow.start(*arguments, launcher="script")
    script.ends_with(0)
    tested = subprocess.run(
        ["sbatch", "--test-only"],
        input=script.text[script.text.index("#!/bin/bash") :],
        env=workflow.environ(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert tested.returncode == 0, tested.stderr
    assert "using 2 processors" in tested.stderr
    assert "in partition main" in tested.stderr
    assert not slurm.squeue()
    # What the ranks are told: they may grow, and none of them takes jobs.
    assert {"--daskmpi-grow", "--daskmpi-components="} <= set(shlex.split(script.text, comments=True))


def test_for_an_mpi_that_does_not_start_on_any_nodes_one_component_is_planned_or_it_is_said(
    workflow: Workflow,
    slurm: SlurmCluster,  # noqa: ARG001
):
    require("impi")
    workflow.write(
        "Snakefile",
        """
        rule all:
            input: expand("out/{n}", n=range(12))

        rule one:
            output: "out/{n}"
            threads: 4
            resources: mem_mb=4000, runtime=30
            shell: "touch {output}"
        """,
    )
    mpich, intel = ({**workflow.environ(), **MPIS[name].environ} for name in ("mpich", "impi"))
    assert "2 components" in planned(workflow, mpich)
    text = planned(workflow, intel)
    assert "One component: Intel MPI cannot start where the nodes of several" in text
    # Of three kinds of workers, no one component can be made.
    workflow.write("Snakefile", SNAKEFILE)
    text = planned(workflow, intel)
    assert "3 components" in text
    assert "the job then ends at once. MPICH starts on any." in " ".join(text.split())


def test_where_no_mpi_is_loaded_there_is_a_plan_all_the_same(workflow: Workflow, slurm: SlurmCluster):  # noqa: ARG001
    workflow.write("Snakefile", SNAKEFILE)
    assert "3 components" in planned(workflow, {**workflow.environ(), "MPI4PY_LIBMPI": "/nowhere/libmpi.so.12"})


def planned(workflow: Workflow, environ: dict[str, str]) -> str:
    """Return what is planned for the MPI that an environment names."""
    run = workflow.start(*DEFAULTS, launcher="plan", env=environ)
    run.ends_with(0)
    return run.text
