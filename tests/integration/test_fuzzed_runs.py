"""Odd annotations, flags and profiles: a clear error or a right run, never a traceback of ours, never a hang."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from harness import Workflow

PACKAGE = "snakemake_executor_plugin_daskmpi"

#: One rule each: all that is wrong with one has to leave the others alone.
ODD = {
    "negative_threads": "threads: -1",
    "negative_memory": "resources: mem_mb=-5",
    "nan": "resources: mem_mb=float('nan')",
    "infinite": "resources: mem_mb=float('inf')",
    "huge": "resources: tasks=10**12, mpi='srun'",
    "text_for_gpus": "resources: gpu='many'",
    "no_number_of_tasks": "resources: tasks='x', mpi='mpiexec'",
    "mpi_is_a_number": "resources: mpi=5, tasks=1",
    "quotes": """resources: mpi="it's", slurm_extra="' ; touch injected; '" """,
    "long_runtime": "resources: runtime=10**15",
}

SNAKEFILE = """
rule all:
    input: "good", expand("{name}", name=config["names"].split("-"))

rule good:
    output: "good"
    shell: "touch {output}"
"""


def snakefile(names: list[str]) -> str:
    rules = [f'rule {n}:\n    output: "{n}"\n    {ODD[n]}\n    shell: "touch {{output}}"\n' for n in names]
    return SNAKEFILE + "\n" + "\n".join(rules)


def check(workflow: Workflow, *args: str, **options: object) -> str:
    """Run a workflow, check what must be true however it ends, and return what it says."""
    run = workflow.run("--keep-going", "--daskmpi-cores", "2", "--daskmpi-mem-mb", "1000", *args, **options)
    ours = [line for line in run.text.splitlines() if 'File "' in line and PACKAGE in line]
    assert not ours, run.text
    assert not workflow.has("injected")
    assert run.process.returncode in (0, 1), run.text
    return run.text


def test_a_job_with_odd_annotations_is_refused_or_runs_and_the_others_run(workflow: Workflow):
    names = [name for name in ODD if name not in ("negative_threads", "nan", "infinite")]
    workflow.write("Snakefile", snakefile(names))
    text = check(workflow, "--config", f"names={'-'.join(names)}")
    assert workflow.has("good")
    for name in names:
        assert workflow.has(name) or f"rule {name} (" in text.replace("Rule", "rule"), text
    assert text.count("Next: ") >= sum(not workflow.has(name) for name in names)


@pytest.mark.parametrize("name", ["negative_threads", "nan", "infinite"])
def test_a_number_that_is_none_is_a_clear_error_or_does_nothing(workflow: Workflow, name: str):
    workflow.write("Snakefile", snakefile([name]))
    text = check(workflow, "--config", f"names={name}")
    assert workflow.has(name) or "rror" in text or "Next: " in text


def test_a_function_that_raises_is_an_error_with_its_name(workflow: Workflow):
    workflow.write(
        "Snakefile",
        'rule one:\n    output: "one"\n    resources: mem_mb=lambda wildcards: 1 // 0\n    shell: "touch one"',
    )
    assert "ZeroDivisionError" in check(workflow)


@pytest.mark.parametrize(
    "flags",
    [
        ("--daskmpi-launcher", "mpiexec", "--daskmpi-mpiexec", "mpiexec 'x"),
        ("--daskmpi-launcher", "mpiexec", "--daskmpi-mpiexec", "/no/such/mpiexec"),
        ("--daskmpi-scratch", "/proc/no/such"),
        ("--daskmpi-gpus", ",,; echo,\x1b[31m"),
        ("--daskmpi-startup-timeout", "1", "--daskmpi-components", "+,,+"),
    ],
    ids=lambda flags: flags[-2].removeprefix("--daskmpi-"),
)
def test_odd_flags_are_a_clear_error_or_a_right_run(workflow: Workflow, flags: tuple[str, ...]):
    workflow.write("Snakefile", 'rule one:\n    output: "one"\n    shell: "touch one"')
    launcher = "auto" if "--daskmpi-launcher" in flags else "local"
    text = check(workflow, *flags, launcher=launcher)
    assert workflow.has("one") or "Next: " in text, text


@pytest.mark.parametrize(
    "profile",
    ["daskmpi-cores: many", "daskmpi-bind: [cores]", "daskmpi-workers: -3", "daskmpi-launcher: {a: b}"],
)
def test_an_odd_profile_is_a_clear_error(workflow: Workflow, profile: str):
    workflow.write("Snakefile", 'rule one:\n    output: "one"\n    shell: "touch one"')
    workflow.write("profile/config.yaml", f"executor: daskmpi\n{profile}\n")
    check_ended = workflow.run("--profile", "profile", launcher="auto")
    assert PACKAGE not in "".join(line for line in check_ended.text.splitlines() if 'File "' in line), check_ended.text
    assert check_ended.process.returncode == 0 or "rror" in check_ended.text or "Next: " in check_ended.text
