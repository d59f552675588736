"""Every setting can be written in a profile."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import pytest
from snakemake.cli import parse_args
from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

from snakemake_executor_plugin_daskmpi.settings.flags import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from harness import Workflow

#: A value for each setting, none of them its default.
VALUES: dict[str, Any] = {
    "account": "proj-1",
    "partition": "main",
    "qos": "debug",
    "walltime": "1-12:00:00",
    "constraint": "a100&nvlink",
    "mail_user": "ada@example.org",
    "mail_type": "END,FAIL",
    "modules": "Python/3.11 OpenMPI",
    "conda_env": "/envs/my env",
    "setup": "ulimit -s unlimited\nexport A='b c'",
    "sbatch_args": "--reservation=course",
    "srun_args": "--export=ALL",
    "pmi": "pmix",
    "pmi_library": "/opt/slurm/lib64/libpmi2.so",
    "hyperthread": True,
    "scratch": "/scratch/$SLURM_JOB_ID",
    "max_components": 3,
    "max_workers": 7,
    "max_cores": 99,
    "components": "head,any+gpu",
    "detach": True,
    "resubmit": True,
    "grow": 2,
    "grow_walltime": "4h",
    "shrink": "90s",
    "container": "image.sif",
    "container_runtime": "ch-run",
    "container_bind": "/data,/ref:/reference",
    "launcher": "mpiexec",
    "workers": 3,
    "cores": 5,
    "mem_mb": 700,
    "disk_mb": 800,
    "gpus": "0,GPU-ab",
    "bind": "cores",
    "memory": "strict",
    "no_warm": True,
    "shared_parse": True,
    "linger": 44,
    "respawn": 2,
    "insecure": True,
    "dashboard": True,
    "mpiexec": "mpiexec --oversubscribe -x A=b",
    "startup_timeout": 33,
    "deadline": "90m",
}

FIELDS = [field.name for field in dataclasses.fields(Settings)]


def settings_of(folder: Path, lines: list[str]) -> Any:
    """Return the settings that Snakemake reads from a profile."""
    (folder / "config.yaml").write_text("\n".join(["executor: daskmpi", "jobs: unlimited", *lines]) + "\n")
    _, args = parse_args(["--profile", str(folder)])
    return ExecutorPluginRegistry().get_plugin(args.executor).get_settings(args)


def line_of(name: str) -> str:
    """Return a setting as it stands in a profile."""
    return f"daskmpi-{name.replace('_', '-')}: {json.dumps(VALUES[name])}"


def test_the_examples_cover_every_setting_with_another_value_than_its_default():
    assert list(VALUES) == FIELDS
    assert not [field.name for field in dataclasses.fields(Settings) if field.default == VALUES[field.name]]


@pytest.mark.parametrize("name", FIELDS)
def test_a_setting_can_be_written_in_a_profile(tmp_path: Path, name: str):
    settings = settings_of(tmp_path, [line_of(name)])
    assert getattr(settings, name) == VALUES[name]


@pytest.mark.parametrize("without", ["grow", "insecure"])
def test_all_settings_can_be_written_in_one_profile_but_two_that_exclude_each_other(tmp_path: Path, without: str):
    told = dataclasses.asdict(settings_of(tmp_path, [line_of(name) for name in FIELDS if name != without]))
    assert told == {**VALUES, without: getattr(Settings(), without)}


def test_a_run_follows_its_profile(workflow: Workflow):
    profile = """
        daskmpi-workers: 2
        daskmpi-cores: 3
        daskmpi-mem-mb: 1234
        default-resources: ["mem_mb=10"]
        set-threads: ["all=3"]
    """
    workflow.write("profile/config.yaml", profile)
    workflow.write("Snakefile", "rule all:\n    output: 'a'\n    shell: 'echo {threads} {resources.mem_mb} > a'\n")
    run = workflow.start("--profile", "profile")
    run.ends_with(0)
    assert "2 workers with 3 cores, 1234 MB each" in run.text
    assert workflow.read("a") == "3 10\n"
