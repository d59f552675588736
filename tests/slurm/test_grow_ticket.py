"""What lets a further Slurm job in is of no use to anybody else, and to nobody a second time."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil
import pytest

from growing import wait_for_joined
from harness import wait_until
from snakemake_executor_plugin_daskmpi.errors import WorldError
from snakemake_executor_plugin_daskmpi.world import join, ticket
from snakemake_executor_plugin_daskmpi.world.ticket import Ticket

if TYPE_CHECKING:
    from pathlib import Path

    from harness import Run, Workflow
    from slurm_cluster import SlurmCluster

SNAKEFILE = """
    rule all:
        input: expand("out/{n}", n=range(60))

    rule one:
        output: "out/{n}"
        resources: mem_mb=100
        shell: "if [ {wildcards.n} = 7 ]; then while [ ! -e go ]; do sleep 0.1; done; fi; sleep 1; touch {output}"
"""


def grown(workflow: Workflow) -> tuple[Run, str]:
    """Start a run that grows, and return it with the ticket of its further job, from that job's environment."""
    workflow.write("Snakefile", SNAKEFILE)
    run = workflow.start("--daskmpi-cores", "1", "--daskmpi-grow", "1")
    wait_for_joined(workflow, run)
    found = set()
    for process in workflow.processes():
        with contextlib.suppress(psutil.Error, OSError):
            found.add(process.environ().get(ticket.VARIABLE, ""))
    (text,) = found - {""}
    return run, text


def test_the_ticket_of_a_job_that_has_joined_opens_nothing_and_the_run_says_who_came(
    workflow: Workflow,
    slurm: SlurmCluster,  # noqa: ARG001
):
    run, text = grown(workflow)
    with pytest.raises(WorldError, match="used before"):
        join.ask(Ticket.read(text))
    wait_until(lambda: "asked to join this run, and was refused" in run.text, on_timeout=lambda: run.text)
    workflow.write("go", "")
    run.ends_with(0)


def test_its_word_is_in_no_file_and_no_command_line(workflow: Workflow, slurm: SlurmCluster):
    run, text = grown(workflow)
    word = Ticket.read(text).word
    holding = [path for path in files_below(workflow.folder) if word.encode() in path.read_bytes()]
    assert not holding
    lines = [" ".join(process.cmdline()) for process in psutil.process_iter() if process.status() != "zombie"]
    assert not [line for line in lines if word in line]
    assert word not in slurm.scontrol("show", "job", "--details")
    workflow.write("go", "")
    run.ends_with(0)


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_another_user_can_read_neither_its_environment_nor_its_script(
    workflow: Workflow,
    slurm: SlurmCluster,  # noqa: ARG001
    stranger: list[str],
):
    run, _ = grown(workflow)
    workflow.folder.chmod(0o755)
    (script,) = workflow.folder.glob(".snakemake/daskmpi/*/further/1/job.sh")
    having = []
    for process in workflow.processes():
        with contextlib.suppress(psutil.Error, OSError):
            if ticket.VARIABLE in process.environ():
                having.append(process.pid)
    assert having
    for path in (script, *(f"/proc/{pid}/environ" for pid in having)):
        read = subprocess.run([*stranger, "cat", str(path)], capture_output=True, text=True, check=False)
        assert read.returncode, path
        assert not read.stdout
    workflow.write("go", "")
    run.ends_with(0)


def test_its_script_submitted_again_joins_nothing_and_says_why(workflow: Workflow, slurm: SlurmCluster):
    run, _ = grown(workflow)
    (script,) = workflow.folder.glob(".snakemake/daskmpi/*/further/1/job.sh")
    copy = workflow.sbatch(script.read_text().replace("further/1/output.log", "copy.log"))
    copy.ends_with(1)
    said = copy.text + "".join(path.read_text() for path in workflow.folder.rglob("copy.log"))
    assert "This Slurm job has no ticket to join a run with" in said
    assert "Traceback" not in said
    workflow.write("go", "")
    run.ends_with(0)
    assert sys.executable in script.read_text()
    assert slurm.ended(copy.job_id) == ("FAILED", 1)
