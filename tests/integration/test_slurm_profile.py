"""A profile for Snakemake's slurm executor plugin, run with this executor: what has a meaning here gets it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from growing import events
from harness import require
from other_plugins import PLUGINS

if TYPE_CHECKING:
    from harness import Workflow

PROFILE = """
    executor: slurm
    jobs: 100
    latency-wait: 60
    rerun-incomplete: true
    max-jobs-per-second: 50
    max-status-checks-per-second: 1
    slurm-logdir: logs
    slurm-init-seconds-before-status-checks: 20
    slurm-no-requeue: true
    slurm-qos: low
    default-resources:
      slurm_partition: batch
      slurm_account: proj
      runtime: 24h
      mem_mb_per_cpu: 100
      cpus_per_task: 2
      nodes: 1
      tasks: 1
      constraint: "''"
      slurm_extra: "'--mail-type=END'"
    set-resources:
      wide:
        cpus_per_task: 4
"""

SNAKEFILE = """
    rule all:
        input: "narrow", "wide"

    rule narrow:
        output: "narrow"
        shell: "touch {output}"

    rule wide:
        input: "narrow"
        output: "wide"
        shell: "touch {output}"
"""


@pytest.mark.parametrize("launcher", ["local", "mpich", "mpiexec"])
def test_its_jobs_get_what_they_ask_for_and_the_rest_is_named_in_one_line(workflow: Workflow, launcher: str):
    if launcher != "local":
        require("mpich")
    workflow.write("profile/config.yaml", PROFILE)
    workflow.write("Snakefile", SNAKEFILE)
    run = workflow.start("--profile", "profile", "--daskmpi-cores", "4", launcher=launcher, env=PLUGINS)
    run.ends_with(0)
    asked = {event["rule"]: event["asks"] for event in events(workflow, "submitted")}
    assert {rule: [asks[name] for name in ("cores", "mem_mb", "runtime_min")] for rule, asks in asked.items()} == {
        "narrow": [2, 200, 1440],
        "wide": [4, 400, 1440],
    }
    options = "slurm-logdir, slurm-init-seconds-before-status-checks, max-jobs-per-second, max-status-checks-per-second"
    resources = "resources slurm_account, slurm_extra, slurm_partition"
    assert [line for line in run.text.splitlines() if "other executors" in line] == [
        f"daskmpi: {options} are for other executors, and have no effect here.",
        f"daskmpi: {resources} steer other executors and have no effect here.",
    ]
    assert run.text.count("Using profile profile for setting default command line arguments.") == 1


def test_without_options_of_others_nothing_is_said(workflow: Workflow):
    workflow.write("Snakefile", "rule one:\n    output: 'a'\n    shell: 'touch {output}'\n")
    run = workflow.start(env=PLUGINS)
    run.ends_with(0)
    assert "other executors" not in run.text
