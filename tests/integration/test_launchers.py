"""Outside of a world: ``--daskmpi-launcher`` gets one."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from snakemake_executor_plugin_daskmpi.rank.roles import LAUNCHED

if TYPE_CHECKING:
    from harness import Workflow

SNAKEFILE = """
    import os, time

    rule all:
        input: expand("out/{n}.txt", n=range(8))

    rule one:
        output: "out/{n}.txt"
        run:
            time.sleep(0.1)
            with open(output[0], "w") as file:
                print(os.getppid(), file=file)
"""


#: Says what it was started with, an argument a line.
MPIEXEC = f"""#!/bin/sh
printf '%s\\n' "{LAUNCHED}=${LAUNCHED}" "$@"
exit 7
"""


def forkservers(workflow: Workflow) -> set[str]:
    """Return the processes that jobs were forked from: one for each worker."""
    return {workflow.read(f"out/{n}.txt").strip() for n in range(8)}


def test_without_a_world_one_worker_process_offers_the_whole_machine(workflow: Workflow):
    workflow.write("Snakefile", SNAKEFILE)
    run = workflow.start(launcher="auto")
    run.ends_with(0)
    said = re.findall(r"daskmpi: 1 worker process on this machine.*; 1 worker with \d+ cores?, \d+ MB", run.text)
    assert len(said) == 1, run.text
    assert len(forkservers(workflow)) == 1
    assert "distributed" not in run.text


def test_the_local_launcher_starts_as_many_workers_as_asked(workflow: Workflow):
    workflow.write("Snakefile", SNAKEFILE)
    run = workflow.start("--daskmpi-workers", "2", "--daskmpi-cores", "1", "--daskmpi-mem-mb", "2000", launcher="local")
    run.ends_with(0)
    assert "2 workers with 1 core, 2000 MB each" in run.text
    assert len(forkservers(workflow)) == 2


def test_the_mpiexec_launcher_runs_the_same_command_line_in_a_world(workflow: Workflow):
    workflow.write("Snakefile", SNAKEFILE)
    run = workflow.start("--daskmpi-workers", "2", launcher="mpiexec")
    run.ends_with(0)
    assert "daskmpi: 4 ranks on 1 host" in run.text
    assert len(forkservers(workflow)) == 2


def test_the_mpiexec_launcher_passes_the_exit_code_of_the_world_on(workflow: Workflow):
    workflow.write("Snakefile", "rule all:\n    output: 'a'\n    shell: 'exit 3'\n")
    run = workflow.start(launcher="mpiexec")
    run.ends_with(1)
    assert "exit code 3" in run.text


def test_a_missing_mpiexec_is_said_and_leaves_no_lock(workflow: Workflow):
    workflow.write("Snakefile", SNAKEFILE)
    run = workflow.start("--daskmpi-mpiexec", "no-such-mpiexec --quickly", launcher="mpiexec")
    assert run.wait() != 0
    assert "no-such-mpiexec" in run.text
    assert "Next: " in run.text
    assert "Traceback" not in run.text


@pytest.mark.parametrize("launcher", ["auto", "mpiexec"])
def test_no_world_is_started_when_there_is_nothing_to_do(workflow: Workflow, launcher: str):
    workflow.write("Snakefile", "rule all:\n    output: 'Snakefile'\n    shell: ''\n")
    run = workflow.start(launcher=launcher)
    run.ends_with(0)
    assert "Nothing to be done" in run.text
    assert not workflow.has(".snakemake/daskmpi")


@pytest.mark.parametrize(
    ("arguments", "answers"),
    [
        (("--daskmpi-launcher", "mpiexe"), ("Did you mean mpiexec?", "Next: ")),
        (("--daskmpi-bind", "core"), ("Did you mean cores?", "Next: ")),
        (("--daskmpi-workers", "0"), ("--daskmpi-workers cannot be 0", "Next: ")),
        (("--daskmpi-mem-mb", "-5"), ("--daskmpi-mem-mb cannot be -5", "Next: ")),
    ],
    ids=lambda value: " ".join(value) if value[0].startswith("--") else "refused",
)
def test_a_setting_that_cannot_be_is_refused_with_a_next_step(workflow: Workflow, arguments: tuple, answers: tuple):
    workflow.write("Snakefile", SNAKEFILE)
    run = workflow.start(*arguments, launcher="auto")
    assert run.wait() != 0
    for answer in answers:
        assert answer in run.text
    assert "Traceback" not in run.text
    assert not workflow.has("out")


def test_an_abbreviated_key_of_a_profile_is_answered_with_the_one_meant(workflow: Workflow):
    workflow.write("profile/config.yaml", "daskmpi-worker: 2\n")
    workflow.write("Snakefile", "rule one:\n    output: 'a'\n    shell: 'touch {output}'\n")
    run = workflow.start("--profile", "profile")
    assert run.wait(60) == 1
    assert "There is no option --daskmpi-worker. Did you mean --daskmpi-workers?" in run.text
    assert not workflow.has("a")


def test_this_process_becomes_mpiexec_with_the_same_command_line_after_it_has_let_go(tmp_path):
    mpiexec = tmp_path / "mpiexec"
    mpiexec.write_text(MPIEXEC)
    mpiexec.chmod(0o755)
    program = (
        "from snakemake_executor_plugin_daskmpi.launch.launchers import launch\n"
        "from snakemake_executor_plugin_daskmpi.settings.flags import Settings\n"
        f"settings = Settings(launcher='mpiexec', workers=3, mpiexec='{mpiexec} -v')\n"
        "launch(settings, None, lambda: print('let go'))"
    )
    environ = {name: value for name, value in os.environ.items() if name != LAUNCHED}
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", program, "all", "--cores", "2"],
        stdout=subprocess.PIPE,
        text=True,
        env=environ,
    )
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 7
    before_program, _, after_program = said.partition(program)
    assert before_program.splitlines() == ["let go", f"{LAUNCHED}=mpiexec", "-v", "-n", "5", sys.executable, "-P", "-c"]
    assert after_program.split() == ["all", "--cores", "2"]


def test_a_run_that_is_to_grow_where_there_is_no_slurm_is_refused_before_anything_starts(workflow: Workflow):
    workflow.write("Snakefile", "rule all:\n    output: 'a'\n    shell: 'touch {output}'\n")
    (folder := workflow.folder / "bin").mkdir()
    for program in ("bash", "sh", "touch"):
        (folder / program).symlink_to(shutil.which(program) or "")
    path = os.pathsep.join([str(Path(sys.executable).parent), str(folder)])
    run = workflow.start("--daskmpi-grow", "1", env={"PATH": path})
    assert run.wait() == 1
    assert "--daskmpi-grow needs Slurm where Snakemake runs" in run.text
    assert not workflow.has("a")
    (record,) = workflow.folder.glob(".snakemake/daskmpi/*/events.jsonl")
    assert json.loads(record.read_text().splitlines()[-1])["event"] == "end", "it did not break off"
