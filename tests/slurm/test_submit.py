"""One command on the login node: a Slurm job is planned, submitted and followed to its end."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from batches import NASTY
from harness import require, wait_until
from mpis import MPIS
from runs import SlurmRun
from submissions import assert_no_trace, id_of, is_pending, nodes_of, occupy, queued, submit

if TYPE_CHECKING:
    from harness import Workflow
    from slurm_cluster import SlurmCluster

#: Planned as a small first component and workers.
SNAKEFILE = """\
    rule all:
        input: expand("out/{n}", n=range(4))

    rule one:
        output: "out/{n}"
        threads: 4
        resources: mem_mb=100, runtime=1
        shell: "echo said by {wildcards.n}; hostname > {output}"
    """

#: Three kinds of jobs, and what each is for.
KINDS = """\
    rule all:
        input: expand("{rule}/{n}", rule=["plain", "big", "learn"], n=range(4))

    rule plain:
        output: "plain/{n}"
        resources: mem_mb=100, runtime=1
        shell: "hostname > {output}"

    rule big:
        output: "big/{n}"
        resources:
            # Most of them would fit the other workers as well.
            mem_mb=lambda wildcards: 20000 if wildcards.n == "0" else 100,
            runtime=1, daskmpi_component="big", slurm_partition="big"
        shell: "hostname > {output}"

    rule learn:
        output: "learn/{n}"
        resources: mem_mb=100, runtime=1, slurm_partition="gpu", gpu=1
        shell: "hostname > {output}; test -n \\"$CUDA_VISIBLE_DEVICES\\""
    """

#: Jobs that wait for a sign.
PATIENT = """\
    rule all:
        output: "done"
        resources: mem_mb=100, runtime=1
        shell: "touch started; while [ ! -e go ]; do sleep 0.1; done; exit $(cat go)"
    """


def test_one_command_runs_a_workflow_in_a_hetjob_whatever_its_folder_is_called(workflow: Workflow, slurm: SlurmCluster):
    workflow.write(f"{NASTY}/Snakefile", SNAKEFILE)
    run = submit(workflow, "--directory", NASTY, "--snakefile", f"{NASTY}/Snakefile", "--daskmpi-max-components", "2")
    run.ends_with(0)
    hosts = {workflow.read(f"{NASTY}/out/{n}").strip() for n in range(4)}
    head, workers = nodes_of(slurm, id_of(run.text))
    assert hosts <= workers
    assert not hosts & head
    assert "its output follows." in run.text
    assert "5 of 5 steps (100%) done" in run.text, "its output is not followed"
    assert run.text.count("Building DAG of jobs...") == 2, "to plan, and to run"
    assert_no_trace(workflow, NASTY)


@pytest.mark.nightly
def test_every_job_runs_on_the_component_that_was_planned_for_its_rule(workflow: Workflow, slurm: SlurmCluster):
    workflow.write("Snakefile", KINDS)
    run = submit(workflow, "--daskmpi-max-components", "3", "--daskmpi-max-workers", "4")
    run.ends_with(0)
    components = nodes_of(slurm, id_of(run.text))
    table = [
        (rule, next((c for c, nodes in enumerate(components) if host in nodes), None), host)
        for rule in ("plain", "big", "learn")
        for host in sorted({workflow.read(f"{rule}/{n}").strip() for n in range(4)})
    ]
    shown = "rule x component x host\n" + "\n".join(f"{rule:6} {component} {host}" for rule, component, host in table)
    print(shown)
    assert len(components) == 3
    assert {rule: (component, host[0]) for rule, component, host in table} == {
        "plain": (0, "n"),
        "big": (1, "b"),
        "learn": (2, "g"),
    }, shown


def test_a_detached_job_is_not_submitted_twice_and_its_failure_is_found_by_following_it(
    workflow: Workflow, slurm: SlurmCluster
):
    workflow.write("Snakefile", PATIENT)
    run = submit(workflow, "--daskmpi-detach")
    run.ends_with(0)
    job_id = id_of(run.text)
    assert job_id in run.text.splitlines(), "the id stands on a line of its own"
    submission = next(workflow.folder.glob(".snakemake/daskmpi/submissions/*"))
    assert submission.stat().st_mode & 0o077 == 0, "nobody else reads its output"
    workflow.wait_for("started", run=SlurmRun(int(job_id), slurm, submission / "output.log"))
    second = submit(workflow)
    assert second.wait() != 0
    assert f"Slurm job {job_id} of this working directory" in second.text
    assert "'snakemake-daskmpi follow' shows its output" in second.text
    assert queued(slurm) == {job_id}
    workflow.write("go", "3")
    command = [sys.executable, "-m", "snakemake_executor_plugin_daskmpi", "follow"]
    follower = workflow.start_command(command, workflow.environ())
    follower.ends_with(1)
    assert f"Slurm job {job_id} ended with exit code 1" in follower.text
    assert_no_trace(workflow)


def test_a_job_that_waits_is_not_submitted_twice_and_a_silent_controller_does_not_end_its_run(
    workflow: Workflow, slurm: SlurmCluster
):
    other = occupy(workflow, slurm, "big")
    workflow.write("Snakefile", SNAKEFILE)
    run = submit(workflow, "--daskmpi-partition", "big")
    is_pending(run)
    job_id = id_of(run.text)
    second = submit(workflow, "--daskmpi-partition", "big")
    assert second.wait() != 0
    assert f"This working directory has Slurm job {job_id} already; nothing was submitted." in second.text
    assert f"Next: squeue --job {job_id}; scancel {job_id} ends it" in second.text
    assert queued(slurm) == {other, job_id}
    controller = int((slurm.folder / "run/slurmctld.pid").read_text())
    os.kill(controller, signal.SIGSTOP)
    try:
        wait_until(lambda: "Slurm's controller does not answer" in run.text, on_timeout=lambda: run.text)
    finally:
        os.kill(controller, signal.SIGCONT)
    slurm.ask("scancel", other)
    run.ends_with(0)
    assert "5 of 5 steps (100%) done" in run.text
    assert_no_trace(workflow)


@pytest.mark.nightly
def test_the_script_that_is_printed_runs_when_it_is_submitted_by_hand(workflow: Workflow, slurm: SlurmCluster):  # noqa: ARG001
    require("mpich")
    workflow.write(f"{NASTY}/Snakefile", SNAKEFILE)
    verb = [sys.executable, "-m", "snakemake_executor_plugin_daskmpi", "plan", "--script"]
    verb += ["--directory", NASTY, "--snakefile", f"{NASTY}/Snakefile"]
    process = workflow.start_command(verb, {**workflow.environ(), **MPIS["mpich"].environ})
    process.ends_with(0)
    said, start, rest = process.text.partition("#!/bin/bash")
    script = start + rest
    assert "--nolock" not in script
    assert "--rerun-incomplete" not in script
    # Lines of a script cannot say all that a folder may be called.
    arguments = shlex.split(said.partition("goes on the command line: sbatch ")[2])[:-1]
    assert [argument.partition("=")[0] for argument in arguments] == ["--job-name", "--output"]
    workflow.write("by-hand.sh", script)
    run = workflow.sbatch("by-hand.sh", *arguments, env=MPIS["mpich"].environ)
    run.ends_with(0)
    assert len(list((workflow.folder / NASTY / "out").iterdir())) == 4
