"""A profile for Snakemake's slurm executor plugin, unchanged but for the executor, as one planned Slurm job."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from growing import events
from harness import require
from other_plugins import PLUGINS

if TYPE_CHECKING:
    from harness import Workflow
    from slurm_cluster import SlurmCluster

PROFILE = """
    executor: slurm
    jobs: 100
    latency-wait: 60
    max-jobs-per-second: 10
    slurm-qos: low
    slurm-exclude-failed-nodes: n1,n3
    slurm-jobname-prefix: mine
    slurm-requeue: true
    default-resources:
      slurm_partition: main
      slurm_account: proj
      runtime: 24h
      mem_mb: 1000
      nodes: 1
      tasks: 1
      slurm_extra: "'--nice=7'"
    set-resources:
      wide:
        cpus_per_task: 4
        mem_mb_per_cpu: 500
"""

SNAKEFILE = """
    rule all:
        input: expand("wide/{n}", n=range(3))

    rule narrow:
        output: "narrow/{n}"
        shell: "touch {output}"

    rule wide:
        input: "narrow/{n}"
        output: "wide/{n}"
        shell: "touch {output}"
"""


def test_it_is_one_slurm_job_with_all_that_it_says_to_slurm(workflow: Workflow, slurm: SlurmCluster):
    require("mpich")
    workflow.write("profile/config.yaml", PROFILE)
    workflow.write("Snakefile", SNAKEFILE)
    run = workflow.start("--profile", "profile", "--daskmpi-sbatch-args=--nice=9", launcher="sbatch", env=PLUGINS)
    run.ends_with(0)
    asked = {event["rule"]: event["asks"] for event in events(workflow, "submitted")}
    assert (asked["wide"]["cores"], asked["wide"]["mem_mb"]) == (4, 2000)
    (number,) = set(re.findall(r"Slurm job (\d+) runs", run.text))
    for told in slurm.scontrol("show", "job", number).strip().split("\n\n"):
        seen = dict(word.partition("=")[::2] for word in told.split())
        names = ("JobName", "Account", "Partition", "ExcNodeList", "Requeue")
        assert [seen[name] for name in names] == ["mine", "proj", "main", "n[1,3]", "0"]
        assert seen["Nice"] == "9", "what is said to this executor goes first"
    (script,) = workflow.folder.glob(".snakemake/daskmpi/submissions/*/job.sh")
    assert "#SBATCH --qos=low\n" in script.read_text(), "a Slurm without accounting forgets it"
    said = "daskmpi: slurm-requeue, max-jobs-per-second are for other executors, and have no effect here."
    assert [line for line in run.text.splitlines() if "no effect" in line] == [said]
