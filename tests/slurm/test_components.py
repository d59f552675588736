"""Jobs run on the workers that their rules' annotations call for, in a heterogeneous job of three components."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness import require
from mpis import MPIS

if TYPE_CHECKING:
    from harness import Workflow
    from slurm_cluster import SlurmCluster

BATCH = """\
    #!/bin/bash
    #SBATCH --nodes=1 --ntasks=3 --cpus-per-task=1 --mem-per-cpu=1G
    #SBATCH hetjob
    #SBATCH --nodes=1 --ntasks=1 --cpus-per-task=4 --mem-per-cpu=1G
    #SBATCH hetjob
    #SBATCH --partition=main --ntasks=1 --cpus-per-task=2 --mem-per-cpu=4G
    for n in 0 1 2; do eval "echo HOSTS $n \\$SLURM_JOB_NODELIST_HET_GROUP_$n"; done
    srun --mpi=pmi2 --het-group=0-2 snakemake --executor daskmpi --jobs unlimited --keep-going \\
        --daskmpi-components any,wide,main
    """

SNAKEFILE = """\
    rule all:
        input: expand("{rule}/{n}", rule=["plain", "wide", "annotated"], n=range(6)), "nowhere"

    rule plain:
        output: "plain/{n}"
        resources: mem_mb=10
        shell: "hostname > {output}"

    rule wide:
        output: "wide/{n}"
        resources: mem_mb=10, daskmpi_component="wide"
        shell: "hostname > {output}"

    rule annotated:
        output: "annotated/{n}"
        resources: mem_mb=10, slurm_partition="main"
        shell: "hostname > {output}"

    rule nowhere:
        output: "nowhere"
        resources: mem_mb=10, daskmpi_component="wdie"
        shell: "hostname > {output}"
    """

#: Which component the annotations of a rule call for.
COMPONENT_OF = {"plain": 0, "wide": 1, "annotated": 2}


def test_every_job_runs_in_the_component_that_its_annotation_calls_for(
    workflow: Workflow,
    slurm: SlurmCluster,  # noqa: ARG001
):
    require("mpich")
    workflow.write("Snakefile", SNAKEFILE)
    run = workflow.sbatch(BATCH, env=MPIS["mpich"].environ)
    run.ends_with(1)  # one rule asks for a component that is not there
    host_of = {int(n): host for tag, n, host in _words(run.text, 3) if tag == "HOSTS"}
    table = [
        (rule, component, workflow.read(f"{rule}/{n}").strip())
        for rule, component in COMPONENT_OF.items()
        for n in range(6)
    ]
    shown = "rule x component x host\n" + "\n".join(f"{rule:10} {c} {host}" for rule, c, host in sorted(set(table)))
    print(shown)
    assert len(set(host_of.values())) == 3
    assert [host for _, _, host in table] == [host_of[c] for _, c, _ in table], shown
    assert "No worker takes jobs of component wdie." in run.text
    assert "daskmpi_component=main" in run.text
    assert "has no effect here" not in run.text


def _words(text: str, number: int) -> list[list[str]]:
    return [line.split() for line in text.splitlines() if len(line.split()) == number]
