"""From the login node, by one command: a heterogeneous job is planned, submitted and followed to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness import Workflow
    from slurm_cluster import SlurmCluster

#: Rules for three components. Nodes b1 and g1 come before n1 in the alphabet, and after it in the job.
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

#: By component, the nodes of its partition.
NODES = {"plain": {"n1", "n2", "n3", "n4"}, "large": {"b1"}, "gpu": {"g1"}}


def test_jobs_of_three_components_run_where_their_annotations_call_for(workflow: Workflow, slurm: SlurmCluster):
    workflow.write("Snakefile", SNAKEFILE)
    run = workflow.start(*DEFAULTS, launcher="sbatch")
    run.ends_with(0)
    table = {(name.split("/")[0], text.split()[0].decode()) for name, text in workflow.tree(*NODES).items() if text}
    lost = [(rule, host) for rule, host in table if host not in NODES[rule]]
    assert not lost, f"rule and host, of all: {sorted(table)}"
    assert {rule for rule, _ in table} == set(NODES)
    assert workflow.read("gpu/0").split() == ["g1", "0"]
    assert "12 of 12 steps" in run.text, "the run's own output is followed"
    assert not slurm.squeue("--noheader")


def test_a_job_that_fails_gives_its_exit_code_to_the_command(workflow: Workflow, slurm: SlurmCluster):  # noqa: ARG001
    workflow.write("Snakefile", "rule all:\n    output: 'a'\n    shell: 'exit 5'\n")
    run = workflow.start(*DEFAULTS, launcher="sbatch")
    run.ends_with(1)
    assert "exit code 5" in run.text


def test_the_plan_and_the_script_are_printed_and_nothing_starts(workflow: Workflow, slurm: SlurmCluster):
    workflow.write("Snakefile", SNAKEFILE)
    plan = workflow.start(*DEFAULTS, launcher="plan")
    plan.ends_with(0)
    for words in ("3 components", "gpu-a100", "scheduler, client and", "Forecast: ", "Walltime: "):
        assert words in plan.text
    script = workflow.start(*DEFAULTS, launcher="script")
    script.ends_with(0)
    assert script.text.count("#SBATCH hetjob") == 2
    assert "srun --mpi=pmi2 --het-group=0-2 --kill-on-bad-exit=1" in script.text
    assert not slurm.squeue("--noheader")
    assert not workflow.has("plain")
